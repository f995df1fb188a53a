//! The steps of a phase.

use serde::{Deserialize, Serialize};

use super::numbers::not_negative;
use super::parity::Parity;
use crate::error::Error;
use crate::optimizer::OptimizerConfig;

/// How the gradients of a phase move its weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerRecipe {
    /// How much a weight decays, relative to the learning rate.
    pub weight_decay: f64,
    /// The learning rate of scales, relative to that of the rest.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub scale_rate: f64,
    /// The learning rate of shifts and scales of attention matrices, relative to that of the rest; of those scales,
    /// instead of `scale_rate`.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub attention_rate: f64,
    /// Whether scales stay positive, see [`OptimizerConfig::positive_scales`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub positive_scales: bool,
    /// The highest norm of a step's gradient; longer ones are shortened to it.
    pub clip_grad: Option<f64>,
}

fn one() -> f64 {
    1.0
}

fn is_one(rate: &f64) -> bool {
    *rate == 1.0
}

impl OptimizerRecipe {
    /// The published weight decay, one learning rate for all, and gradients as they are.
    pub fn published() -> Self {
        Self {
            weight_decay: 0.05,
            scale_rate: 1.0,
            attention_rate: 1.0,
            positive_scales: false,
            clip_grad: None,
        }
    }

    /// The optimizer. It does not clip gradients: that is [`clip_by_norm`](crate::clip_by_norm)'s.
    pub fn config(&self, parity: Parity) -> OptimizerConfig {
        OptimizerConfig::new()
            .with_weight_decay(self.weight_decay)
            .with_decay_scales(parity.decay_scales)
            .with_scale_rate(self.scale_rate)
            .with_attention_rate(self.attention_rate)
            .with_positive_scales(self.positive_scales)
    }

    pub(super) fn validate(&self) -> Result<(), Error> {
        not_negative("weight_decay", self.weight_decay)?;
        if self
            .clip_grad
            .is_some_and(|norm| !(norm > 0.0 && norm.is_finite()))
        {
            return Err(Error::option("clip_grad", "must be above 0 and finite"));
        }
        not_negative("scale_rate", self.scale_rate)?;
        not_negative("attention_rate", self.attention_rate)
    }
}
