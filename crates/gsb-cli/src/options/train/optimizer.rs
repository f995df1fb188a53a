//! The steps of the phases.

use clap::Args;
use serde::Serialize;

use crate::options::numbers::{above_zero, not_negative};

/// How gradients move weights.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct OptimizerArgs {
    /// Weight decay
    #[arg(long, value_name = "DECAY", value_parser = not_negative, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,

    /// Learning rate of scales, relative to the rest
    #[arg(long, value_name = "FACTOR", value_parser = not_negative, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_rate: Option<f64>,

    /// Learning rate of shifts and scales of attention matrices, relative to the rest
    #[arg(long, value_name = "FACTOR", value_parser = not_negative, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention_rate: Option<f64>,

    /// Keep learned scales positive
    #[arg(long, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub positive_scales: bool,

    /// Highest norm of the gradient of a step
    #[arg(long, value_name = "NORM", value_parser = above_zero, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_grad: Option<f64>,
}

/// How gradients move the weights of stage 2, apart from the others.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct Stage2OptimizerArgs {
    /// Weight decay of stage 2
    #[arg(id = "stage2_weight_decay", long = "stage2-weight-decay", value_name = "DECAY", value_parser = not_negative, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
}
