//! Checkpoints from the published names to our own, and back.

use std::path::Path;

use gsb_vit::checkpoint::{
    Description, Hints, ImportReport, Published, Strictness, Take, export, inspect, load, save,
};
use gsb_vit::{Model, Phase, Stage1Student, Stage2Student, VisionTransformer, VitConfig};

use crate::args::{ExportArgs, ImportArgs};
use crate::compute::DeviceName;
use crate::error::Error;
use crate::model_file::expect_checkpoint;
use crate::output;

/// Runs `gsb import`; the text that it prints.
///
/// # Errors
/// If the file cannot be read, does not fit, or the result cannot be written.
pub fn import(args: &ImportArgs) -> Result<String, Error> {
    let foreign = ["safetensors", "pth", "pt", "bin", "ckpt"];
    let remedy = "name it .bpk; gsb export writes .safetensors from that";
    check_ending(&args.output, "our own format (.bpk)", &foreign, remedy)?;
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

/// Runs `gsb export`; the text that it prints.
///
/// # Errors
/// If the file cannot be read or the result cannot be written.
pub fn export_published(args: &ExportArgs) -> Result<String, Error> {
    let remedy = "name it .safetensors";
    check_ending(
        &args.output,
        "safetensors",
        &["bpk", "pth", "pt", "bin", "ckpt"],
        remedy,
    )?;
    output::check(&args.output, &args.checkpoint)?;
    expect_checkpoint(&args.checkpoint)?;
    let (phase, _) = inspect(&args.checkpoint)?;
    let (from, to) = (&args.checkpoint, &args.output);
    match phase {
        Phase::Teacher => copy::<VisionTransformer>(from, to),
        Phase::Stage1 => copy::<Stage1Student>(from, to),
        Phase::Stage2 => copy::<Stage2Student>(from, to),
    }?;
    Ok(format!("{phase}: written to {}\n", to.display()))
}

/// Fails for a name that promises another format than is written.
fn check_ending(path: &Path, written: &str, others: &[&str], remedy: &str) -> Result<(), Error> {
    let ending = path.extension().unwrap_or_default();
    match others
        .iter()
        .any(|other| ending.eq_ignore_ascii_case(other))
    {
        true => {
            let reason = format!("what is written is {written}, not what the name says: {remedy}");
            Err(Error::file(path, reason))
        }
        false => Ok(()),
    }
}

fn copy<M: Model>(from: &Path, to: &Path) -> Result<(), Error> {
    let device = DeviceName::default().open()?;
    let model: M = load(from, &device)?;
    Ok(export(&model, to)?)
}
