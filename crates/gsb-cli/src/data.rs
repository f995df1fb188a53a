//! The images of a run.

use std::path::PathBuf;
use std::sync::Arc;

use gsb_data::{Category, DataSetName, DataSplits, OpenOptions, per_class, with_label_noise};
use serde::{Deserialize, Serialize};

use crate::args::DataArgs;
use crate::error::Error;

/// What to train and test on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// The data set.
    pub set: DataSetName,
    /// Its folder.
    pub path: Option<PathBuf>,
    /// Category that is the class, of iNaturalist.
    pub category: Option<Category>,
    /// Whether to fetch it.
    pub download: bool,
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
            per_class: None,
            label_noise: 0.0,
            seed: 0,
        }
    }
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

    /// Opens it.
    ///
    /// # Errors
    /// If it is not there or broken, or has fewer images than asked for.
    pub fn open(&self) -> Result<DataSplits, Error> {
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
        };
        let mut splits = gsb_data::open(self.set, self.path.as_deref(), &options)?;
        if let Some(n) = self.per_class {
            splits.train = Arc::new(per_class(splits.train, n, self.seed)?);
        }
        if self.label_noise != 0.0 {
            splits.train = Arc::new(with_label_noise(splits.train, self.label_noise, self.seed)?);
        }
        Ok(splits)
    }
}
