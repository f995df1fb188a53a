//! What a run has logged.

use std::path::Path;

use super::epoch_log::{Epoch, EpochLog, NAME};
use super::inspection_log::{InspectedEpoch, InspectionLog};
use crate::error::Error;

/// The logs of a run, of the phases in the order in which they were trained.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// `log.jsonl`.
    pub epochs: Vec<Epoch>,
    /// `binarizers.jsonl`; empty for a run from before there was one.
    pub inspections: Vec<InspectedEpoch>,
}

impl History {
    /// Reads the logs in the folder of a run, which may be in training.
    ///
    /// # Errors
    /// [`Error::File`] if there is no log, or it is none.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, Error> {
        let folder = folder.as_ref();
        let path = folder.join(NAME);
        if !path.exists() {
            let reason = "not there: expected the folder of a run that has finished an epoch";
            return Err(Error::file(&path, reason));
        }
        Ok(Self {
            epochs: EpochLog::open(folder)?.into_epochs(),
            inspections: InspectionLog::open(folder)?.into_epochs(),
        })
    }
}
