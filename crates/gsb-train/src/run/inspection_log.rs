//! What happened inside the binarizers: `binarizers.jsonl`, one line for each epoch.

use std::path::{Path, PathBuf};

use gsb_vit::Phase;
use serde::{Deserialize, Serialize};

use super::json_lines;
use crate::error::Error;
use crate::step::Inspection;

/// The name of the file in the folder of a run.
pub(super) const NAME: &str = "binarizers.jsonl";

/// An epoch as a line of `binarizers.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InspectedEpoch {
    /// The phase.
    pub phase: Phase,
    /// Its number in the phase, counted from 1.
    pub epoch: usize,
    /// What was found after it.
    #[serde(flatten)]
    pub inspection: Inspection,
}

/// The inspections of a run.
#[derive(Debug)]
pub(crate) struct InspectionLog {
    path: PathBuf,
    epochs: Vec<InspectedEpoch>,
}

impl InspectionLog {
    /// Reads the log of a folder, empty if there is none.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(NAME);
        let epochs = json_lines::read(&path)?;
        Ok(Self { path, epochs })
    }

    /// All epochs.
    pub fn into_epochs(self) -> Vec<InspectedEpoch> {
        self.epochs
    }

    /// Forgets the epochs of a phase after the first `kept`.
    pub fn truncate(&mut self, phase: Phase, kept: usize) -> Result<(), Error> {
        let before = self.epochs.len();
        self.epochs
            .retain(|epoch| epoch.phase != phase || epoch.epoch <= kept);
        match self.epochs.len() == before {
            true => Ok(()),
            false => json_lines::write(&self.path, &self.epochs),
        }
    }

    /// Adds an epoch.
    pub fn push(&mut self, epoch: InspectedEpoch) -> Result<(), Error> {
        self.epochs.push(epoch);
        json_lines::write(&self.path, &self.epochs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gsb_vit::BlockSuperpositions;

    #[test]
    fn what_a_diverged_training_left_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut block = BlockSuperpositions {
            attention_scales: vec![f32::NAN, 0.5],
            value_scales: vec![f32::INFINITY],
            ..BlockSuperpositions::default()
        };
        block.shares.attention = vec![f32::NAN];
        let epoch = InspectedEpoch {
            phase: Phase::Stage2,
            epoch: 1,
            inspection: Inspection {
                flips: vec![0.25],
                blocks: vec![block],
            },
        };
        InspectionLog::open(folder.path())
            .and_then(|mut log| log.push(epoch.clone()))
            .unwrap();
        let log = InspectionLog::open(folder.path()).unwrap().into_epochs();
        let [read] = &log[..] else { panic!("{log:?}") };
        assert_eq!((read.phase, read.epoch), (Phase::Stage2, 1));
        assert_eq!(read.inspection.flips, [0.25]);
        let [block] = &read.inspection.blocks[..] else {
            panic!("{log:?}")
        };
        let [none, scale] = block.attention_scales[..] else {
            panic!("{log:?}")
        };
        assert!(none.is_nan() && scale == 0.5);
        assert!(block.value_scales[0].is_nan() && block.shares.attention[0].is_nan());
    }
}
