//! Where results may be written.

#[cfg(unix)]
use std::io::Write;
#[cfg(unix)]
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use gsb_files::check_replaceable;

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
/// If its folder is not there or nothing can be written in it, or it is a folder or protected.
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
    let cannot = |error: std::io::Error| Error::file(path, format!("cannot be written: {error}"));
    #[cfg(unix)]
    if std::fs::metadata(path).is_ok_and(|found| found.file_type().is_char_device()) {
        // A device that is full says so only when it is written to; JSON may begin with an empty line.
        let device = std::fs::File::options().write(true).open(path);
        return device
            .and_then(|mut device| device.write_all(b"\n"))
            .map_err(cannot);
    }
    check_replaceable(path).map_err(cannot)
}

/// Checks that a model or a picture may be written, and not in the place of what it is made of.
///
/// # Errors
/// If its folder is not there, it is no file, or it is the one that is read.
pub fn check(path: &Path, source: &Path) -> Result<(), Error> {
    if is_stdout(path) {
        return Err(Error::file(
            path,
            "what is written is no text: expected the name of a file",
        ));
    }
    if path.exists() && !path.is_file() && !path.is_dir() {
        return Err(Error::file(path, "expected a file, this is something else"));
    }
    check_json(path)?;
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    if real(source).is_some() && real(source) == real(path) {
        return Err(Error::file(
            path,
            "the file that is read would be overwritten",
        ));
    }
    Ok(())
}

/// Checks that a name does not promise another format than is written.
///
/// # Errors
/// If its extension is one of `others`, with the remedy.
pub fn check_ending(
    path: &Path,
    written: &str,
    others: &[&str],
    remedy: &str,
) -> Result<(), Error> {
    let ending = path.extension().unwrap_or_default();
    match others
        .iter()
        .any(|other| ending.eq_ignore_ascii_case(other))
    {
        true => {
            let reason = format!("what is written is {written}, not what the name says: {remedy}");
            Err(Error::file(path, reason))
        }
        false => Ok(()),
    }
}
