//! What a model costs.

use std::path::{Path, PathBuf};

use gsb_vit::checkpoint::describe;
use gsb_vit::{Phase, VitConfig};

use crate::error::Error;
use crate::model::ModelName;
use crate::model::expect_checkpoint;
use crate::options::path;

/// Options of `gsb summary`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  gsb summary deit_small_distilled_patch16_224\n  \
                  gsb summary runs/digits-1/stage2.bpk --layers\n  gsb summary deit-small --config > model.json\n  gsb summary --list"
)]
pub struct SummaryArgs {
    /// A preset, a configuration (.json) or a checkpoint
    #[arg(value_parser = path::argument(), required_unless_present = "list")]
    pub model: Option<PathBuf>,

    /// The names of the presets
    #[arg(long, exclusive = true)]
    pub list: bool,

    /// The phase of the model: teacher, stage1 or stage2 [default: that of the checkpoint, else
    /// stage2]
    #[arg(long)]
    pub phase: Option<Phase>,

    /// Another number of classes
    #[arg(long)]
    pub classes: Option<usize>,

    /// Another height and width of an image
    #[arg(long, value_name = "PIXELS")]
    pub image_size: Option<usize>,

    /// A row for each layer
    #[arg(long)]
    pub layers: bool,

    /// Everything as JSON
    #[arg(long, conflicts_with = "layers")]
    pub json: bool,

    /// The configuration as JSON instead: what --model of other commands reads, to be changed by hand
    #[arg(long, conflicts_with_all = ["layers", "json", "phase"])]
    pub config: bool,
}

/// The text that `gsb summary` prints.
///
/// # Errors
/// If there is no such preset, configuration or checkpoint, or the model is impossible.
pub fn run(args: &SummaryArgs) -> Result<String, Error> {
    let Some(path) = &args.model else {
        let names: Vec<String> = VitConfig::presets().collect();
        return Ok(format!("{}\n", names.join("\n")));
    };
    let (found, config) = model(path)?;
    let phase = args.phase.or(found).unwrap_or(Phase::Stage2);
    let config = VitConfig {
        classes: args.classes.unwrap_or(config.classes),
        image_size: args.image_size.unwrap_or(config.image_size),
        ..config
    };
    if args.config {
        config.validate()?;
        return Ok(format!("{}\n", config.to_json()));
    }
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
    Ok((None, ModelName::new(path)?.config()?))
}
