//! How students become binary.

use clap::Args;
use serde::Serialize;

use crate::options::numbers::{fraction, not_negative};

/// How students become binary.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct BinarizationArgs {
    /// Weight of a penalty that pulls each latent weight towards plus or minus its scale; grows from 0 in the
    /// middle of the phase
    #[arg(long, value_name = "WEIGHT", value_parser = not_negative, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_pull: Option<f64>,
}

/// How the student of stage 2 becomes binary, whose activations are as well.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct Stage2BinarizationArgs {
    /// Share of stage 2 over which binarization sets in
    #[arg(long, value_name = "SHARE", value_parser = fraction, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gradual: Option<f64>,
}
