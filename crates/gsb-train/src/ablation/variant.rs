//! What an ablation varies.

use std::fmt;

use gsb_core::binarize::{InitialScales, ThresholdScope};
use gsb_core::distill::Distillation;
use gsb_vit::{Phase, Stage2Config};
use serde::{Deserialize, Serialize};

use crate::recipe::Recipe;

/// A stage-2 student as the paper's tables vary it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Variant {
    /// Groups of the attention matrix: 1 is the plain binarizer, 3 GSB.
    pub attention_groups: usize,
    /// Groups of the value: 1 is the plain binarizer, 3 GSB.
    pub value_groups: usize,
    /// Whether it learns from the teacher as well.
    pub distilled: bool,
    /// 2 if it starts from a stage-1 student; 1 if it starts as the base says, and trains for the epochs of both stages, or
    /// for those of stage 2 alone if the base trains no stage 1.
    pub stages: u8,
    /// The elements that share thresholds.
    pub scope: ThresholdScope,
    /// How the scales of the groups start.
    pub initial_scales: InitialScales,
}

impl Variant {
    /// The variants of the paper's tables: plain, GSB on the attention matrix, on the value, on both;
    /// each with and without distillation, in one stage and in two.
    pub fn published(scope: ThresholdScope, initial_scales: InitialScales) -> Vec<Self> {
        let mut variants = Vec::new();
        for stages in [2, 1] {
            for distilled in [true, false] {
                for (attention_groups, value_groups) in [(1, 1), (3, 1), (1, 3), (3, 3)] {
                    variants.push(Self {
                        attention_groups,
                        value_groups,
                        distilled,
                        stages,
                        scope,
                        initial_scales,
                    });
                }
            }
        }
        variants
    }

    /// What is binarized how.
    pub fn binarizer(&self) -> &'static str {
        match (self.attention_groups > 1, self.value_groups > 1) {
            (false, false) => "plain",
            (true, false) => "GSB attention",
            (false, true) => "GSB value",
            (true, true) => "GSB both",
        }
    }

    /// The recipe of its last phase, or of the stage 1 that it starts from.
    pub(super) fn recipe(&self, base: &Recipe, phase: Phase, seed: u64) -> Recipe {
        let mut recipe = base.clone();
        recipe.seed = seed;
        recipe.phases = vec![phase];
        recipe.model.stage2 = Stage2Config {
            attention_groups: self.attention_groups,
            value_groups: self.value_groups,
            scope: self.scope,
            initial_scales: self.initial_scales,
            ..recipe.model.stage2
        };
        // A distillation token that nobody teaches would be a second class token.
        recipe.model.distillation_token = self.distilled;
        if !self.distilled {
            recipe.stage1.distillation.kind = Distillation::None;
            recipe.stage2.distillation.kind = Distillation::None;
        }
        if self.stages == 1 && base.trains(Phase::Stage1) {
            recipe.stage2.epochs += recipe.stage1.epochs;
        }
        recipe
    }

    /// A name for its folders and files, such as `a3-v3-distilled-2stage-row-residual`.
    pub fn slug(&self) -> String {
        format!(
            "a{}-v{}-{}-{}stage-{:?}-{:?}",
            self.attention_groups,
            self.value_groups,
            if self.distilled {
                "distilled"
            } else {
                "labels"
            },
            self.stages,
            self.scope,
            self.initial_scales,
        )
        .to_lowercase()
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {}, {} stage{}, {:?}, {:?}",
            self.binarizer(),
            if self.distilled {
                "distilled"
            } else {
                "labels only"
            },
            self.stages,
            if self.stages == 1 { "" } else { "s" },
            self.scope,
            self.initial_scales,
        )
    }
}
