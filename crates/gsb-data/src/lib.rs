//! Image data sets for training binarized Vision Transformers.
//!
//! - [`DataSet`]: labelled pictures, read when asked for; [`digits`] come with the crate, others
//!   are read from a folder
//! - [`split`], [`per_class`]: parts of a set, chosen by a seed
//! - [`EvalTransform`] and [`Normalization`]: from a picture to what a model sees
//! - [`Loader`]: batches made ahead by worker threads, the same whatever their number
//!
//! Everything is plain `Vec<f32>`; no tensor library is involved.
//!
//! ```
//! use gsb_data::{EvalTransform, Loader, LoaderConfig, Normalization};
//!
//! let splits = gsb_data::digits()?.split(0.2, 0)?;
//! let transform = EvalTransform::new(8, Normalization::of(&*splits.train)?);
//! let config = LoaderConfig { batch_size: 32, shuffle: true, ..Default::default() };
//! let loader = Loader::new(splits.train, transform, config)?;
//! for batch in loader.epoch(0) {
//!     let batch = batch?;
//!     assert_eq!(batch.images.len(), batch.labels.len() * 64);
//! }
//! # Ok::<(), gsb_data::Error>(())
//! ```

mod batch;
mod data_set;
mod decode;
mod error;
mod image;
mod loader;
mod mixup;
mod normalization;
mod prefetch;
mod random;
mod sampler;
mod sets;
mod subset;
mod transform;

pub use batch::Batch;
pub use data_set::{DataSet, DataSplits};
pub use decode::read_image;
pub use error::Error;
pub use image::Image;
pub use loader::{Batches, Loader, LoaderConfig};
pub use mixup::Mixup;
pub use normalization::Normalization;
pub use sets::array::ImageArray;
pub use sets::digits::digits;
pub use sets::mnist::mnist;
pub use subset::{Subset, per_class, split};
pub use transform::Transform;
pub use transform::eval::EvalTransform;
