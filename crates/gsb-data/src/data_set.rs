//! What every data set offers.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::{Error, Image, Normalization};

/// Labelled pictures, read when they are asked for.
pub trait DataSet: Send + Sync {
    /// Names of the classes; a label is a place in this list.
    fn classes(&self) -> &[String];

    /// Number of pictures.
    fn len(&self) -> usize;

    /// Whether there are no pictures.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The class of a picture, without reading it.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Self::len).
    fn label(&self, index: usize) -> usize;

    /// Reads a picture.
    ///
    /// # Errors
    /// If its file cannot be read or decoded; the error names the file.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Self::len).
    fn image(&self, index: usize) -> Result<Image, Error>;

    /// Colour channels a model should have for this set: 1 or 3.
    fn channels(&self) -> usize;

    /// The file of a picture that has one of its own; none by default.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Self::len).
    fn file(&self, index: usize) -> Option<&Path> {
        let _ = index;
        None
    }

    /// Mean and deviation of the pictures, the training set's as a rule, in [`channels`](Self::channels)
    /// channels; see [`Normalization::measured`]. Every picture is read.
    ///
    /// # Errors
    /// If a picture cannot be read.
    ///
    /// ```
    /// use gsb_data::{DataSet, ImageArray};
    ///
    /// let set = ImageArray::new([1, 2, 1], vec![0, 255], vec![0], vec!["a".into()])?;
    /// let normalization = set.normalization()?;
    /// assert_eq!((normalization.mean[0], normalization.deviation[0]), (0.5, 0.5));
    /// # Ok::<(), gsb_data::Error>(())
    /// ```
    fn normalization(&self) -> Result<Normalization, Error> {
        let pictures = (0..self.len()).map(|index| self.image(index));
        Normalization::measured(self.channels(), pictures)
    }
}

/// The parts of a data set; they have no picture in common.
#[derive(Clone)]
pub struct DataSplits {
    /// What to train on.
    pub train: Arc<dyn DataSet>,
    /// What to measure accuracy on.
    pub test: Arc<dyn DataSet>,
    /// What to choose settings on, where the data set comes with it.
    pub validation: Option<Arc<dyn DataSet>>,
    /// What a user should know about them, a line each: files that are left out, classes without
    /// pictures.
    pub remarks: Vec<String>,
}

impl DataSplits {
    /// Names of the classes, the same in every part.
    pub fn classes(&self) -> &[String] {
        self.train.classes()
    }

    /// Colour channels a model should have: 1 or 3.
    pub fn channels(&self) -> usize {
        self.train.channels()
    }
}

impl fmt::Debug for DataSplits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataSplits")
            .field("classes", &self.classes().len())
            .field("channels", &self.channels())
            .field("train", &self.train.len())
            .field("test", &self.test.len())
            .field("validation", &self.validation.as_ref().map(|set| set.len()))
            .field("remarks", &self.remarks)
            .finish()
    }
}
