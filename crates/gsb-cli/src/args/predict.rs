//! Options of `gsb predict`.

use std::path::PathBuf;

use super::numbers::positive;
use crate::names::OrientationName;
use crate::path;

/// Options of `gsb predict`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  gsb predict digits.safetensors three.png photos/\n  \
                        gsb predict student.safetensors --top-k 1 --json flower.jpg\n  \
                        curl https://example.org/flower.jpg | gsb predict student.safetensors -"
)]
pub struct PredictArgs {
    /// A packed model
    #[arg(value_parser = path::argument())]
    pub file: PathBuf,

    /// Pictures, folders of them, or - for one from standard input
    ///
    /// A file that is named may have any name. Of a folder the files are taken that are named as pictures,
    /// links followed, those in folders inside it included; hidden files are left out.
    #[arg(required = true, value_name = "IMAGE", value_parser = path::argument())]
    pub images: Vec<PathBuf>,

    /// How many classes to print, the likeliest first
    #[arg(long, value_name = "CLASSES", default_value_t = 5, value_parser = positive())]
    pub top_k: usize,

    /// Whether pictures are turned as their camera noted (EXIF)
    #[arg(long, value_enum, default_value_t = OrientationName::Upright)]
    pub orientation: OrientationName,

    /// Everything as JSON
    #[arg(long)]
    pub json: bool,
}
