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
    check_format(path, "JSON", "json")?;
    check_place(path)
}

/// Checks that something may be written to a file, a terminal or a pipe.
fn check_place(path: &Path) -> Result<(), Error> {
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
    check_place(path)?;
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    if real(source).is_some() && real(source) == real(path) {
        return Err(Error::file(
            path,
            "the file that is read would be overwritten",
        ));
    }
    Ok(())
}

/// The extensions of what the program reads and writes, and of pictures and documents.
const KNOWN: [&str; 26] = [
    "bin",
    "bmp",
    "bpk",
    "ckpt",
    "csv",
    "gif",
    "gz",
    "jpeg",
    "jpg",
    "json",
    "jsonl",
    "md",
    "npy",
    "npz",
    "onnx",
    "pdf",
    "png",
    "pt",
    "pth",
    "safetensors",
    "svg",
    "tif",
    "tiff",
    "toml",
    "txt",
    "webp",
];

/// Checks that a name does not promise another known format than the one that is written, whose extension is given.
///
/// # Errors
/// If its extension is that of another, with the remedy.
pub fn check_format(path: &Path, written: &str, extension: &str) -> Result<(), Error> {
    check_format_or(path, written, extension, "")
}

/// As [`check_format`]; how to get another format follows the remedy.
///
/// # Errors
/// As [`check_format`].
pub fn check_format_or(
    path: &Path,
    written: &str,
    extension: &str,
    otherwise: &str,
) -> Result<(), Error> {
    let ending = path.extension().unwrap_or_default();
    let is = |known: &str| ending.eq_ignore_ascii_case(known);
    if is(extension) || !KNOWN.into_iter().any(is) {
        return Ok(());
    }
    let reason = format!(
        "what is written is {written}, not what the name says: name it .{extension}{otherwise}"
    );
    Err(Error::file(path, reason))
}
