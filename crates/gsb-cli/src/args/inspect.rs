//! Options of `gsb inspect`.

use std::path::PathBuf;

use crate::path;

/// Options of `gsb inspect`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  gsb inspect digits.safetensors")]
pub struct InspectArgs {
    /// A packed model
    #[arg(value_parser = path::argument())]
    pub file: PathBuf,

    /// A row for each layer of each block
    #[arg(long, conflicts_with = "json")]
    pub layers: bool,

    /// Everything as JSON
    #[arg(long)]
    pub json: bool,
}
