//! What a phase learns from the teacher.

use gsb_core::distill::{BaseLoss, Distillation, DistillationLoss, DistillationLossConfig};
use gsb_vit::{Phase, VitConfig};
use serde::{Deserialize, Serialize};

use super::numbers::{is_zero, not_negative};
use crate::error::Error;
use crate::step::InsideLoss;

/// What a student learns from the teacher, and how much it counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistillationRecipe {
    /// What the distillation head learns from the teacher. In files it is the `type`: a `kind` there tells alternatives
    /// that replace one another whole, such as those of a [`Crop`](gsb_data::Crop).
    #[serde(rename = "type")]
    pub kind: Distillation,
    /// The share of the distillation in the loss, above 0 and below 1: the rest is what the class head learns from labels, and the
    /// logits are the mean of both heads.
    pub alpha: f64,
    /// The temperature of soft distillation.
    pub temperature: f64,
    /// How much the hidden states after each block count that differ from the teacher's, beside the loss of the logits;
    /// 0 for not at all. See [`hidden_state_loss`](gsb_core::distill::hidden_state_loss). Where the teacher has another width,
    /// a linear map makes the student's as wide; it is trained with the student, and no part of what is kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hidden: f64,
    /// How much the attention matrices count that differ from the teacher's; 0 for not at all. See
    /// [`attention_loss`](gsb_core::distill::attention_loss).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attention: f64,
    /// How much the similarities among the tokens after each block count that differ from the teacher's; 0 for not
    /// at all. Widths may differ. See [`hidden_similarity_loss`](gsb_core::distill::hidden_similarity_loss).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub similarity: f64,
}

impl DistillationRecipe {
    /// The published weights of the losses: the logits of the teacher have the half, its inside nothing.
    pub fn published(kind: Distillation) -> Self {
        Self {
            kind,
            alpha: 0.5,
            temperature: 1.0,
            hidden: 0.0,
            attention: 0.0,
            similarity: 0.0,
        }
    }

    /// Whether there is a teacher to learn from.
    pub(crate) fn distils(&self) -> bool {
        self.kind != Distillation::None
    }

    /// The loss of the logits, with what the class head learns.
    pub(crate) fn loss(&self, base: BaseLoss) -> Result<DistillationLoss, Error> {
        let config = DistillationLossConfig::new()
            .with_kind(self.kind)
            .with_alpha(self.alpha)
            .with_temperature(self.temperature)
            .with_base(base);
        Ok(config.init()?)
    }

    /// The loss of what happens inside the teacher, if the student learns from that and not from its logits alone.
    pub(crate) fn inside(&self) -> Option<InsideLoss> {
        self.inside_option().map(|_| InsideLoss {
            hidden: self.hidden,
            attention: self.attention,
            similarity: self.similarity,
        })
    }

    /// The first option by which the student learns from the inside of the teacher.
    pub(super) fn inside_option(&self) -> Option<&'static str> {
        let mut weights = self.inside_weights().into_iter();
        let first = weights.find(|(_, weight)| *weight > 0.0);
        first.map(|(option, _)| option)
    }

    /// How much each part of the inside counts.
    fn inside_weights(&self) -> [(&'static str, f64); 3] {
        [
            ("hidden", self.hidden),
            ("attention", self.attention),
            ("similarity", self.similarity),
        ]
    }

    pub(super) fn validate(&self, phase: Phase, model: &VitConfig) -> Result<(), Error> {
        if phase == Phase::Teacher && self.distils() {
            let reason = "the teacher has no teacher: expected none";
            return Err(Error::option("type", reason));
        }
        for (option, weight) in self.inside_weights() {
            not_negative(option, weight)?;
            if weight > 0.0 && !self.distils() {
                let reason = "needs a teacher, which a phase without distillation does not ask";
                return Err(Error::option(option, reason));
            }
        }
        if self.distils() && !model.distillation_token {
            let reason = "needs a model with a distillation token";
            return Err(Error::option("type", reason));
        }
        if self.distils() && !(self.alpha > 0.0 && self.alpha < 1.0) {
            let reason = format!(
                "must be above 0 and below 1, got {}: one of the heads, whose mean the logits are, would learn nothing",
                self.alpha
            );
            return Err(Error::option("alpha", reason));
        }
        if self.attention > 0.0 && model.dropout.attention > 0.0 {
            let reason = "compares attention matrices, of which the model's attention_dropout leaves out parts";
            return Err(Error::option("attention", reason));
        }
        Ok(())
    }
}
