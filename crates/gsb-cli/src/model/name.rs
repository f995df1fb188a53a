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
    /// The name of a preset, or that of a JSON file with a configuration.
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
            return Ok(Self::Preset(path.display().to_string()));
        }
        let text = read_text(path, "a configuration of a model")?;
        let config = VitConfig::from_json(&text).map_err(|error| Error::file(path, error))?;
        Ok(Self::Config(Box::new(config)))
    }
}
