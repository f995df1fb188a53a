//! What ends a run.

use std::path::{Path, PathBuf};

use gsb_data::Fingerprint;
use gsb_vit::Phase;

/// What another library or the system says of a failure, or what is wrong in a sentence.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder of the run cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Cause,
    },
    /// The folder of a new run has one in it already, or something that one left.
    #[error("{} holds a run already ({}): resume it or choose another folder", folder.display(), file.file_name().unwrap_or_default().display())]
    Occupied {
        /// The folder.
        folder: PathBuf,
        /// The first file or folder of a run that was found in it.
        file: PathBuf,
    },
    /// Somebody else trains in the folder.
    #[error("{}: another process trains in this folder", .0.display())]
    Busy(PathBuf),
    /// A folder to resume from holds no run.
    #[error("{} holds no run to resume: it has no {file}", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// The file that a run has.
        file: &'static str,
    },
    /// An option of the recipe is impossible.
    #[error("{option}: {reason}")]
    Option {
        /// The option, as a path in the recipe.
        option: String,
        /// What was expected, and what was given.
        reason: String,
    },
    /// The machine lacks the device.
    #[error("device {name}: {count} asked for, {found} on this machine")]
    NoDevice {
        /// The kind of device.
        name: &'static str,
        /// How many were asked for.
        count: usize,
        /// How many there are.
        found: usize,
    },
    /// The images are not those that a run began with.
    #[error("{}", changed(begun, now))]
    ChangedData {
        /// The images that it began with.
        begun: Fingerprint,
        /// The images that there are.
        now: Fingerprint,
    },
    /// A loss is not a finite number.
    #[error(
        "{phase}: the loss is {loss} in step {step} of epoch {epoch}; the first values that are not \
         finite are in {place}; the weights before that step are in {}",
        saved.display()
    )]
    NotFinite {
        /// The phase.
        phase: Phase,
        /// The loss.
        loss: f32,
        /// The step of the epoch, counted from 1.
        step: usize,
        /// The epoch, counted from 1.
        epoch: usize,
        /// The parameter or layer in which they are.
        place: String,
        /// The checkpoint.
        saved: PathBuf,
    },
    /// Somebody stopped the run.
    #[error("{phase}: stopped in epoch {epoch}")]
    Stopped {
        /// The phase.
        phase: Phase,
        /// The epoch that was not finished, counted from 1.
        epoch: usize,
    },
    /// The training loop failed.
    #[error("{phase}: {reason}")]
    Training {
        /// The phase.
        phase: Phase,
        /// What it said.
        reason: String,
    },
    /// An image that the training came to cannot be read.
    #[error("{phase}: {reason}")]
    Images {
        /// The phase.
        phase: Phase,
        /// Which, and why.
        reason: String,
    },
    /// The data are broken.
    #[error(transparent)]
    Data(#[from] gsb_data::Error),
    /// The model is impossible, or a checkpoint broken.
    #[error(transparent)]
    Model(#[from] gsb_vit::Error),
    /// The loss is impossible.
    #[error(transparent)]
    Loss(#[from] gsb_core::Error),
}

/// How images differ.
fn changed(begun: &Fingerprint, now: &Fingerprint) -> String {
    let Fingerprint { train, test, .. } = begun;
    let images = format!("{train} images to train on and {test} to test on");
    if (*train, *test) == (now.train, now.test) {
        return format!(
            "the run began with {images}; there are as many now, but others: names, labels or contents differ"
        );
    }
    format!(
        "the run began with {images}; now there are {} and {}",
        now.train, now.test
    )
}

impl Error {
    pub(crate) fn file(path: &Path, cause: impl Into<Cause>) -> Self {
        Self::File {
            path: path.into(),
            source: cause.into(),
        }
    }

    /// What is wrong with an option of a part of the recipe, by its path from outside of that part.
    pub(crate) fn within(self, part: &str) -> Self {
        match self {
            Self::Option { option, reason } => Self::option(format!("{part}.{option}"), reason),
            error => error,
        }
    }

    pub(crate) fn option(option: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Option {
            option: option.into(),
            reason: reason.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn a_file_keeps_what_the_system_said() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let expected = format!("run/log.jsonl: {full}");
        let error = Error::file(Path::new("run/log.jsonl"), full);
        assert_eq!(error.to_string(), expected);
        let cause = error.source().expect("the cause");
        assert!(cause.is::<std::io::Error>());
    }
}
