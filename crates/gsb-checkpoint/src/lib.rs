//! Tensors out of checkpoints of PyTorch and of safetensors files.
//!
//! [`TensorFile`] reads what `torch.save` writes, as a zip archive or as it did before PyTorch 1.6, and
//! safetensors. It finds the state dict wherever training scripts keep it, takes the prefixes of
//! wrappers off the names, and says in [`Found`] what it did.
//!
//! A file is not trusted: nothing in it is executed, and one that is damaged or made to do harm gives a
//! [`CheckpointError`]. What opening and reading allocate is bounded by the size of the file: opening
//! takes at most 32 bytes for each of its bytes, and reading a tensor 10. For files that `torch.save`
//! has written, the bytes of the tensor itself dominate.
//!
//! Burn's reader, `pytorch-reader`, is not used: as of 0.23.0-pre.1 opening a hostile file takes up to 356
//! bytes of memory for each of its bytes, and reading a tensor up to 10 GiB whatever the size of the file,
//! as a stride of 0 repeats elements. The order of the names is lost, and nothing looks for state dicts,
//! averages and prefixes of wrappers.
//!
//! ```no_run
//! use gsb_checkpoint::{Take, TensorFile};
//!
//! let file = TensorFile::open("checkpoint.pth", Take::Weights)?;
//! println!("{:?}", file.found());
//! for name in file.names() {
//!     println!("{name}: {:?}", file.read(name)?.shape);
//! }
//! # Ok::<(), gsb_checkpoint::CheckpointError>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod archive;
mod contents;
mod element;
mod error;
mod file;
mod folder;
mod foreign;
mod found;
mod layout;
mod legacy;
mod names;
mod pickle;
mod pth;
mod rebuild;
mod safetensors;
mod source;
mod state_dict;

pub use element::{ElementType, Tensor, TensorInfo, Values};
pub use error::CheckpointError;
pub use file::TensorFile;
pub use folder::refuse_folder;
pub use found::{Format, Found, Take};
pub use names::is_leftover;
