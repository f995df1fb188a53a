//! How one phase is trained.

use gsb_core::distill::{BaseLoss, Distillation, DistillationLoss};
use gsb_vit::{Phase, VitConfig};
use serde::{Deserialize, Serialize};

use super::binarization::BinarizationRecipe;
use super::distillation::DistillationRecipe;
use super::optimizer::OptimizerRecipe;
use super::schedule::ScheduleRecipe;
use crate::error::Error;

/// How a phase is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseRecipe {
    /// Number of passes through the training images.
    pub epochs: usize,
    /// Images in a batch.
    pub batch_size: usize,
    /// Batches in a step.
    pub accumulation: usize,
    /// The learning rate of each epoch.
    pub schedule: ScheduleRecipe,
    /// What a step does to the weights.
    pub optimizer: OptimizerRecipe,
    /// What a student learns from the teacher.
    pub distillation: DistillationRecipe,
    /// How a student becomes binary.
    #[serde(default, skip_serializing_if = "BinarizationRecipe::is_default")]
    pub binarization: BinarizationRecipe,
    /// Label smoothing, at least 0 and below 1; of mixed targets as well.
    pub smoothing: f64,
    /// Decay of a moving average of the weights, which is then what is evaluated and kept.
    pub model_ema: Option<f64>,
    /// Ends the phase after this number of epochs without better top-1, not counting those in which
    /// [binarization sets in](BinarizationRecipe::gradual).
    pub patience: Option<usize>,
    /// Epochs from one checkpoint to the next.
    pub checkpoint_every: usize,
}

impl PhaseRecipe {
    /// The published recipe of a phase without its number of epochs and without distillation.
    pub fn published(batch_size: usize) -> Self {
        Self {
            epochs: 300,
            batch_size,
            accumulation: 1,
            schedule: ScheduleRecipe::published(batch_size),
            optimizer: OptimizerRecipe::published(),
            distillation: DistillationRecipe::published(Distillation::None),
            binarization: BinarizationRecipe::default(),
            smoothing: 0.0,
            model_ema: None,
            patience: None,
            checkpoint_every: 1,
        }
    }

    /// The loss; soft targets instead of labels if images are `mixed`.
    pub(crate) fn loss(&self, mixed: bool) -> Result<DistillationLoss, Error> {
        self.distillation.loss(if mixed {
            BaseLoss::SoftTarget
        } else if self.smoothing != 0.0 {
            BaseLoss::LabelSmoothing(self.smoothing)
        } else {
            BaseLoss::CrossEntropy
        })
    }

    /// Checks that the numbers go together. Options are named as this phase has them.
    pub(super) fn validate(&self, phase: Phase, model: &VitConfig) -> Result<(), Error> {
        for (option, value) in [
            ("epochs", self.epochs),
            ("batch_size", self.batch_size),
            ("accumulation", self.accumulation),
            ("checkpoint_every", self.checkpoint_every),
            ("patience", self.patience.unwrap_or(1)),
        ] {
            if value == 0 {
                return Err(Error::option(option, "must be at least 1, got 0"));
            }
        }
        let within =
            |group: &str, result: Result<(), Error>| result.map_err(|error| error.within(group));
        within("schedule", self.schedule.validate(self.epochs))?;
        within("optimizer", self.optimizer.validate())?;
        if self
            .model_ema
            .is_some_and(|decay| !(0.0..1.0).contains(&decay))
        {
            return Err(Error::option("model_ema", "must be at least 0 and below 1"));
        }
        within("distillation", self.distillation.validate(phase, model))?;
        within("binarization", self.binarization.validate(phase))?;
        self.loss(false).map(drop)
    }
}
