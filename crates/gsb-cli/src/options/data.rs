//! Options that say what the images are.

use std::path::PathBuf;

use gsb_data::{Category, DataSetName};

use super::names::OrientationName;
use super::numbers::{fraction, positive};
use super::path;

/// What to train and test on.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
#[command(next_help_heading = "Data")]
pub struct DataArgs {
    /// Data set: digits (embedded), mnist, cifar10, cifar100, flowers102, chaoyang, imagefolder,
    /// inat2018 or inat2019
    #[arg(long, value_name = "NAME")]
    pub data_set: Option<DataSetName>,

    /// The folder of the data set
    #[arg(long, value_name = "FOLDER", value_parser = path::option())]
    pub data_path: Option<PathBuf>,

    /// Category that is the class, of iNaturalist [default: name]
    #[arg(long, value_name = "CATEGORY")]
    pub inat_category: Option<Category>,

    /// Fetch the data set into its folder if it is not there (where this is built in)
    #[arg(long)]
    pub download: bool,

    /// How pictures in files are turned [default: stored, as torchvision does]
    #[arg(long, value_enum)]
    pub orientation: Option<OrientationName>,

    /// Leave out pictures that cannot be read, instead of refusing to begin; each is decoded once before
    #[arg(long)]
    pub skip_broken: bool,

    /// Train on this many images of each class only
    #[arg(long, value_name = "IMAGES", value_parser = positive())]
    pub per_class: Option<usize>,

    /// Give this share of the training images another label
    #[arg(long, value_name = "SHARE", value_parser = fraction)]
    pub label_noise: Option<f64>,
}
