//! What all phases have in common.

use clap::Args;
use gsb_train::TeacherLogits;
use gsb_vit::Phase;
use serde::{Serialize, Serializer};

use crate::options::numbers::few;

/// What all phases have in common.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct RecipeArgs {
    /// Decides initial weights, order and augmentation of the images
    #[arg(long, help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,

    /// Threads that read and augment images
    #[arg(long, value_name = "THREADS", help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,

    /// Phases to train, in their order
    #[arg(
        long = "phase",
        value_name = "PHASE",
        value_delimiter = ',',
        help_heading = "Recipe"
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<Phase>,

    /// Phases whose images are mixed, where --mixup or --cutmix are given [default: all]
    #[arg(
        long = "mixup-phase",
        value_name = "PHASE",
        value_delimiter = ',',
        help_heading = "Augmentation"
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mixup_phases: Vec<Phase>,

    /// Ask the teacher once for each image as it is, not for every augmented one
    #[arg(long = "cache-teacher", help_heading = "Distillation")]
    #[serde(skip_serializing_if = "std::ops::Not::not", serialize_with = "cached")]
    pub teacher_logits: bool,

    /// How often an image appears in an epoch (repeated augmentation)
    #[arg(long = "repeated-aug", value_name = "TIMES", value_parser = few(), help_heading = "Augmentation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<usize>,
}

fn cached<S: Serializer>(_: &bool, to: S) -> Result<S::Ok, S::Error> {
    TeacherLogits::Cached.serialize(to)
}
