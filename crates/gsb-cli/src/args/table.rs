//! Options of `gsb table`.

use std::path::PathBuf;

use clap::Args;

use super::TrainArgs;
use super::numbers::few;
use crate::names::{InitialName, ScopeName};
use crate::path;

/// Options of `gsb table`: those of the training, for all variants alike, and these.
#[derive(Debug, Clone, Args)]
pub struct TableArgs {
    /// Number of seeds: 0, 1, 2, ...
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = few(), help_heading = "Table")]
    pub seeds: usize,

    /// Which elements share the thresholds of the groups, one or several [default: as the model has it]
    #[arg(long, value_enum, value_delimiter = ',', help_heading = "Table")]
    pub scopes: Vec<ScopeName>,

    /// How the scales of the groups start, one way or several [default: as the model has it]
    #[arg(long, value_enum, value_delimiter = ',', help_heading = "Table")]
    pub initials: Vec<InitialName>,

    /// Only the students in two stages that learn from the teacher
    #[arg(long, help_heading = "Table")]
    pub short: bool,

    /// Folder of runs and table: what is finished in it is taken as it is
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "runs/table",
        value_parser = path::option(),
        help_heading = "Table"
    )]
    pub table_dir: PathBuf,

    #[command(flatten)]
    pub train: TrainArgs,
}
