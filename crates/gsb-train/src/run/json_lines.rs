//! Files with a value on each line.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::files::{self, write_text};

/// The values of a file, none if it is not there.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, Error> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = files::read(path)?;
    let lines = text.lines().enumerate().map(|(index, line)| {
        serde_json::from_str(line).map_err(|error| {
            let text = error.to_string();
            // Each line is a text of its own to what says "at line 1".
            let reason = text.split(" at line ").next().unwrap_or_default();
            Error::file(path, format!("line {}: {reason}", index + 1))
        })
    });
    lines.collect()
}

/// The whole file anew: it is short, and what is there is never half a line.
pub(super) fn write<T: Serialize>(path: &Path, values: &[T]) -> Result<(), Error> {
    let mut text = String::new();
    for value in values {
        let line = serde_json::to_string(value).map_err(|error| Error::file(path, error))?;
        writeln!(text, "{line}").expect("a string takes everything");
    }
    write_text(path, &text)
}
