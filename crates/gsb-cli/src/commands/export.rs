//! `gsb export`: a checkpoint of our own with the published names.

use std::path::{Path, PathBuf};

use gsb_vit::checkpoint::{export, inspect, load};
use gsb_vit::{Model, Phase, Stage1Student, Stage2Student, VisionTransformer};

use crate::compute::DeviceName;
use crate::error::Error;
use crate::model::expect_checkpoint;
use crate::options::path;
use crate::output;

/// Options of `gsb export`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  gsb export runs/digits-1/stage2.bpk -o student.safetensors")]
pub struct ExportArgs {
    /// The file to read
    #[arg(value_parser = path::argument())]
    pub checkpoint: PathBuf,

    /// The file to write
    #[arg(short, long, value_name = "FILE", value_parser = path::option())]
    pub output: PathBuf,
}

/// Runs `gsb export`; the text that it prints.
///
/// # Errors
/// If the file cannot be read or the result cannot be written.
pub fn run(args: &ExportArgs) -> Result<String, Error> {
    output::check_format(&args.output, "safetensors", "safetensors")?;
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

fn copy<M: Model>(from: &Path, to: &Path) -> Result<(), Error> {
    let device = DeviceName::default().open()?;
    let model: M = load(from, &device)?;
    Ok(export(&model, to)?)
}
