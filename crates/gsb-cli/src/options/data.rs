//! Options that say what the images are.

use std::path::PathBuf;

use gsb_data::{Category, DataSetName, Orientation};
use serde::Serialize;

use super::names::{OrientationName, named};
use super::numbers::{fraction, positive};
use super::path;

/// What to train and test on, named as in the configuration of a run.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "Data")]
pub struct DataArgs {
    /// Data set: digits (embedded), mnist, cifar10, cifar100, flowers102, chaoyang, imagefolder,
    /// inat2018 or inat2019
    #[arg(long, value_name = "NAME")]
    #[serde(rename = "set", skip_serializing_if = "Option::is_none")]
    pub data_set: Option<DataSetName>,

    /// The folder of the data set
    #[arg(long, value_name = "FOLDER", value_parser = path::option())]
    #[serde(
        rename = "path",
        skip_serializing_if = "Option::is_none",
        serialize_with = "gsb_train::path_text::serialize"
    )]
    pub data_path: Option<PathBuf>,

    /// Category that is the class, of iNaturalist [default: name]; other data sets have none
    #[arg(long, value_name = "CATEGORY")]
    #[serde(rename = "category", skip_serializing_if = "Option::is_none")]
    pub inat_category: Option<Category>,

    /// Fetch MNIST or CIFAR into its folder if it is not there (if gsb was built with the feature download)
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub download: bool,

    /// How pictures in files are turned [default: stored, as torchvision does]
    #[arg(long, value_parser = named::<OrientationName, Orientation>())]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orientation: Option<Orientation>,

    /// Leave out pictures that cannot be read, instead of refusing to begin; each is decoded once before
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skip_broken: bool,

    /// Train on this many images of each class only
    #[arg(long, value_name = "IMAGES", value_parser = positive())]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_class: Option<usize>,

    /// Give this share of the training images another label
    #[arg(long, value_name = "SHARE", value_parser = fraction)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_noise: Option<f64>,
}
