//! Image data sets for training binarized Vision Transformers.
//!
//! - [`DataSet`]: labelled pictures, read when asked for; [`digits`] come with the crate, others
//!   are read from a folder; [`open`] knows them by name
//! - [`DataSplits::check`] and [`DataSplits::fingerprint`]: whether every picture can be read, and whether
//!   the pictures are those of another time
//! - [`split`], [`per_class`], [`with_label_noise`]: parts of a set and wrong labels, chosen by a seed
//! - [`EvalTransform`] and [`Normalization`]: from a picture to what a model sees
//! - [`TrainTransform`] and [`Mixup`]: the same with random crops, colours, distortions and mixtures
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

#![cfg_attr(docsrs, feature(doc_cfg))]

mod batch;
mod check;
mod checksum;
mod data_set;
mod decode;
#[cfg(feature = "download")]
mod download;
mod error;
mod file_names;
mod fingerprint;
mod gzip;
mod image;
mod label_noise;
mod listing;
mod lists;
mod loader;
mod mixup;
mod normalization;
mod open;
mod prefetch;
mod random;
mod sampler;
mod sets;
mod subset;
mod transform;

pub use batch::Batch;
pub use check::{Broken, BrokenPictures};
pub use data_set::{DataSet, DataSplits};
pub use decode::{Orientation, decode_image, image_size, read_image, read_image_as};
pub use error::Error;
pub use fingerprint::Fingerprint;
pub use image::Image;
pub use label_noise::{NoisyLabels, with_label_noise};
pub use listing::{Listing, list_pictures, list_readable_pictures};
pub use lists::read_text;
pub use loader::{Batches, Loader, LoaderConfig};
pub use mixup::Mixup;
pub use normalization::Normalization;
pub use open::{DataSetName, OpenOptions, open};
pub use sets::array::ImageArray;
pub use sets::chaoyang::chaoyang;
pub use sets::cifar::{cifar10, cifar100};
pub use sets::digits::digits;
pub use sets::files::ImageFiles;
pub use sets::flowers102::flowers102;
pub use sets::image_folder::image_folder;
pub use sets::inaturalist::{Category, inaturalist};
pub use sets::mnist::mnist;
pub use subset::{Subset, per_class, split};
pub use transform::Transform;
pub use transform::affine::{Interpolation, RandomAffine};
pub use transform::color::ColorJitter;
pub use transform::crop::Crop;
pub use transform::erasing::RandomErasing;
pub use transform::eval::EvalTransform;
pub use transform::rand_augment::RandAugment;
pub use transform::train::TrainTransform;
