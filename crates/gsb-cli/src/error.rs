//! What ends a command.

use std::path::{Path, PathBuf};

use crate::shell::quoted;

/// What another library or the system says of a failure, or what is wrong in a sentence.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Errors of a command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine lacks the device.
    #[error("--device {name}: {count} asked for, {found} on this machine")]
    NoDevice {
        /// The kind of device.
        name: &'static str,
        /// How many were asked for.
        count: usize,
        /// How many there are.
        found: usize,
    },
    /// A file that is not what it should be.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Cause,
    },
    /// An option that does not go with the rest.
    #[error("{option}: {reason}")]
    Option {
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The training was stopped or failed, and can go on.
    #[error("{error}; go on with: gsb train --resume {}", quoted(folder))]
    Resumable {
        /// What ended it.
        error: gsb_train::Error,
        /// The folder of the run.
        folder: PathBuf,
    },
    /// A training of a table was stopped, and can go on.
    #[error("{training}: {error}; the same command goes on")]
    Repeatable {
        /// What ended it.
        error: gsb_train::Error,
        /// Which training it was.
        training: String,
    },
    /// The training is impossible or failed.
    #[error(transparent)]
    Training(#[from] gsb_train::Error),
    /// The images are not those that a run began with.
    #[error("{0}: bring them back, or go on with --changed-data")]
    ChangedData(gsb_train::Error),
    /// A training came to a picture that cannot be read.
    #[error(
        "{error}; go on without such pictures: gsb train --resume {} --skip-broken --changed-data",
        quoted(folder)
    )]
    BrokenInRun {
        /// What ended it.
        error: gsb_train::Error,
        /// The folder of the run.
        folder: PathBuf,
    },
    /// Pictures that cannot be read.
    #[error("{0}\nmend or replace them, or leave them out with --skip-broken")]
    BrokenPictures(gsb_data::BrokenPictures),
    /// The data are broken.
    #[error(transparent)]
    Data(gsb_data::Error),
    /// The model is impossible.
    #[error(transparent)]
    Model(#[from] gsb_vit::Error),
    /// A packed model is broken or cannot be written.
    #[error(transparent)]
    Packed(#[from] gsb_packed::Error),
    /// The student of a training could not be packed.
    #[error("the student is not packed: {0}")]
    NotPacked(Box<Error>),
    /// A service cannot start, or was cut off.
    #[error(transparent)]
    Serve(#[from] gsb_serve::Error),
    /// Pictures that could not be classified; what is wrong with each has been said.
    #[error("{failed} of {images} images could not be classified")]
    Images {
        /// How many.
        failed: usize,
        /// Of how many.
        images: usize,
    },
    /// The result cannot be written.
    #[error("cannot write the result: {0}")]
    Output(#[from] std::io::Error),
}

impl Error {
    /// Whether a student could not be packed because there is no packed form of its model.
    pub fn is_of_form(&self) -> bool {
        use gsb_packed::Error::Config;
        use gsb_vit::Error::{Pack, Packed};
        matches!(self, Self::NotPacked(error) if matches!(
            **error,
            Self::Model(Pack { .. } | Packed(Config { .. })) | Self::Packed(Config { .. })
        ))
    }
}

impl From<gsb_data::Error> for Error {
    fn from(error: gsb_data::Error) -> Self {
        match error {
            gsb_data::Error::Broken(pictures) => Self::BrokenPictures(pictures),
            error => Self::Data(error),
        }
    }
}

impl Error {
    pub fn file(path: &Path, cause: impl Into<Cause>) -> Self {
        Self::File {
            path: path.into(),
            source: cause.into(),
        }
    }
}
