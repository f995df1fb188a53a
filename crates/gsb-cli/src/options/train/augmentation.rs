//! How training images are augmented.

use clap::Args;
use gsb_data::ColorJitter;
use serde::{Serialize, Serializer};
use serde_json::json;

use crate::options::numbers::{fraction, not_negative};

/// How training images are augmented.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct AugmentationArgs {
    /// Colour jitter, where there is no RandAugment; 0 for none
    #[arg(long, value_name = "STRENGTH", value_parser = not_negative, help_heading = "Augmentation")]
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "jitter")]
    pub color_jitter: Option<f64>,

    /// RandAugment, such as rand-m9-mstd0.5-inc1, or none
    #[arg(long = "aa", value_name = "POLICY", help_heading = "Augmentation")]
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "policy")]
    pub rand_augment: Option<String>,

    /// Probability of random erasing
    #[arg(long = "reprob", value_name = "PROBABILITY", value_parser = fraction, help_heading = "Augmentation")]
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "erasing")]
    pub random_erasing: Option<f64>,
}

/// None for strength 0.
fn jitter<S: Serializer>(strength: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    let strength = strength.filter(|&strength| strength > 0.0);
    strength.map(ColorJitter::uniform).serialize(to)
}

fn policy<S: Serializer>(policy: &Option<String>, to: S) -> Result<S::Ok, S::Error> {
    policy
        .as_deref()
        .filter(|&policy| policy != "none")
        .serialize(to)
}

/// None for probability 0. What else there is to say of it stays as it is.
fn erasing<S: Serializer>(probability: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    let probability = probability.filter(|&probability| probability > 0.0);
    probability
        .map(|probability| json!({ "probability": probability }))
        .serialize(to)
}
