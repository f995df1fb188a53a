//! Standard error, for progress, warnings and errors.

use std::io::Write;

/// Prints a line, if there is somebody to read it.
pub fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
