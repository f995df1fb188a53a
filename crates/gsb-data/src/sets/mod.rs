//! The data sets, one a file.

pub(crate) mod array;
pub(crate) mod chaoyang;
pub(crate) mod cifar;
pub(crate) mod digits;
pub(crate) mod files;
pub(crate) mod flowers102;
pub(crate) mod idx;
pub(crate) mod image_folder;
pub(crate) mod inaturalist;
mod matlab;
pub(crate) mod mnist;
mod pickle;
