//! What is changed of the model.

use clap::Args;
use gsb_core::binarize::{InitialScales, ThresholdScope, ValueGradient};
use serde::Serialize;

use crate::options::names::{GradientName, InitialName, ScopeName, named};
use crate::options::numbers::{below_one, positive};

/// What is changed of the model.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct ModelArgs {
    /// Height and width that images are brought to
    #[arg(long = "input-size", value_name = "PIXELS", value_parser = positive(), help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_size: Option<usize>,

    /// Groups of the attention matrix, 1 (plain) to 3 (GSB)
    #[arg(long, value_name = "GROUPS", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention_groups: Option<usize>,

    /// Bits of the levels of the attention matrix, 1 to 4; more than one take the place of groups
    #[arg(long, value_name = "BITS", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention_bits: Option<u8>,

    /// Groups of the value, 1 (plain) to 3 (GSB)
    #[arg(long, value_name = "GROUPS", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_groups: Option<usize>,

    /// Which elements share the thresholds of the groups
    #[arg(long, value_parser = named::<ScopeName, ThresholdScope>(), help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<ThresholdScope>,

    /// How the scales of the groups start
    #[arg(long, value_parser = named::<InitialName, InitialScales>(), help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_scales: Option<InitialScales>,

    /// Where the groups of the value let the gradient pass
    #[arg(long, value_parser = named::<GradientName, ValueGradient>(), help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_gradient: Option<ValueGradient>,

    /// Bits in which shifts of attention matrices are trained and packed: 8, 16 or 32
    #[arg(long, value_name = "BITS", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shift_bits: Option<u8>,

    /// Give query and key of the teacher one bit, with a scale for each token
    #[arg(long, help_heading = "Model")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub binary_query_key: bool,

    /// Add copies of the neighbouring patches before each layer of the students' MLPs
    #[arg(long, help_heading = "Model")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub token_shifts: bool,

    /// Dropout
    #[arg(long = "drop", value_name = "RATE", value_parser = below_one, help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,

    /// Drop path (stochastic depth)
    #[arg(long, value_name = "RATE", value_parser = below_one, help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_path: Option<f64>,
}
