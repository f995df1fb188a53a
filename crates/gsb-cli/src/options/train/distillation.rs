//! What students learn from the teacher.

use clap::Args;
use gsb_core::distill::Distillation;
use serde::Serialize;

use crate::options::names::{DistillationName, named};
use crate::options::numbers::{above_zero, not_negative, part};

/// What students learn from the teacher, and how much it counts.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct DistillationArgs {
    /// How students learn from the teacher
    #[arg(id = "distillation_type", long = "distillation-type", value_parser = named::<DistillationName, Distillation>(), value_name = "TYPE", help_heading = "Distillation")]
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Distillation>,

    /// Share of the distillation in the loss
    #[arg(id = "distillation_alpha", long = "distillation-alpha", value_name = "SHARE", value_parser = part, help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,

    /// Temperature of soft distillation
    #[arg(id = "distillation_tau", long = "distillation-tau", value_name = "TAU", value_parser = above_zero, help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,

    /// Weight in the loss of the difference between the student's and the teacher's hidden states, after each block
    #[arg(id = "distillation_hidden", long = "distillation-hidden", value_name = "WEIGHT", value_parser = not_negative, help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<f64>,

    /// Weight in the loss of the difference between the student's and the teacher's attention matrices, in each block
    #[arg(id = "distillation_attention", long = "distillation-attention", value_name = "WEIGHT", value_parser = not_negative, help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention: Option<f64>,

    /// Weight in the loss of the difference between the similarities of the student's tokens to each other and of the
    /// teacher's, after each block; widths may differ
    #[arg(id = "distillation_similarity", long = "distillation-similarity", value_name = "WEIGHT", value_parser = not_negative, help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub similarity: Option<f64>,
}
