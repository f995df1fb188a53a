//! Options of `gsb bench`.

use std::path::PathBuf;

use super::numbers::few;
use crate::path;

/// Options of `gsb bench`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "The environment variable GSB_FORCE_ISA chooses an instruction set: avx512, avx2, neon or \
                  scalar.\n\nExamples:\n  gsb bench digits.safetensors\n  \
                  gsb bench --model deit-small --batch 8 --threads 2",
    group(clap::ArgGroup::new("what").required(true).args(["file", "model"]))
)]
pub struct BenchArgs {
    /// A packed model
    #[arg(value_parser = path::argument())]
    pub file: Option<PathBuf>,

    /// A model of random weights instead: a preset, or deit-tiny, deit-small, deit-base for DeiT with
    /// a distillation token at 224 pixels
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,

    /// Images in a batch
    #[arg(long, value_name = "IMAGES", default_value_t = 1, value_parser = few())]
    pub batch: usize,

    /// Threads that share a batch
    #[arg(long, default_value_t = 1, value_parser = few())]
    pub threads: usize,

    /// Batches to time
    #[arg(long, value_name = "BATCHES", default_value_t = 50, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub rounds: usize,

    /// Batches before those
    #[arg(long, value_name = "BATCHES", default_value_t = 5, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(0..=1_000_000))]
    pub warm_up: usize,

    /// Everything as JSON
    #[arg(long)]
    pub json: bool,
}
