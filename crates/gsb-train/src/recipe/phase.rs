//! How one phase is trained.

use gsb_core::distill::{BaseLoss, Distillation, DistillationLoss, DistillationLossConfig};
use gsb_vit::{Phase, VitConfig};
use serde::{Deserialize, Serialize};

use super::parity::Parity;
use crate::error::Error;
use crate::optimizer::{CosineScheduleConfig, OptimizerConfig};

/// How a phase is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseRecipe {
    /// Number of passes through the training images.
    pub epochs: usize,
    /// Images in a batch.
    pub batch_size: usize,
    /// The highest learning rate.
    pub lr: f64,
    /// The learning rate at the end.
    pub min_lr: f64,
    /// Epochs of linear warm-up.
    pub warmup_epochs: usize,
    /// The learning rate that the warm-up starts from.
    pub warmup_lr: f64,
    /// How much a weight decays, relative to the learning rate.
    pub weight_decay: f64,
    /// Whom the distillation head learns from.
    pub distillation: Distillation,
    /// The share of the distillation in the loss, `0..=1`.
    pub distillation_alpha: f64,
    /// The temperature of soft distillation.
    pub distillation_tau: f64,
    /// How much the hidden states after each block count that differ from the teacher's, beside the loss of the logits;
    /// 0 for not at all. See [`hidden_state_loss`](gsb_core::distill::hidden_state_loss). Where the teacher has another width,
    /// a linear map makes the student's as wide; it is trained with the student, and no part of what is kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub distillation_hidden: f64,
    /// How much the attention matrices count that differ from the teacher's; 0 for not at all. See
    /// [`attention_loss`](gsb_core::distill::attention_loss).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub distillation_attention: f64,
    /// How much the similarities among the tokens after each block count that differ from the teacher's; 0 for not
    /// at all. Widths may differ. See [`hidden_similarity_loss`](gsb_core::distill::hidden_similarity_loss).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub distillation_similarity: f64,
    /// The learning rate of scales, relative to that of the rest.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub scale_rate: f64,
    /// The learning rate of shifts and scales of attention matrices, relative to that of the rest; of those scales,
    /// instead of `scale_rate`.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub attention_rate: f64,
    /// Stage 2: the share of the steps over which binarization sets in, from the float values to the binary ones;
    /// 0 for binary ones from the first step on. See [`Blend`](gsb_core::binarize::Blend).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gradual: f64,
    /// Students: how much latent weights count in the last step that are off their scale; rises evenly from 0 in the
    /// middle of the phase. See [`weight_pull`](gsb_core::binarize::weight_pull).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub weight_pull: f64,
    /// Label smoothing, at least 0 and below 1; of mixed targets as well.
    pub smoothing: f64,
    /// The highest norm of a step's gradient; longer ones are shortened to it.
    pub clip_grad: Option<f64>,
    /// Batches in a step.
    pub accumulation: usize,
    /// Decay of a moving average of the weights, which is then what is evaluated and kept.
    pub model_ema: Option<f64>,
    /// Ends the phase after this number of epochs without better top-1.
    pub patience: Option<usize>,
    /// Epochs from one checkpoint to the next.
    pub checkpoint_every: usize,
}

/// Whether a weight is that of recipes from before it could be chosen, which say nothing of it.
fn is_zero(weight: &f64) -> bool {
    *weight == 0.0
}

fn one() -> f64 {
    1.0
}

fn is_one(rate: &f64) -> bool {
    *rate == 1.0
}

impl PhaseRecipe {
    /// The published recipe of a phase without its number of epochs and without distillation.
    pub fn published(batch_size: usize) -> Self {
        Self {
            epochs: 300,
            batch_size,
            lr: 1e-3 * batch_size as f64 / 512.0,
            min_lr: 1e-6,
            warmup_epochs: 0,
            warmup_lr: 1e-6,
            weight_decay: 0.05,
            distillation: Distillation::None,
            distillation_alpha: 0.5,
            distillation_tau: 1.0,
            distillation_hidden: 0.0,
            distillation_attention: 0.0,
            distillation_similarity: 0.0,
            scale_rate: 1.0,
            attention_rate: 1.0,
            gradual: 0.0,
            weight_pull: 0.0,
            smoothing: 0.0,
            clip_grad: None,
            accumulation: 1,
            model_ema: None,
            patience: None,
            checkpoint_every: 1,
        }
    }

    /// The learning rate of each epoch.
    pub fn schedule(&self) -> CosineScheduleConfig {
        CosineScheduleConfig::new(self.lr, self.epochs)
            .with_lowest(self.min_lr)
            .with_warmup_epochs(self.warmup_epochs)
            .with_warmup(self.warmup_lr)
    }

    /// The optimizer.
    pub fn optimizer(&self, parity: Parity) -> OptimizerConfig {
        OptimizerConfig::new()
            .with_weight_decay(self.weight_decay)
            .with_decay_scales(parity.decay_scales)
            .with_scale_rate(self.scale_rate)
            .with_attention_rate(self.attention_rate)
    }

    /// The loss; soft targets instead of labels if images are `mixed`.
    pub(crate) fn loss(&self, mixed: bool) -> Result<DistillationLoss, Error> {
        let base = if mixed {
            BaseLoss::SoftTarget
        } else if self.smoothing > 0.0 {
            BaseLoss::LabelSmoothing(self.smoothing)
        } else {
            BaseLoss::CrossEntropy
        };
        let config = DistillationLossConfig::new()
            .with_kind(self.distillation)
            .with_alpha(self.distillation_alpha)
            .with_temperature(self.distillation_tau)
            .with_base(base);
        Ok(config.init()?)
    }

    /// Whether the student learns from what happens inside the teacher, not from its logits alone.
    pub(crate) fn distils_inside(&self) -> bool {
        self.distillation_hidden > 0.0
            || self.distillation_attention > 0.0
            || self.distillation_similarity > 0.0
    }

    pub(super) fn validate(&self, phase: Phase, model: &VitConfig) -> Result<(), Error> {
        let wrong =
            |option: &str, reason: String| Err(Error::option(format!("{phase}.{option}"), reason));
        for (option, value) in [
            ("epochs", self.epochs),
            ("batch_size", self.batch_size),
            ("accumulation", self.accumulation),
            ("checkpoint_every", self.checkpoint_every),
            ("patience", self.patience.unwrap_or(1)),
        ] {
            if value == 0 {
                return wrong(option, "must be at least 1, got 0".into());
            }
        }
        if !(self.lr > 0.0 && self.lr <= 1.0) {
            return wrong(
                "lr",
                format!("must be above 0 and at most 1, got {}", self.lr),
            );
        }
        for (option, value) in [("min_lr", self.min_lr), ("warmup_lr", self.warmup_lr)] {
            if !(value >= 0.0 && value <= self.lr) {
                let reason = format!("must be between 0 and lr ({}), got {value}", self.lr);
                return wrong(option, reason);
            }
        }
        if self.warmup_epochs > self.epochs {
            let reason = format!(
                "must be at most {} epochs, got {}",
                self.epochs, self.warmup_epochs
            );
            return wrong("warmup_epochs", reason);
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            let reason = format!("must be at least 0 and finite, got {}", self.weight_decay);
            return wrong("weight_decay", reason);
        }
        if self
            .clip_grad
            .is_some_and(|norm| !(norm > 0.0 && norm.is_finite()))
        {
            return wrong("clip_grad", "must be above 0 and finite".into());
        }
        if self
            .model_ema
            .is_some_and(|decay| !(0.0..1.0).contains(&decay))
        {
            return wrong("model_ema", "must be at least 0 and below 1".into());
        }
        let distils = self.distillation != Distillation::None;
        if phase == Phase::Teacher && distils {
            return wrong(
                "distillation",
                "the teacher has no teacher: expected none".into(),
            );
        }
        for (option, weight) in [
            ("distillation_hidden", self.distillation_hidden),
            ("distillation_attention", self.distillation_attention),
            ("distillation_similarity", self.distillation_similarity),
        ] {
            if !(weight >= 0.0 && weight.is_finite()) {
                return wrong(
                    option,
                    format!("must be at least 0 and finite, got {weight}"),
                );
            }
            if weight > 0.0 && !distils {
                let reason =
                    "needs a teacher, which a phase without distillation does not ask".into();
                return wrong(option, reason);
            }
        }
        for (option, rate) in [
            ("scale_rate", self.scale_rate),
            ("attention_rate", self.attention_rate),
        ] {
            if !(rate >= 0.0 && rate.is_finite()) {
                return wrong(option, format!("must be at least 0 and finite, got {rate}"));
            }
        }
        if !(0.0..=1.0).contains(&self.gradual) {
            let reason = format!("must be between 0 and 1, got {}", self.gradual);
            return wrong("gradual", reason);
        }
        if self.gradual > 0.0 && phase != Phase::Stage2 {
            return wrong("gradual", "stage 2 alone binarizes activations".into());
        }
        if !(self.weight_pull >= 0.0 && self.weight_pull.is_finite()) {
            let reason = format!("must be at least 0 and finite, got {}", self.weight_pull);
            return wrong("weight_pull", reason);
        }
        if self.weight_pull > 0.0 && phase == Phase::Teacher {
            return wrong("weight_pull", "the teacher has no binary weights".into());
        }
        if distils && !model.distillation_token {
            let reason = "needs a model with a distillation token".into();
            return wrong("distillation", reason);
        }
        self.loss(false)?;
        Ok(())
    }
}
