//! Checkpoints from the published names to our own, and back.

use std::path::Path;

use gsb_vit::checkpoint::{ImportReport, Published, Strictness, export, inspect, load, save};
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
    output::check(&args.output, &args.checkpoint)?;
    expect_checkpoint(&args.checkpoint, &[])?;
    let published = Published::read(&args.checkpoint)?;
    let (phase, config) = published.describe()?;
    let config = VitConfig {
        classes: args.classes.unwrap_or(config.classes),
        image_size: args.image_size.unwrap_or(config.image_size),
        ..config
    };
    let report = match phase {
        Phase::Teacher => convert::<VisionTransformer>(published, &config, args),
        Phase::Stage1 => convert::<Stage1Student>(published, &config, args),
        Phase::Stage2 => convert::<Stage2Student>(published, &config, args),
    }?;
    if args.json {
        return output::json(&report);
    }
    let output = args.output.display();
    Ok(format!("{phase}: {report}\nwritten to {output}\n"))
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
    output::check(&args.output, &args.checkpoint)?;
    expect_checkpoint(
        &args.checkpoint,
        &["stage2.bpk", "stage1.bpk", "teacher.bpk"],
    )?;
    let (phase, _) = inspect(&args.checkpoint)?;
    let (from, to) = (&args.checkpoint, &args.output);
    match phase {
        Phase::Teacher => copy::<VisionTransformer>(from, to),
        Phase::Stage1 => copy::<Stage1Student>(from, to),
        Phase::Stage2 => copy::<Stage2Student>(from, to),
    }?;
    Ok(format!("{phase}: written to {}\n", to.display()))
}

fn copy<M: Model>(from: &Path, to: &Path) -> Result<(), Error> {
    let device = DeviceName::default().open()?;
    let model: M = load(from, &device)?;
    Ok(export(&model, to)?)
}
