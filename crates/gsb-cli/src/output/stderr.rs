//! Standard error, for progress, warnings and errors.

use std::io::Write;

use super::plain;

/// Prints a line, or several, if there is somebody to read it.
pub fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{}", plain(&line.to_string()));
}
