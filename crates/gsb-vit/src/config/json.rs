//! Configurations as JSON.

use std::fmt;

use burn::config::Config;
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
        let config: Self = flat(value)?;
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
        let unknown = fields.find(|(name, _)| known.get(name).is_none());
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

/// Reads a part of a configuration whose fields lie among the others, and says which of them is wrong: serde collects
/// them before it reads them, so a reader that follows the path of an error does not see their names.
pub(super) fn flat<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    serde_path_to_error::deserialize(from).map_err(D::Error::custom)
}

impl Config for VitConfig {}

/// As JSON.
impl fmt::Display for VitConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
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

    /// The variants are off where nothing is said of them.
    #[test]
    fn variants_need_not_be_named() {
        let mut value = serde_json::to_value(VitConfig::micro()).unwrap();
        let fields = value.as_object_mut().unwrap();
        for name in [
            "norm_epsilon",
            "binary_query_key",
            "token_shifts",
            "attention_bits",
            "value_gradient",
            "shift_bits",
        ] {
            assert!(fields.remove(name).is_some(), "{name}");
        }
        let config = VitConfig::from_json(&value.to_string()).unwrap();
        assert_eq!(config, VitConfig::micro());
    }

    #[test]
    fn a_field_that_is_lacking_is_named() {
        for name in ["mlp_width", "drop_path", "head_bits"] {
            let mut value = serde_json::to_value(VitConfig::micro()).unwrap();
            value.as_object_mut().unwrap().remove(name);
            let text = complaint(&value);
            let expected = format!("Transformer: missing field `{name}`");
            assert!(text.contains(&expected), "{text}");
        }
    }

    #[test]
    fn a_field_of_a_part_is_named_if_it_is_of_another_kind() {
        for name in ["dropout", "drop_path", "attention_bits", "initial_scales"] {
            let mut value = serde_json::to_value(VitConfig::micro()).unwrap();
            value[name] = Value::Bool(true);
            let text = complaint(&value);
            let expected = format!("Transformer: {name}: invalid type: boolean");
            assert!(text.contains(&expected), "{text}");
        }
    }

    fn complaint(value: &Value) -> String {
        VitConfig::from_json(&value.to_string())
            .unwrap_err()
            .to_string()
    }

    /// Files and checkpoints have the fields of the parts among the others.
    #[test]
    fn all_fields_lie_side_by_side() {
        let text = VitConfig::micro().to_json();
        let names: Vec<&str> = text
            .lines()
            .filter_map(|line| Some(line.strip_prefix("  \"")?.split_once('"')?.0))
            .collect();
        let expected = [
            "image_size",
            "classes",
            "patch_size",
            "channels",
            "width",
            "depth",
            "heads",
            "mlp_width",
            "distillation_token",
            "dropout",
            "attention_dropout",
            "drop_path",
            "norm_epsilon",
            "binary_query_key",
            "token_shifts",
            "scope",
            "attention_groups",
            "attention_bits",
            "value_groups",
            "initial_scales",
            "value_gradient",
            "head_bits",
            "patch_bits",
            "shift_bits",
            "initializer",
            "token_initializer",
        ];
        assert_eq!(names, expected);
    }
}
