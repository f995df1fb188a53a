//! Checkpoints: our own, and those of the published implementations.
//!
//! [`save`] and [`load`] keep a model in one file that says what it holds. [`import`] and [`export`]
//! read and write files with the published names, those of GSB's students and of timm's DeiT;
//! [`Published`] is what lies between. Plain Vision Transformers that timm, Hugging Face and torchvision
//! name otherwise are read as well, as teachers.
//!
//! [`TensorFile`] reads what `torch.save` writes and safetensors, see [`gsb_checkpoint`]. A file is not
//! trusted: nothing in it is executed, and one that is damaged or made to do harm gives a
//! [`CheckpointError`]. Neither is it taken for a model that computes: a weight that is not a finite
//! number is an error.
//!
//! ```no_run
//! use burn::tensor::Device;
//! use gsb_vit::checkpoint::{Published, Strictness, import};
//! use gsb_vit::{Stage2Student, VitConfig};
//!
//! // What does the file hold?
//! let (phase, config) = Published::read("checkpoint.pth")?.describe()?;
//! println!("{phase}: {}", config.to_json());
//!
//! // A student for ten classes: the heads start fresh.
//! let config = VitConfig { classes: 10, ..config };
//! let (student, report) =
//!     import::<Stage2Student>("checkpoint.pth", &config, Strictness::Strict, &Device::default())?;
//! println!("{report}");
//! # Ok::<(), gsb_vit::Error>(())
//! ```

mod any;
mod beside;
mod checksum;
mod describe;
mod file;
mod import;
mod justified;
mod names;
mod native;
mod plain;
mod positions;
mod published;
mod report;

pub use any::{describe, is_own, load_any};
pub use describe::{Description, Hints};
pub use file::TensorFile;
pub use gsb_checkpoint::{
    CheckpointError, ElementType, Format, Found, Take, TensorInfo, refuse_folder,
};
pub use import::import;
pub use names::published_names;
pub use native::{inspect, load, save};
pub use published::{Published, export};
pub use report::{ImportReport, ShapeMismatch, Strictness};
