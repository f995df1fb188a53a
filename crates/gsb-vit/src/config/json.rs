//! Configurations as JSON.

use std::fmt;

use burn::config::Config;
use burn::nn::Initializer;
use gsb_core::binarize::{InitialScales, ThresholdScope};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::Value;

use super::vit::VitConfig;
use crate::error::Error;

impl VitConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`Error::Json`] if the text is not a configuration; see also [`validate`](Self::validate).
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let value: Value = serde_json::from_str(text)?;
        Self::check_fields(&value)?;
        let config: Self = serde_json::from_value(value)?;
        config.validate()?;
        Ok(config)
    }

    /// Checks that the fields of an object, some or all, are those of a configuration.
    ///
    /// # Errors
    /// [`Error::Json`] for the first that is not.
    pub fn check_fields(value: &Value) -> Result<(), Error> {
        let known = serde_json::to_value(Self::micro()).expect("numbers, enums and strings");
        let mut fields = value.as_object().into_iter().flatten();
        let unknown = fields.find(|(name, _)| known.get(name).is_none() && *name != MLP_RATIO);
        let Some((name, _)) = unknown else {
            return Ok(());
        };
        let known = known.as_object().into_iter().flatten();
        let known: Vec<&str> = known.map(|(name, _)| name.as_str()).collect();
        let known = known.join(", ");
        Err(Error::Json(serde_json::Error::custom(format!(
            "unknown field `{name}`, expected one of {known}"
        ))))
    }

    /// The configuration as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers, enums and strings")
    }
}

impl Config for VitConfig {}

/// As JSON.
impl fmt::Display for VitConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

/// What a configuration used to say in the place of `mlp_width`: its quotient with the width.
const MLP_RATIO: &str = "mlp_ratio";

impl<'de> Deserialize<'de> for VitConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Stored {
            image_size,
            classes,
            patch_size,
            channels,
            width,
            depth,
            heads,
            mlp_width,
            distillation_token,
            dropout,
            attention_dropout,
            drop_path,
            norm_epsilon,
            binary_query_key,
            token_shifts,
            scope,
            attention_groups,
            attention_bits,
            value_groups,
            initial_scales,
            head_bits,
            patch_bits,
            shift_bits,
            initializer,
            token_initializer,
            mlp_ratio,
        } = Stored::deserialize(deserializer)?;
        let mlp_width = match (mlp_width, mlp_ratio) {
            (Some(mlp_width), None) => mlp_width,
            (None, Some(ratio)) => (width as f64 * ratio) as usize,
            (None, None) => return Err(D::Error::missing_field("mlp_width")),
            (Some(_), Some(_)) => {
                return Err(D::Error::custom(
                    "`mlp_ratio` is the former way to say `mlp_width`: give one of them",
                ));
            }
        };
        Ok(Self {
            image_size,
            classes,
            patch_size,
            channels,
            width,
            depth,
            heads,
            mlp_width,
            distillation_token,
            dropout,
            attention_dropout,
            drop_path,
            norm_epsilon,
            binary_query_key: binary_query_key.unwrap_or(false),
            token_shifts: token_shifts.unwrap_or(false),
            scope,
            attention_groups,
            attention_bits: attention_bits.unwrap_or(1),
            value_groups,
            initial_scales,
            head_bits,
            patch_bits,
            // Configurations from before they could be chosen say nothing of them.
            shift_bits: shift_bits.unwrap_or(32),
            initializer,
            token_initializer,
        })
    }
}

/// The fields as they may be stored.
#[derive(serde::Deserialize)]
#[serde(rename = "VitConfig")]
struct Stored {
    image_size: usize,
    classes: usize,
    patch_size: usize,
    channels: usize,
    width: usize,
    depth: usize,
    heads: usize,
    mlp_width: Option<usize>,
    distillation_token: bool,
    dropout: f64,
    attention_dropout: f64,
    drop_path: f64,
    norm_epsilon: Option<f64>,
    binary_query_key: Option<bool>,
    token_shifts: Option<bool>,
    scope: ThresholdScope,
    attention_groups: usize,
    attention_bits: Option<u8>,
    value_groups: usize,
    initial_scales: InitialScales,
    head_bits: u8,
    patch_bits: u8,
    shift_bits: Option<u8>,
    initializer: Initializer,
    token_initializer: Initializer,
    mlp_ratio: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_get_the_known_ones() {
        let text = VitConfig::micro()
            .to_json()
            .replace("\"depth\"", "\"Depth\"");
        let text = VitConfig::from_json(&text).unwrap_err().to_string();
        assert!(
            text.contains("unknown field `Depth`, expected one of"),
            "{text}"
        );
    }

    /// As this library wrote it when it stored a ratio.
    const WITH_RATIO: &str = r#"{
        "image_size": 8, "classes": 10, "patch_size": 2, "channels": 1, "width": 60, "depth": 4, "heads": 4,
        "mlp_ratio": 2.7, "distillation_token": true, "dropout": 0.0, "attention_dropout": 0.0, "drop_path": 0.0,
        "scope": "Sample", "attention_groups": 3, "value_groups": 3, "initial_scales": "published",
        "head_bits": 8, "patch_bits": 8, "initializer": {"Normal": {"mean": 0.0, "std": 0.02}},
        "token_initializer": {"Normal": {"mean": 0.0, "std": 0.5}}
    }"#;

    #[test]
    fn a_stored_ratio_is_the_width_that_it_was() {
        let config = VitConfig::from_json(WITH_RATIO).unwrap();
        let expected = VitConfig::micro().with_width(60).with_mlp_width(162);
        assert_eq!(config, expected);
        let text = config.to_json();
        assert!(text.contains("\"mlp_width\": 162") && !text.contains(MLP_RATIO));
        assert_eq!(VitConfig::from_json(&text).unwrap(), config);
    }

    #[test]
    fn a_width_and_a_ratio_are_one_too_many() {
        let complaint = |to: &str| {
            let text = WITH_RATIO.replace("\"mlp_ratio\": 2.7,", to);
            VitConfig::from_json(&text).unwrap_err().to_string()
        };
        let both = complaint("\"mlp_ratio\": 2.7, \"mlp_width\": 162,");
        assert!(both.ends_with("`mlp_width`: give one of them"), "{both}");
        let none = complaint("");
        assert!(none.contains("missing field `mlp_width`"), "{none}");
        let nothing = complaint("\"mlp_ratio\": 0.001,");
        assert!(nothing.contains("positive MLP width, got 0"), "{nothing}");
    }
}
