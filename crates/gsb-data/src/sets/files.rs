//! Pictures in files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{DataSet, DataSplits, Error, Image, Orientation, read_image_as};

/// Labelled pictures, each in a file that is read when it is asked for.
///
/// A picture can be gray where its file is; [`Image::to_channels`] makes it RGB.
#[derive(Debug, Clone)]
pub struct ImageFiles {
    classes: Arc<[String]>,
    files: Vec<(PathBuf, usize)>,
    orientation: Orientation,
}

impl ImageFiles {
    /// A set of files and their classes, read as they are stored.
    ///
    /// # Errors
    /// [`Error::Label`] if a label is not a class.
    pub fn new(
        files: Vec<(PathBuf, usize)>,
        classes: impl Into<Arc<[String]>>,
    ) -> Result<Self, Error> {
        let classes = classes.into();
        if let Some(index) = files.iter().position(|&(_, label)| label >= classes.len()) {
            return Err(Error::Label {
                index,
                label: files[index].1,
                classes: classes.len(),
            });
        }
        Ok(Self {
            classes,
            files,
            orientation: Orientation::default(),
        })
    }

    /// The same files, read in another orientation.
    pub fn with_orientation(self, orientation: Orientation) -> Self {
        Self {
            orientation,
            ..self
        }
    }

    /// The file of a picture.
    ///
    /// # Panics
    /// If there is no picture of this index.
    pub fn path(&self, index: usize) -> &Path {
        &self.files[index].0
    }
}

impl DataSet for ImageFiles {
    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        self.files.len()
    }

    fn label(&self, index: usize) -> usize {
        self.files[index].1
    }

    fn image(&self, index: usize) -> Result<Image, Error> {
        Ok(read_image_as(self.path(index), self.orientation)?)
    }

    fn channels(&self) -> usize {
        3
    }

    fn file(&self, index: usize) -> Option<&Path> {
        Some(self.path(index))
    }
}

/// Files and their labels.
pub(crate) type Labelled = Vec<(PathBuf, usize)>;

/// The parts of a set of files before it is known how to read them.
pub(crate) struct FileSplits {
    pub classes: Vec<String>,
    pub train: Labelled,
    pub test: Labelled,
    pub validation: Option<Labelled>,
    pub remarks: Vec<String>,
}

impl FileSplits {
    pub fn open(self, orientation: Orientation) -> Result<DataSplits, Error> {
        let classes: Arc<[String]> = self.classes.into();
        let part = |files| -> Result<Arc<dyn DataSet>, Error> {
            let set = ImageFiles::new(files, classes.clone())?;
            Ok(Arc::new(set.with_orientation(orientation)))
        };
        Ok(DataSplits {
            train: part(self.train)?,
            test: part(self.test)?,
            validation: self.validation.map(part).transpose()?,
            remarks: self.remarks,
        })
    }
}
