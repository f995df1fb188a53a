//! What can be wrong with a picture.

use std::path::{Path, PathBuf};

/// Errors of reading pictures and of what is made of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be opened or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A picture cannot be decoded.
    #[error("{}: not a readable picture: {problem}", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        problem: String,
    },
    /// The pixels of a picture do not fill its shape.
    #[error(
        "an image of {width}x{height} pixels and {channels} channels has {expected} values, got {got}"
    )]
    PixelCount {
        /// Columns of the picture.
        width: usize,
        /// Rows of the picture.
        height: usize,
        /// Values of a pixel.
        channels: usize,
        /// Number of values that would fit.
        expected: usize,
        /// Number of values given.
        got: usize,
    },
    /// A picture or a normalization has a number of channels other than 1 and 3.
    #[error("images have 1 channel (gray) or 3 (RGB), not {channels}")]
    Channels {
        /// The number of channels.
        channels: usize,
    },
    /// An option has a value that makes no sense.
    #[error("{option}: {problem}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// What is wrong with its value.
        problem: String,
    },
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            path: path.to_path_buf(),
            source,
        }
    }
}
