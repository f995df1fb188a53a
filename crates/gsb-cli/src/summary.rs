//! What a model costs.

use std::path::Path;

use gsb_vit::checkpoint::describe;
use gsb_vit::{Phase, VitConfig};

use crate::args::SummaryArgs;
use crate::error::Error;
use crate::model_file::expect_checkpoint;
use crate::model_name::ModelName;

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
fn model(path: &Path) -> Result<(Option<Phase>, VitConfig), Error> {
    if path.exists()
        && path
            .extension()
            .is_none_or(|extension| !extension.eq_ignore_ascii_case("json"))
    {
        expect_checkpoint(path)?;
        let (phase, config) = describe(path)?;
        return Ok((Some(phase), config));
    }
    let config = match ModelName::new(path)? {
        ModelName::Config(config) => *config,
        // The error lists the presets.
        ModelName::Preset(name) => {
            let classes = if name == "micro" { 10 } else { 1000 };
            VitConfig::preset(&name, classes)?
        }
    };
    Ok((None, config))
}
