//! Progress on stderr, where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that counts the steps of a phase. It draws nothing unless stderr is a terminal.
pub fn bar(phase: &'static str, steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64).with_prefix(phase);
    let template = "{prefix:8} {bar:30} {percent:>3}% {elapsed} (left {eta}) {msg}";
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
