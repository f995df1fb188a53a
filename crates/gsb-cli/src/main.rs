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

mod cli;
mod commands;
mod compute;
mod config;
mod data;
mod defaults;
mod error;
mod model;
mod options;
mod output;
mod packed;
mod panic;
mod progress;
mod shell;
mod signals;

use std::process::ExitCode;

use crate::cli::Cli;
use crate::output::{say, stdout};

// A training step allocates and frees the same tensors as the one before. Where the system's allocator gives large ones
// back each time, fetching them again takes up to a fifth of the time of a small model.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    panic::explain();
    // Most wrong usage ends here, with code 2.
    let cli = Cli::parsed();
    let outcome = cli
        .run()
        .and_then(|text| Ok(stdout::print(output::plain(&text).as_bytes())?));
    match outcome {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("error: {error}"));
            signals::exit_code(&error)
        }
    }
}
