//! Where results may be written.

use std::path::Path;

use serde::Serialize;

use crate::error::Error;

/// The file name that stands for standard output.
const STDOUT: &str = "-";

/// Whether results are to be printed.
pub fn is_stdout(path: &Path) -> bool {
    path == Path::new(STDOUT)
}

/// Checks that results may be written to a file, a terminal or a pipe, before hours of work.
///
/// # Errors
/// If its folder is not there, or it is a folder.
pub fn check_json(path: &Path) -> Result<(), Error> {
    if is_stdout(path) {
        return Ok(());
    }
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(Error::file(
            path,
            format!("{} is no folder", folder.display()),
        ));
    }
    if path.is_dir() {
        return Err(Error::file(path, "expected a file, this is a folder"));
    }
    Ok(())
}

/// Checks that a model may be written, and not in the place of its own source.
///
/// # Errors
/// If its folder is not there, it is no file, or it is the one that is read.
pub fn check(path: &Path, source: &Path) -> Result<(), Error> {
    if is_stdout(path) {
        return Err(Error::file(
            path,
            "a model is written to a file: expected its name",
        ));
    }
    check_json(path)?;
    if path.exists() && !path.is_file() {
        return Err(Error::file(path, "expected a file, this is something else"));
    }
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    if real(source).is_some() && real(source) == real(path) {
        return Err(Error::file(
            path,
            "the file that is read would be overwritten",
        ));
    }
    Ok(())
}

/// Results as JSON, to be printed.
///
/// # Errors
/// If they are not what JSON holds.
pub fn json(results: &impl Serialize) -> Result<String, Error> {
    let text = serde_json::to_string_pretty(results).map_err(std::io::Error::from)?;
    Ok(text + "\n")
}
