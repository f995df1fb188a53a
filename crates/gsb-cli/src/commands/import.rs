//! `gsb import`: a checkpoint with the published names as our own.

use std::path::PathBuf;

use gsb_vit::checkpoint::{Description, Hints, ImportReport, Published, Strictness, Take, save};
use gsb_vit::{Model, Phase, Stage1Student, Stage2Student, VisionTransformer, VitConfig};

use crate::compute::DeviceName;
use crate::error::Error;
use crate::model::expect_checkpoint;
use crate::options::names::ScopeName;
use crate::options::{numbers, path};
use crate::output;

/// Options of `gsb import`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  gsb import checkpoint.pth -o student.bpk\n  \
                  gsb import vit.safetensors -o teacher.bpk --heads 6 --classes 102"
)]
pub struct ImportArgs {
    /// The file to read
    #[arg(value_parser = path::argument())]
    pub checkpoint: PathBuf,

    /// The file to write
    #[arg(short, long, value_name = "FILE", value_parser = path::option())]
    pub output: PathBuf,

    /// Another number of classes, or that of a file without heads: the heads start fresh
    #[arg(long)]
    pub classes: Option<usize>,

    /// Another height and width of an image: positions are interpolated
    #[arg(long, value_name = "PIXELS")]
    pub image_size: Option<usize>,

    /// Number of attention heads, where the file does not say it
    #[arg(long, value_name = "HEADS", value_parser = numbers::positive())]
    pub heads: Option<usize>,

    /// Which elements share the thresholds of a stage-2 student, where the file does not say it
    #[arg(long, value_enum)]
    pub scope: Option<ScopeName>,

    /// Take the moving average of the weights that the file holds beside them
    #[arg(long)]
    pub ema: bool,

    /// Leave fresh what is missing or does not fit
    #[arg(long)]
    pub lenient: bool,

    /// The report as JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs `gsb import`; the text that it prints.
///
/// # Errors
/// If the file cannot be read, does not fit, or the result cannot be written.
pub fn run(args: &ImportArgs) -> Result<String, Error> {
    let otherwise = "; gsb export writes .safetensors from that";
    output::check_format_or(&args.output, "our own format", "bpk", otherwise)?;
    output::check(&args.output, &args.checkpoint)?;
    expect_checkpoint(&args.checkpoint)?;
    let take = match args.ema {
        true => Take::Average,
        false => Take::Weights,
    };
    let published = Published::read_as(&args.checkpoint, take)?;
    let hints = Hints {
        classes: args.classes,
        heads: args.heads,
        scope: args.scope.map(Into::into),
    };
    let Description {
        phase,
        config,
        assumed,
    } = published.describe_with(&hints)?;
    let config = VitConfig {
        classes: args.classes.unwrap_or(config.classes),
        image_size: args.image_size.unwrap_or(config.image_size),
        ..config
    };
    let mut report = match phase {
        Phase::Teacher => convert::<VisionTransformer>(published, &config, args),
        Phase::Stage1 => convert::<Stage1Student>(published, &config, args),
        Phase::Stage2 => convert::<Stage2Student>(published, &config, args),
    }?;
    report.assumed = assumed;
    if args.json {
        return output::json(&report);
    }
    let output = args.output.display();
    let notes = report.notes().into_iter().map(|note| note + "\n");
    let notes: String = notes.collect();
    Ok(format!("{phase}: {report}\n{notes}written to {output}\n"))
}

fn convert<M: Model>(
    published: Published,
    config: &VitConfig,
    args: &ImportArgs,
) -> Result<ImportReport, Error> {
    let strictness = match args.lenient {
        true => Strictness::Lenient,
        false => Strictness::Strict,
    };
    let device = DeviceName::default().open()?;
    let (model, report) = published.into_model::<M>(config, strictness, &device)?;
    save(&model, &args.output)?;
    Ok(report)
}
