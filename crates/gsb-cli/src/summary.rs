//! What a model costs.

use std::path::Path;

use gsb_train::describe;
use gsb_vit::{Phase, VitConfig};

use crate::args::SummaryArgs;
use crate::error::Error;

/// The text that `gsb summary` prints.
///
/// # Errors
/// If there is no such preset, configuration or checkpoint, or the model is impossible.
pub fn run(args: &SummaryArgs) -> Result<String, Error> {
    let (found, config) = model(&args.model)?;
    let phase = args.phase.or(found).unwrap_or(Phase::Stage2);
    let config = VitConfig {
        classes: args.classes.unwrap_or(config.classes),
        image_size: args.image_size.unwrap_or(config.image_size),
        ..config
    };
    let cost = config.cost(phase)?;
    let text = if args.json {
        cost.to_json()
    } else if args.layers {
        cost.to_string()
    } else {
        cost.summary()
    };
    Ok(format!("{}\n", text.trim_end()))
}

/// The configuration of a name or file, and its phase if it has one.
fn model(name: &str) -> Result<(Option<Phase>, VitConfig), Error> {
    let path = Path::new(name);
    if !path.exists() {
        // The error lists the presets.
        let classes = if name == "micro" { 10 } else { 1000 };
        return Ok((None, VitConfig::preset(name, classes)?));
    }
    if path
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        let file = |error: &dyn std::fmt::Display| Error::File {
            path: path.into(),
            reason: error.to_string(),
        };
        let text = std::fs::read_to_string(path).map_err(|error| file(&error))?;
        let config = VitConfig::from_json(&text).map_err(|error| file(&error))?;
        return Ok((None, config));
    }
    let (phase, config) = describe(path)?;
    Ok((Some(phase), config))
}
