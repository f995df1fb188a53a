//! `gsb` trains a float teacher, a stage-1 and a stage-2 GSB student on the embedded digits and
//! prints the held-out accuracy of each: results on stdout, progress and errors on stderr.
//!
//! Exit codes: 0 for success, 1 for a failed run, 2 for wrong usage.

#[cfg(not(any(
    feature = "flex",
    feature = "wgpu",
    feature = "vulkan",
    feature = "cuda",
    feature = "tch"
)))]
compile_error!("gsb-cli needs a backend: enable the feature flex, wgpu, vulkan, cuda or tch");

mod args;
mod augment;
mod batch;
mod compute;
mod error;
mod evaluate;
mod progress;
mod recipe;
mod report;
mod schedule;
mod train;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::args::Args;

fn main() -> ExitCode {
    // Wrong usage ends here, with code 2.
    let args = Args::parse();
    let outcome = recipe::run(&args).and_then(|rows| {
        let mut stdout = std::io::stdout().lock();
        Ok(stdout.write_all(report::table(&rows).as_bytes())?)
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
