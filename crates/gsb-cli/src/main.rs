//! `gsb` trains a float teacher, a stage-1 and a stage-2 GSB student and prints the held-out
//! accuracy of each; tests checkpoints; says what a model costs; and converts checkpoints. Results
//! are on stdout, progress and errors on stderr.
//!
//! Exit codes: 0 for success, also if nobody reads the results to their end; 1 for a failed run, 2 for wrong
//! usage, 128 and the number of the signal for a run that a signal stopped.

#[cfg(not(any(
    feature = "flex",
    feature = "wgpu",
    feature = "vulkan",
    feature = "cuda",
    feature = "tch"
)))]
compile_error!("gsb-cli needs a backend: enable the feature flex, wgpu, vulkan, cuda or tch");

mod args;
mod compute;
mod config;
mod convert;
#[cfg(feature = "dashboard")]
mod dashboard;
mod data;
mod defaults;
mod error;
mod model_file;
mod model_name;
mod names;
mod output;
mod packed;
mod panic;
mod path;
mod plot;
mod progress;
mod signals;
mod stdout;
mod summary;
mod table;
mod test;
mod train;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::error::Error;

fn main() -> ExitCode {
    panic::explain();
    // Wrong usage ends here, with code 2.
    let cli = Cli::parse();
    let outcome = run(cli).and_then(|text| Ok(stdout::print(text.as_bytes())?));
    match outcome {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("error: {error}"));
            signals::exit_code(&error)
        }
    }
}

/// Prints a line on stderr, if there is somebody to read it.
fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What goes to stdout.
fn run(cli: Cli) -> Result<String, Error> {
    match cli.command.unwrap_or(Command::Train(Box::new(cli.train))) {
        Command::Train(args) => train::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Table(args) => table::run(&args),
        Command::Summary(args) => summary::run(&args),
        Command::Import(args) => convert::import(&args),
        Command::Export(args) => convert::export_published(&args),
        Command::Pack(args) => packed::pack(&args),
        Command::Predict(args) => packed::predict(&args),
        Command::Inspect(args) => packed::inspect(&args),
        Command::Bench(args) => packed::bench(&args),
    }
}
