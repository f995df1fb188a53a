//! The data of a run.

use std::path::PathBuf;
use std::sync::Arc;

use gsb_data::{
    Broken, Category, DataSetName, DataSplits, OpenOptions, Orientation, per_class,
    with_label_noise,
};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::files::absolute;

/// What to train and test on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// The data set.
    pub set: DataSetName,
    /// Its folder.
    #[serde(with = "crate::path_text")]
    pub path: Option<PathBuf>,
    /// Category that is the class, of iNaturalist.
    pub category: Option<Category>,
    /// Whether to fetch it.
    pub download: bool,
    /// Whether pictures are turned as their camera noted.
    pub orientation: Orientation,
    /// Whether pictures that cannot be read are left out.
    pub skip_broken: bool,
    /// Train on this number of images of each class only.
    pub per_class: Option<usize>,
    /// Share of the training images with another label.
    pub label_noise: f64,
    /// Chooses the images of each class and the other labels. It is not the seed of the training:
    /// runs that differ in that alone see the same images.
    pub seed: u64,
}

impl Default for DataConfig {
    /// The embedded digits.
    fn default() -> Self {
        Self {
            set: DataSetName::Digits,
            path: None,
            category: None,
            download: false,
            orientation: Orientation::Stored,
            skip_broken: false,
            per_class: None,
            label_noise: 0.0,
            seed: 0,
        }
    }
}

/// What images are opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To train and to test: all of them are checked, and the training images are chosen.
    Training,
    /// To test: the test part alone is checked.
    Testing,
    /// For the names of their classes: none is checked.
    Names,
}

impl DataConfig {
    /// The same by an absolute path, which means the same in every folder.
    pub fn absolute(self) -> Self {
        Self {
            path: self.path.as_deref().map(absolute),
            ..self
        }
    }

    /// Opens and checks it. `remark` is told what a user should know about it.
    ///
    /// # Errors
    /// [`Error::Data`] if it is not there or broken, or has fewer images than asked for; [`Error::Option`] for options
    /// that do not go together.
    pub fn open(
        &self,
        purpose: Purpose,
        mut remark: impl FnMut(&str),
    ) -> Result<DataSplits, Error> {
        self.validate()?;
        let options = OpenOptions {
            category: self.category.unwrap_or_default(),
            download: self.download,
            orientation: self.orientation,
        };
        let splits = gsb_data::open(self.set, self.path.as_deref(), &options)?;
        let broken = match self.skip_broken {
            true => Broken::LeftOut,
            false => Broken::Refused,
        };
        let mut splits = match purpose {
            Purpose::Training => splits.check(broken)?,
            Purpose::Testing => splits.check_test(broken)?,
            Purpose::Names => return Ok(splits),
        };
        splits.remarks.iter().for_each(|text| remark(text));
        if purpose == Purpose::Testing {
            return Ok(splits);
        }
        if let Some(n) = self.per_class {
            splits.train = Arc::new(per_class(splits.train, n, self.seed)?);
        }
        if self.label_noise != 0.0 {
            splits.train = Arc::new(with_label_noise(splits.train, self.label_noise, self.seed)?);
        }
        Ok(splits)
    }

    fn validate(&self) -> Result<(), Error> {
        let embedded = self.set == DataSetName::Digits;
        if embedded && (self.path.is_some() || self.download) {
            let reason = "the digits come with the program: expected none";
            return Err(Error::option("data.path", reason));
        }
        if !embedded && self.path.is_none() {
            let reason = format!("{} is read from a folder: expected one", self.set);
            return Err(Error::option("data.path", reason));
        }
        if self.per_class == Some(0) {
            return Err(Error::option("data.per_class", "must be at least 1, got 0"));
        }
        Ok(())
    }
}
