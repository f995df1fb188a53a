//! The images of a run.

use std::path::PathBuf;
use std::sync::Arc;

use gsb_data::{
    Broken, Category, DataSetName, DataSplits, OpenOptions, Orientation, per_class,
    with_label_noise,
};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::options::DataArgs;
use crate::output::say;

/// What to train and test on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// The data set.
    pub set: DataSetName,
    /// Its folder.
    #[serde(with = "gsb_train::path_text")]
    pub path: Option<PathBuf>,
    /// Category that is the class, of iNaturalist.
    pub category: Option<Category>,
    /// Whether to fetch it.
    pub download: bool,
    /// Whether pictures are turned as their camera noted.
    pub orientation: Orientation,
    /// Whether pictures that cannot be read are left out.
    pub skip_broken: bool,
    /// Train on so many images of each class alone.
    pub per_class: Option<usize>,
    /// Share of the training images with another label.
    pub label_noise: f64,
    /// Chooses the images of each class and the other labels. It is not the seed of the training:
    /// runs that differ in that alone see the same images.
    pub seed: u64,
}

impl Default for DataConfig {
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
    /// Puts options in place.
    pub fn apply(&mut self, args: &DataArgs) {
        if let Some(set) = args.data_set {
            self.set = set;
        }
        self.path = args.data_path.clone().or(self.path.take());
        self.category = args.inat_category.or(self.category);
        self.download |= args.download;
        self.orientation = args.orientation.map_or(self.orientation, Into::into);
        self.skip_broken |= args.skip_broken;
        self.per_class = args.per_class.or(self.per_class);
        self.label_noise = args.label_noise.unwrap_or(self.label_noise);
    }

    /// The same by an absolute path, which means the same in every folder.
    pub fn absolute(self) -> Self {
        Self {
            path: self.path.as_deref().map(gsb_train::absolute),
            ..self
        }
    }

    /// Opens and checks it; what a user should know about it goes to stderr.
    ///
    /// # Errors
    /// If it is not there or broken, or has fewer images than asked for.
    pub fn open(&self, purpose: Purpose) -> Result<DataSplits, Error> {
        let wrong = |option, reason: String| Err(Error::Option { option, reason });
        let embedded = self.set == DataSetName::Digits;
        if embedded && (self.path.is_some() || self.download) {
            let reason = "the digits come with the program: expected none".into();
            return wrong("--data-path", reason);
        }
        if !embedded && self.path.is_none() {
            let reason = format!("{} is read from a folder: expected one", self.set);
            return wrong("--data-path", reason);
        }
        if self.per_class == Some(0) {
            return wrong("--per-class", "must be at least 1, got 0".into());
        }
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
        for remark in &splits.remarks {
            say(remark);
        }
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
}
