//! How training images are mixed.

use clap::Args;
use serde::Serialize;

use crate::options::numbers::not_negative;

/// How training images are mixed.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct MixupArgs {
    /// Mixup with Beta(ALPHA, ALPHA); 0 for none
    #[arg(long = "mixup", value_name = "ALPHA", value_parser = not_negative, help_heading = "Augmentation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixup_alpha: Option<f64>,

    /// CutMix with Beta(ALPHA, ALPHA); 0 for none
    #[arg(long = "cutmix", value_name = "ALPHA", value_parser = not_negative, help_heading = "Augmentation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cutmix_alpha: Option<f64>,
}
