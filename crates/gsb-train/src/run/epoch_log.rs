//! The epochs of a run: `log.jsonl`, one line each.

use std::path::{Path, PathBuf};

use gsb_vit::Phase;
use serde::{Deserialize, Serialize};

use super::json_lines;
use crate::error::Error;

/// The name of the file in the folder of a run.
pub(super) const NAME: &str = "log.jsonl";

/// An epoch as a line of `log.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// The phase.
    pub phase: Phase,
    /// Its number in the phase, counted from 1.
    pub epoch: usize,
    /// The learning rate of its steps.
    pub lr: f64,
    /// Mean loss of the training steps, without the pull of the weights.
    #[serde(deserialize_with = "number")]
    pub train_loss: f64,
    /// Training images classified right, augmented as they are and while the weights move, in
    /// percent: by the head for classes alone, and by the label of the first of two that are mixed.
    pub train_top1: f64,
    /// Mean cross-entropy of the test images.
    #[serde(deserialize_with = "number")]
    pub loss: f64,
    /// Test images classified right, in percent.
    pub top1: f64,
    /// Test images whose class is among the five with the largest logits (of all, if there are
    /// fewer), in percent.
    pub top5: f64,
    /// Time it took, evaluation included.
    pub seconds: f64,
}

/// A number, or what JSON has instead of one that is not finite.
fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// The log of a run.
#[derive(Debug)]
pub(crate) struct EpochLog {
    path: PathBuf,
    epochs: Vec<Epoch>,
}

impl EpochLog {
    /// Reads the log of a folder, empty if there is none.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(NAME);
        let epochs = json_lines::read(&path)?;
        Ok(Self { path, epochs })
    }

    /// All epochs.
    pub fn into_epochs(self) -> Vec<Epoch> {
        self.epochs
    }

    /// The epochs of a phase.
    pub fn of(&self, phase: Phase) -> impl Iterator<Item = &Epoch> {
        self.epochs.iter().filter(move |epoch| epoch.phase == phase)
    }

    /// The best epoch of a phase: the first with the most right.
    pub fn best(&self, phase: Phase) -> Option<&Epoch> {
        // A mean over batches: the same number of right answers may differ in the last bits.
        const SAME: f64 = 1e-9;
        self.of(phase).reduce(|best, epoch| {
            if epoch.top1 > best.top1 + SAME {
                epoch
            } else {
                best
            }
        })
    }

    /// Forgets the epochs of a phase after the first `kept`.
    pub fn truncate(&mut self, phase: Phase, kept: usize) -> Result<(), Error> {
        self.epochs
            .retain(|epoch| epoch.phase != phase || epoch.epoch <= kept);
        json_lines::write(&self.path, &self.epochs)
    }

    /// Adds an epoch.
    pub fn push(&mut self, epoch: Epoch) -> Result<(), Error> {
        self.epochs.push(epoch);
        json_lines::write(&self.path, &self.epochs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(phase: Phase, epoch: usize, top1: f64) -> Epoch {
        Epoch {
            phase,
            epoch,
            lr: 0.1 + 0.2,
            train_loss: 1.0 / 3.0,
            train_top1: 10.0,
            loss: 2.0,
            top1,
            top5: 50.0,
            seconds: 1.5,
        }
    }

    #[test]
    fn epochs_survive_the_file_exactly_and_can_be_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = EpochLog::open(folder.path()).unwrap();
        log.push(epoch(Phase::Teacher, 1, 20.0)).unwrap();
        for (number, top1) in [(1, 30.0), (2, 40.0), (3, 40.0)] {
            log.push(epoch(Phase::Stage1, number, top1)).unwrap();
        }
        let mut again = EpochLog::open(folder.path()).unwrap();
        assert_eq!(again.epochs, log.epochs);
        assert_eq!(again.best(Phase::Stage1).unwrap().epoch, 2);
        again.truncate(Phase::Stage1, 1).unwrap();
        let kept = EpochLog::open(folder.path()).unwrap();
        assert_eq!(
            (
                kept.of(Phase::Stage1).count(),
                kept.of(Phase::Teacher).count()
            ),
            (1, 1)
        );
    }

    /// What a resumed run keeps of the log is what was written, to the last digit.
    #[test]
    fn lines_are_written_again_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = EpochLog::open(folder.path()).unwrap();
        for number in 1..=512 {
            let value = 1e-3 * number as f64 / 512.0;
            let line = Epoch {
                lr: value,
                train_loss: value.exp(),
                loss: value.sqrt(),
                seconds: value.ln().abs(),
                ..epoch(Phase::Teacher, number, 100.0 * value)
            };
            log.push(line).unwrap();
        }
        let path = folder.path().join("log.jsonl");
        let written = std::fs::read_to_string(&path).unwrap();
        let mut again = EpochLog::open(folder.path()).unwrap();
        again.truncate(Phase::Teacher, 512).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap() == written);
    }

    #[test]
    fn a_broken_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("log.jsonl"), "{}\n").unwrap();
        let error = EpochLog::open(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("log.jsonl: line 1: missing field"),
            "{error}"
        );
    }
}
