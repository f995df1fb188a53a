//! Options of `gsb predict`.

use std::path::PathBuf;

use super::numbers::positive;

/// Options of `gsb predict`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  gsb predict digits.safetensors three.png photos/\n  \
                        gsb predict student.safetensors --top-k 1 --json flower.jpg"
)]
pub struct PredictArgs {
    /// A packed model
    pub file: PathBuf,

    /// Pictures (JPEG, PNG), or folders of them
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,

    /// How many classes to print, the likeliest first
    #[arg(long, value_name = "CLASSES", default_value_t = 5, value_parser = positive())]
    pub top_k: usize,

    /// Everything as JSON
    #[arg(long)]
    pub json: bool,
}
