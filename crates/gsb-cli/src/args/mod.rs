//! The command line.

mod bench;
mod data;
mod inspect;
mod numbers;
mod pack;
mod predict;
mod table;
mod train;

pub use bench::BenchArgs;
pub use data::DataArgs;
pub use inspect::InspectArgs;
pub use pack::{PackArgs, ShiftName};
pub use predict::PredictArgs;
pub use table::TableArgs;
#[cfg(test)]
pub use train::PhaseArgs;
pub use train::{StartArgs, TrainArgs};

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use gsb_vit::Phase;

use crate::compute::DeviceName;
use crate::names::ScopeName;
use crate::path;

/// Binarized Vision Transformers by Group Superposition Binarization.
///
/// Without a command it trains, as `gsb train` does.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "gsb",
    version,
    // So that a negative number is refused in the name of its option.
    allow_negative_numbers = true,
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  gsb --seed 1 --stage2-epochs 80\n  \
                  gsb summary deit_small_distilled_patch16_224\n  \
                  gsb import checkpoint.pth -o student.bpk"
)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Options of the training
    #[command(flatten)]
    pub train: TrainArgs,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Train a float teacher, a stage-1 and a stage-2 GSB student
    ///
    /// Prints a table with the held-out accuracy of each. Without options it trains on the embedded
    /// digits, a few minutes on two cores.
    #[command(allow_negative_numbers = true)]
    Train(Box<TrainArgs>),
    /// Measure the accuracy of a checkpoint: top-1, top-5, loss, each class, confusion matrix
    Test(TestArgs),
    /// Train the variants of the paper's tables over several seeds, and compare them
    #[command(allow_negative_numbers = true)]
    Table(Box<TableArgs>),
    /// Print what a model costs: parameters by bit width, bytes, operations
    Summary(SummaryArgs),
    /// Read a checkpoint with the published names (.pth, .safetensors) and save it as our own
    ///
    /// Prints what became of its tensors.
    Import(ImportArgs),
    /// Write a checkpoint of our own as .safetensors with the published names
    Export(ExportArgs),
    /// Pack a trained stage-2 student into one small file of bits
    Pack(PackArgs),
    /// Classify pictures with a packed model
    Predict(PredictArgs),
    /// Print what a packed model holds: layers, shapes, bits, bytes, operations
    Inspect(InspectArgs),
    /// Measure how fast a packed model runs on this machine
    Bench(BenchArgs),
}

/// Options of `gsb test`.
#[derive(Debug, Clone, clap::Args)]
pub struct TestArgs {
    /// A checkpoint of a model of any phase, or a packed model
    #[arg(value_parser = path::argument())]
    pub checkpoint: PathBuf,

    /// What to test on [default: what the run that the checkpoint lies in was tested on]
    #[command(flatten)]
    pub data: DataArgs,

    /// Images in a batch
    #[arg(long, value_name = "IMAGES", value_parser = numbers::positive())]
    pub batch_size: Option<usize>,

    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    pub device: DeviceName,

    /// Everything as JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `gsb summary`.
#[derive(Debug, Clone, clap::Args)]
pub struct SummaryArgs {
    /// A preset, a configuration (.json) or a checkpoint
    #[arg(value_parser = path::argument())]
    pub model: PathBuf,

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
}

/// Options of `gsb import`.
#[derive(Debug, Clone, clap::Args)]
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

/// Options of `gsb export`.
#[derive(Debug, Clone, clap::Args)]
pub struct ExportArgs {
    /// The file to read
    #[arg(value_parser = path::argument())]
    pub checkpoint: PathBuf,

    /// The file to write
    #[arg(short, long, value_name = "FILE", value_parser = path::option())]
    pub output: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(arguments: &[&str]) -> String {
        let arguments = std::iter::once(&"gsb").chain(arguments);
        let error = Cli::try_parse_from(arguments).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }

    #[test]
    fn definitions_are_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn impossible_values_name_their_option() {
        for (option, value) in [
            ("--epochs", "0"),
            ("--teacher-epochs", "0"),
            ("--distillation-alpha", "1.5"),
            ("--label-noise", "2"),
            ("--data-set", "moons"),
            ("--phase", "stage3"),
            ("--batch-size", "0"),
            ("--lr", "-0.1"),
            ("--lr", "nan"),
            ("--lr", "2"),
            ("--seed", "-1"),
            ("--device", "abacus"),
        ] {
            let text = complaint(&[option, value]);
            assert!(text.contains(option) && text.contains(value), "{text}");
            let text = complaint(&["train", option, value]);
            assert!(text.contains(option) && text.contains(value), "{text}");
        }
        assert!(complaint(&["--epoch", "3"]).contains("--epoch"));
    }
}
