//! The learning rates of a phase.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::optimizer::CosineScheduleConfig;

/// How the learning rate of a phase changes from epoch to epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleRecipe {
    /// The highest learning rate.
    pub lr: f64,
    /// The learning rate at the end.
    pub min_lr: f64,
    /// Epochs of linear warm-up.
    pub warmup_epochs: usize,
    /// The learning rate that the warm-up starts from.
    pub warmup_lr: f64,
}

impl ScheduleRecipe {
    /// The published schedule for the size of a batch.
    pub fn published(batch_size: usize) -> Self {
        Self {
            lr: 1e-3 * batch_size as f64 / 512.0,
            min_lr: 1e-6,
            warmup_epochs: 0,
            warmup_lr: 1e-6,
        }
    }

    /// The learning rate of each of a number of epochs.
    pub fn config(&self, epochs: usize) -> CosineScheduleConfig {
        CosineScheduleConfig::new(self.lr, epochs)
            .with_lowest(self.min_lr)
            .with_warmup_epochs(self.warmup_epochs)
            .with_warmup(self.warmup_lr)
    }

    pub(super) fn validate(&self, epochs: usize) -> Result<(), Error> {
        if !(self.lr > 0.0 && self.lr <= 1.0) {
            let reason = format!("must be above 0 and at most 1, got {}", self.lr);
            return Err(Error::option("lr", reason));
        }
        for (option, value) in [("min_lr", self.min_lr), ("warmup_lr", self.warmup_lr)] {
            if !(value >= 0.0 && value <= self.lr) {
                let reason = format!("must be between 0 and lr ({}), got {value}", self.lr);
                return Err(Error::option(option, reason));
            }
        }
        if self.warmup_epochs > epochs {
            let reason = format!(
                "must be at most {epochs} epochs, got {}",
                self.warmup_epochs
            );
            return Err(Error::option("warmup_epochs", reason));
        }
        Ok(())
    }
}
