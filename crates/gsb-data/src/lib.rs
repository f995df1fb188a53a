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
//! use gsb_data::{EvalTransform, Loader, LoaderConfig};
//!
//! let splits = gsb_data::digits()?.split(0.2, 0)?;
//! let transform = EvalTransform::new(8, splits.train.normalization()?);
//! let config = LoaderConfig { batch_size: 32, shuffle: true, ..Default::default() };
//! let loader = Loader::new(splits.train, transform, config)?;
//! for batch in loader.epoch(0) {
//!     let batch = batch?;
//!     assert_eq!(batch.images.len(), batch.labels.len() * 64);
//! }
//! # Ok::<(), gsb_data::Error>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod augment;
mod batch;
mod bounds;
mod check;
mod checksum;
mod data_set;
mod data_set_name;
#[cfg(feature = "download")]
mod download;
mod error;
mod file_names;
mod fingerprint;
mod gzip;
mod label_noise;
mod listing;
mod lists;
mod loader;
mod mixup;
mod open;
mod prefetch;
mod random;
mod sampler;
mod sets;
mod subset;
mod transform;

pub use augment::affine::{Interpolation, RandomAffine};
pub use augment::color::ColorJitter;
pub use augment::crop::Crop;
pub use augment::erasing::RandomErasing;
pub use augment::rand_augment::RandAugment;
pub use augment::train::TrainTransform;
pub use batch::Batch;
pub use check::Broken;
pub use data_set::{DataSet, DataSplits};
pub use data_set_name::DataSetName;
pub use error::{BrokenPictures, Error};
pub use fingerprint::Fingerprint;
pub use gsb_image::{
    Error as PictureError, EvalTransform, Image, Normalization, Orientation, decode_image,
    image_size, read_image, read_image_as,
};
pub use label_noise::{NoisyLabels, with_label_noise};
pub use listing::{Listing, list_pictures, list_readable_pictures};
pub use lists::read_text;
pub use loader::{Batches, Loader, LoaderConfig};
pub use mixup::Mixup;
pub use open::{OpenOptions, open};
/// The generators that [`Transform`] and [`Mixup`] draw from.
pub use rand;
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
