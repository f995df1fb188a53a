//! Files that say what a data set holds: lists, tables, names.

use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::{Error, gzip};

/// Bytes that such a file may have, unpacked: ten times the largest there is.
const MAX_BYTES: u64 = 1 << 32;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The whole of a file that must be there, unpacked if it is gzipped.
pub(crate) fn read(path: &Path, expected: &str) -> Result<Vec<u8>, Error> {
    read_at_most(MAX_BYTES, path, expected)
}

/// [`read`] of a file that has no more than so many bytes, unpacked.
pub(crate) fn read_at_most(limit: u64, path: &Path, expected: &str) -> Result<Vec<u8>, Error> {
    if !path.exists() {
        return Err(Error::missing(path, expected));
    }
    let (reader, _) = gzip::open(path)?;
    let mut bytes = Vec::new();
    reader
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::io(path))?;
    if bytes.len() as u64 > limit {
        let problem = format!("more than {limit} bytes: expected {expected}");
        return Err(Error::format(path, problem));
    }
    Ok(bytes)
}

/// Reads a text file that must be there, without the byte order mark that Windows programs begin it
/// with, and unpacked if it is gzipped.
///
/// `expected` says what the file should hold, for errors.
///
/// # Errors
/// [`Error::Missing`] if there is no such file, [`Error::Io`] if it cannot be read, [`Error::Format`]
/// if it is not UTF-8.
pub fn read_text(path: &Path, expected: &str) -> Result<String, Error> {
    text(path, read(path, expected)?)
}

/// A JSON file that must be there.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path, expected: &str) -> Result<T, Error> {
    serde_json::from_str(&read_text(path, expected)?)
        .map_err(|error| Error::format(path, format!("expected {expected}: {error}")))
}

/// The text of a file without the byte order mark that Windows programs begin it with.
pub(crate) fn text(path: &Path, bytes: Vec<u8>) -> Result<String, Error> {
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        let problem = "it is UTF-16 text: save it as UTF-8";
        return Err(Error::format(path, problem));
    }
    let bytes = match bytes.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => rest.to_vec(),
        None => bytes,
    };
    String::from_utf8(bytes)
        .map_err(|_| Error::format(path, "it is not UTF-8 text: save it as UTF-8"))
}

/// A folder that must be there.
pub(crate) fn folder(path: &Path, expected: &str) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    if path.exists() {
        let problem = format!("it is not a folder: expected {expected}");
        return Err(Error::format(path, problem));
    }
    Err(Error::missing(path, expected))
}

/// The file of this name in a list, which must lie in the folder.
///
/// Lists come from other systems: backslashes part folders unless a file has them in its name, and the
/// extension may have other capitals. A file that is not there keeps the name that the list gives it.
pub(crate) fn listed(root: &Path, name: &str, list: &Path) -> Result<PathBuf, Error> {
    let outside = || {
        let problem = format!(
            "{name:?} does not name a file in the folder of the data set, {}",
            root.display()
        );
        Error::format(list, problem)
    };
    if name.contains('\\')
        && let Some(literal) = inside(root, name)
        && literal.exists()
    {
        return Ok(literal);
    }
    let path = inside(root, &name.replace('\\', "/")).ok_or_else(outside)?;
    Ok(with_its_extension(path))
}

/// The path of a name, with `.` and `..` resolved by their names alone; `None` if it leads out of the
/// folder, or to the folder itself.
fn inside(root: &Path, name: &str) -> Option<PathBuf> {
    let mut name = Path::new(name);
    if name.is_absolute() {
        name = name.strip_prefix(std::path::absolute(root).ok()?).ok()?;
    }
    let mut parts = Vec::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => parts.push(part),
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    // On Windows a drive is a prefix; elsewhere it would be a folder of this name.
    let drive = |part: &std::ffi::OsStr| part.as_encoded_bytes().ends_with(b":");
    let first = parts.first()?;
    (!drive(first)).then(|| root.join(parts.iter().collect::<PathBuf>()))
}

/// The file with its extension in the capitals that it has on disk.
fn with_its_extension(path: PathBuf) -> PathBuf {
    let Some(extension) = path.extension().and_then(|extension| extension.to_str()) else {
        return path;
    };
    if path.exists() {
        return path;
    }
    let spellings = [extension.to_lowercase(), extension.to_uppercase()];
    let mut others = spellings
        .iter()
        .map(|extension| path.with_extension(extension));
    others.find(|other| other.exists()).unwrap_or(path)
}

/// The files of a folder, its service files aside, in order: names of folders, names of files.
pub(crate) fn entries(path: &Path) -> Result<(Vec<String>, Vec<String>), Error> {
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(path).map_err(Error::io(path))? {
        let entry = entry.map_err(Error::io(path))?;
        let name = entry.file_name();
        if crate::file_names::is_service(&name) {
            continue;
        }
        // A link to a folder is one.
        if !entry.path().is_dir() {
            files.push(name.to_string_lossy().into_owned());
            continue;
        }
        let name = name
            .into_string()
            .map_err(|name| Error::format(path, format!("the name of {name:?} is not UTF-8")))?;
        folders.push(name);
    }
    folders.sort_unstable();
    files.sort_unstable();
    Ok((folders, files))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_do_not_lead_out_of_their_folder() {
        let list = Path::new("list.json");
        let found = |name| listed(Path::new("/data"), name, list);
        for name in [
            "train/1.JPG",
            "./train/1.JPG",
            "train//1.JPG",
            "test/../train/1.JPG",
            "/data/train/1.JPG",
            r"train\1.JPG",
            r".\test\..\train\1.JPG",
        ] {
            assert_eq!(
                found(name).unwrap(),
                Path::new("/data/train/1.JPG"),
                "{name}"
            );
        }
        for name in [
            "../secret.png",
            r"..\secret.png",
            "/etc/secret.png",
            "/data/../secret.png",
            "a/../../b.png",
            r"C:\data\1.png",
            r"\\server\share\1.png",
            "",
            ".",
        ] {
            let error = found(name).unwrap_err().to_string();
            let start = format!("list.json: {name:?} does not name a file in the folder");
            assert!(error.starts_with(&start), "{error}");
        }
    }

    #[test]
    fn names_are_found_as_they_are_on_disk() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::write(root.join("1.jpg"), "").unwrap();
        fs::write(root.join("2.JPG"), "").unwrap();
        let list = root.join("list.json");
        let found = |name| listed(root, name, &list).unwrap();
        assert_eq!(found("1.JPG"), root.join("1.jpg"));
        assert_eq!(found("2.jpg"), root.join("2.JPG"));
        assert_eq!(found("3.jpg"), root.join("3.jpg"));
        if cfg!(unix) {
            fs::write(root.join(r"a\4.jpg"), "").unwrap();
            assert_eq!(found(r"a\4.jpg"), root.join(r"a\4.jpg"));
        }
    }

    #[test]
    fn byte_order_marks_are_no_part_of_a_text() {
        let path = Path::new("names.txt");
        assert_eq!(text(path, b"\xEF\xBB\xBFcat\n".to_vec()).unwrap(), "cat\n");
        let error = text(path, b"\xFF\xFEc\0a\0t\0".to_vec()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "names.txt: it is UTF-16 text: save it as UTF-8"
        );
        assert!(text(path, b"\xC4pfel".to_vec()).is_err());
    }
}
