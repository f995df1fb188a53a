//! A model as `--model` names it.

use std::path::Path;

use gsb_data::read_text;
use gsb_vit::VitConfig;

use crate::error::Error;

/// A model by name or in full.
pub enum ModelName {
    /// The name of a preset.
    Preset(String),
    /// A configuration.
    Config(Box<VitConfig>),
}

impl ModelName {
    /// The name of a preset, or that of a JSON file with a configuration. `deit-tiny`, `deit-small` and `deit-base` are
    /// those with a distillation token for images of 224 pixels.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn new(path: &Path) -> Result<Self, Error> {
        let extension = path.extension().unwrap_or_default();
        let is_name = path.extension().is_none() && path.components().count() == 1;
        if !is_name && !path.exists() {
            return Err(Error::file(path, "is not there"));
        }
        if !extension.eq_ignore_ascii_case("json") {
            let name = match path.display().to_string().as_str() {
                "deit-tiny" => "deit_tiny_distilled_patch16_224".into(),
                "deit-small" => "deit_small_distilled_patch16_224".into(),
                "deit-base" => "deit_base_distilled_patch16_224".into(),
                name => name.into(),
            };
            return Ok(Self::Preset(name));
        }
        let text = read_text(path, "a configuration of a model")?;
        let config = VitConfig::from_json(&text).map_err(|error| Error::file(path, error))?;
        Ok(Self::Config(Box::new(config)))
    }

    /// The configuration, for as many classes as a preset usually has.
    ///
    /// # Errors
    /// If there is no such preset: the message lists those there are.
    pub fn config(self) -> Result<VitConfig, Error> {
        match self {
            Self::Config(config) => Ok(*config),
            Self::Preset(name) => {
                let classes = if name == "micro" { 10 } else { 1000 };
                Ok(VitConfig::preset(&name, classes)?)
            }
        }
    }
}
