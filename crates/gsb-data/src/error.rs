//! What can be wrong with data.

use std::path::{Path, PathBuf};
use std::{fmt, io};

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or a folder cannot be opened or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file or a folder that belongs to a data set is not there.
    #[error("{} is not there: expected {expected}", path.display())]
    Missing {
        /// What is not there.
        path: PathBuf,
        /// What it should hold.
        expected: String,
    },
    /// A file does not hold what it should.
    #[error("{}: {problem}", path.display())]
    Format {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, and what was expected.
        problem: String,
    },
    /// A picture cannot be read, or what is to be made of it makes no sense.
    #[error(transparent)]
    Picture(#[from] gsb_image::Error),
    /// Pictures that cannot be read, all of them.
    #[error(transparent)]
    Broken(#[from] BrokenPictures),
    /// Nothing is left of a part or a class where broken pictures are left out.
    #[error("without the broken pictures there are no {what}")]
    NoPictures {
        /// What is lacking.
        what: String,
    },
    /// A row of a table of images cannot be read.
    #[error("{name}, row {row}: {problem}")]
    Row {
        /// What was read.
        name: &'static str,
        /// The row, counted from 1.
        row: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// The pixels of an image do not fill its shape.
    #[error(
        "{images} images of {width}x{height} pixels and {channels} channels have {expected} values, got {got}"
    )]
    PixelCount {
        /// Number of images.
        images: usize,
        /// Columns of an image.
        width: usize,
        /// Rows of an image.
        height: usize,
        /// Values of a pixel.
        channels: usize,
        /// Number of values that would fit.
        expected: usize,
        /// Number of values given.
        got: usize,
    },
    /// An image has a number of channels other than 1 and 3.
    #[error("images have 1 channel (gray) or 3 (RGB), not {channels}")]
    Channels {
        /// The number of channels.
        channels: usize,
    },
    /// A label is not a class.
    #[error("image {index} is labelled {label}, but there are {classes} classes")]
    Label {
        /// The image, counted from 0.
        index: usize,
        /// Its label.
        label: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A part of a split would be empty.
    #[error(
        "a test fraction of {fraction} splits {images} images into {train} for training and {test} for testing"
    )]
    Split {
        /// The fraction asked for.
        fraction: f64,
        /// Number of images.
        images: usize,
        /// Images that would be trained on.
        train: usize,
        /// Images that would be tested on.
        test: usize,
    },
    /// A class has fewer images than asked for.
    #[error("class {class:?} has {images} images, fewer than the {wanted} asked for")]
    TooFew {
        /// Name of the class.
        class: String,
        /// Number of its images.
        images: usize,
        /// Number of images asked for.
        wanted: usize,
    },
    /// An option has a value that makes no sense.
    #[error("{option}: {problem}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// What is wrong with its value.
        problem: String,
    },
    /// A data set needs a folder, and none was given.
    #[error("the data set {name:?} is read from a folder, but none was given")]
    NoPath {
        /// Name of the data set.
        name: &'static str,
    },
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            path: path.to_path_buf(),
            source,
        }
    }

    pub(crate) fn format(path: &Path, problem: impl Into<String>) -> Self {
        Self::Format {
            path: path.to_path_buf(),
            problem: problem.into(),
        }
    }

    pub(crate) fn missing(path: &Path, expected: impl Into<String>) -> Self {
        Self::Missing {
            path: path.to_path_buf(),
            expected: expected.into(),
        }
    }
}

/// Pictures that cannot be read, and why.
#[derive(Debug)]
pub struct BrokenPictures {
    /// What is wrong with each of them.
    pub errors: Vec<Error>,
    /// How many pictures were looked at.
    pub images: usize,
}

impl std::error::Error for BrokenPictures {}

/// How many of a list are shown.
const SHOWN: usize = 10;

impl fmt::Display for BrokenPictures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (missing, broken): (Vec<&Error>, Vec<&Error>) =
            self.errors.iter().partition(|error| is_missing(error));
        write!(
            f,
            "{} of {} pictures cannot be read",
            self.errors.len(),
            self.images
        )?;
        for (kind, errors) in [("broken", broken), ("not there", missing)] {
            for error in errors.iter().take(SHOWN) {
                write!(f, "\n  {error}")?;
            }
            if errors.len() > SHOWN {
                let more = errors.len() - SHOWN;
                write!(f, "\n  and {more} more that are {kind}")?;
            }
        }
        Ok(())
    }
}

fn is_missing(error: &Error) -> bool {
    let (Error::Io { source, .. } | Error::Picture(gsb_image::Error::Io { source, .. })) = error
    else {
        return false;
    };
    source.kind() == io::ErrorKind::NotFound
}

/// A count with its noun in the right number.
pub(crate) fn counted(count: usize, thing: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{ending}")
}

/// The first ten names, and how many more there are.
pub(crate) fn first_ten(names: &[impl std::fmt::Display]) -> String {
    let shown: Vec<String> = names.iter().take(SHOWN).map(ToString::to_string).collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
