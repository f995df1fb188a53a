//! How a phase becomes binary.

use gsb_vit::Phase;
use serde::{Deserialize, Serialize};

use super::numbers::{is_zero, not_negative};
use crate::error::Error;

/// How values and weights become binary in the course of a phase. By default, and as published, they are binary from the
/// first step on.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinarizationRecipe {
    /// Stage 2: the share of the steps over which binarization sets in, from the float values to the binary ones;
    /// 0 for binary ones from the first step on. See [`Blend`](gsb_core::binarize::Blend).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gradual: f64,
    /// Students: how much latent weights that are off their scale count towards the end; rises evenly from 0 in the
    /// middle of the phase. See [`weight_pull`](gsb_core::binarize::weight_pull).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub weight_pull: f64,
}

impl BinarizationRecipe {
    /// Whether it is that of recipes from before it could be chosen, which say nothing of it.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The epochs out of so many before binarization is complete, a begun one included.
    pub(crate) fn unsettled(&self, epochs: usize) -> usize {
        // Not one more for what rounding adds, as to 0.28 * 300.
        (self.gradual * epochs as f64 - 1e-9).ceil() as usize
    }

    pub(super) fn validate(&self, phase: Phase) -> Result<(), Error> {
        if !(0.0..=1.0).contains(&self.gradual) {
            let reason = format!("must be between 0 and 1, got {}", self.gradual);
            return Err(Error::option("gradual", reason));
        }
        if self.gradual > 0.0 && phase != Phase::Stage2 {
            let reason = "stage 2 alone binarizes activations";
            return Err(Error::option("gradual", reason));
        }
        not_negative("weight_pull", self.weight_pull)?;
        if self.weight_pull > 0.0 && phase == Phase::Teacher {
            let reason = "the teacher has no binary weights";
            return Err(Error::option("weight_pull", reason));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begun_epochs_are_unsettled_and_rounding_begins_none() {
        let unsettled = |gradual, epochs| {
            let recipe = BinarizationRecipe {
                gradual,
                ..BinarizationRecipe::default()
            };
            recipe.unsettled(epochs)
        };
        assert_eq!(unsettled(0.0, 300), 0);
        assert_eq!(unsettled(0.28, 300), 84);
        assert_eq!(unsettled(0.07, 100), 7);
        assert_eq!(unsettled(0.35, 28), 10);
        assert_eq!(unsettled(1.0, 5), 5);
    }
}
