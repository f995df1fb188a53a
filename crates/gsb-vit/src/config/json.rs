//! Configurations as JSON.

use std::fmt;

use burn::config::Config;
use serde::de::Error as _;
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
            "shift_bits",
        ] {
            assert!(fields.remove(name).is_some(), "{name}");
        }
        let config = VitConfig::from_json(&value.to_string()).unwrap();
        assert_eq!(config, VitConfig::micro());
    }

    #[test]
    fn a_field_that_is_lacking_is_named() {
        let mut value = serde_json::to_value(VitConfig::micro()).unwrap();
        value.as_object_mut().unwrap().remove("mlp_width");
        let text = VitConfig::from_json(&value.to_string())
            .unwrap_err()
            .to_string();
        assert!(text.contains("missing field `mlp_width`"), "{text}");
    }
}
