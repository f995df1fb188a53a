//! Image data sets for training binarized Vision Transformers.
//!
//! - [`digits`]: handwritten digits that come with the crate
//! - [`ImageSet`]: images and labels in memory, and how they are [split](ImageSet::split)
//! - [`Normalization`]: mean and deviation of a set's channels
//!
//! Everything is plain `Vec<f32>`; no tensor library is involved.
//!
//! ```
//! let split = gsb_data::digits()?.split(0.2, 0)?;
//! assert_eq!((split.train.len(), split.test.len()), (1437, 360));
//!
//! let normalization = gsb_data::Normalization::of(&split.train);
//! let mut image = split.test.image(0).to_vec();
//! normalization.apply(&mut image);
//! # Ok::<(), gsb_data::Error>(())
//! ```

mod digits;
mod error;
mod image_set;
mod normalization;

pub use digits::digits;
pub use error::Error;
pub use image_set::{ImageSet, ImageShape, Split};
pub use normalization::Normalization;
