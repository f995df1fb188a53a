//! Files that commands write.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::json;
use crate::error::Error;

/// Writes a file, whole or not at all.
///
/// # Errors
/// If it cannot be written.
pub fn write(path: &Path, contents: &[u8]) -> Result<(), Error> {
    gsb_files::replace(path, |file| file.write_all(contents))
        .map_err(|error| Error::file(path, format!("cannot be written: {error}")))
}

/// Writes results as JSON, whole or not at all.
///
/// # Errors
/// If they are not what JSON holds, or cannot be written.
pub fn write_json(path: &Path, results: &impl Serialize) -> Result<(), Error> {
    write(path, json(results)?.as_bytes())
}
