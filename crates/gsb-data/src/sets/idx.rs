//! The IDX format of MNIST.
//!
//! A header of big-endian 32-bit words (magic number, sizes), then the values, one byte each.

use std::io::Read;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::file_names::is_service;
use crate::{Error, gzip};

/// Magic number of unsigned bytes in three dimensions.
const IMAGES: u32 = 0x803;
/// Magic number of unsigned bytes in one dimension.
const LABELS: u32 = 0x801;
/// More than this, deflate cannot shrink anything.
const MAX_DEFLATE_RATIO: u64 = 1032;

/// Pictures of an IDX file.
#[derive(Debug)]
pub(crate) struct IdxImages {
    /// `[images, rows, columns]`.
    pub shape: [usize; 3],
    /// The values, of that shape.
    pub pixels: Vec<u8>,
}

/// Reads a file of pictures, gzipped or not.
pub(crate) fn read_images(path: &Path) -> Result<IdxImages, Error> {
    let (shape, pixels) = read::<3>(path, IMAGES, "pictures")?;
    if shape.contains(&0) {
        let [images, rows, columns] = shape;
        return Err(Error::format(
            path,
            format!("{images} pictures of {rows}x{columns} pixels: expected at least one pixel"),
        ));
    }
    Ok(IdxImages { shape, pixels })
}

/// Reads a file of labels, gzipped or not.
pub(crate) fn read_labels(path: &Path) -> Result<Vec<u8>, Error> {
    read::<1>(path, LABELS, "labels").map(|(_, labels)| labels)
}

/// How deep a file may lie: `MNIST/raw/` is what torchvision makes.
const DEPTH: usize = 3;

/// The file of a name, `train-images-idx3-ubyte`, in a folder or in one inside it.
///
/// Others write a dot for a dash, begin the name with that of the set (EMNIST), or add `.gz`, whether
/// the file is gzipped or not.
///
/// # Errors
/// If there is none, or several folders hold one.
pub(crate) fn find(folder: &Path, name: &str) -> Result<PathBuf, Error> {
    let mut found: Vec<(usize, PathBuf, String)> = Vec::new();
    let entries = WalkDir::new(folder)
        .max_depth(DEPTH)
        .follow_links(true)
        .sort_by_file_name();
    let entries = entries
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !is_service(entry.file_name()));
    // Whether folders that have nothing to do with it can be read does not matter.
    for entry in entries.filter_map(Result::ok) {
        let called = entry.file_name().to_string_lossy().to_lowercase();
        let called = called.trim_end_matches(".gz").replace('.', "-");
        if entry.file_type().is_file() && called.ends_with(name) {
            found.push((entry.depth(), entry.into_path(), called));
        }
    }
    // Those of the outermost folder, a file before the same with `.gz`.
    found.sort_by_key(|(depth, path, _)| (*depth, path.as_os_str().len()));
    let Some((depth, first, name)) = found.first() else {
        return Err(Error::missing(
            &folder.join(name),
            "an IDX file of this name, or of this name and .gz, here or in MNIST/raw",
        ));
    };
    // The same file spelled in several ways, side by side, is none too many.
    let another = found.iter().find(|(deep, path, called)| {
        deep == depth && (path.parent() != first.parent() || called != name)
    });
    if let Some((_, another, _)) = another {
        let problem = format!(
            "{} is there as well: give the folder of one of them",
            another.display()
        );
        return Err(Error::format(first, problem));
    }
    Ok(first.clone())
}

fn read<const D: usize>(
    path: &Path,
    magic: u32,
    what: &str,
) -> Result<([usize; D], Vec<u8>), Error> {
    let size = path.metadata().map_err(Error::io(path))?.len();
    let (mut reader, gzipped) = gzip::open(path)?;
    let most = if gzipped {
        size.saturating_mul(MAX_DEFLATE_RATIO)
    } else {
        size
    };
    let broken = |cause: std::io::Error| match cause.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::format(path, "the file ends too early"),
        _ => Error::format(path, format!("cannot be read: {cause}")),
    };
    let mut word = || -> Result<u32, Error> {
        let mut bytes = [0; 4];
        reader.read_exact(&mut bytes).map_err(broken)?;
        Ok(u32::from_be_bytes(bytes))
    };
    let found = word()?;
    if found != magic {
        return Err(Error::format(
            path,
            format!("not an IDX file of {what}: expected the magic number {magic}, got {found}"),
        ));
    }
    let mut shape = [0; D];
    for size in &mut shape {
        *size = word()? as usize;
    }
    let expected = shape
        .iter()
        .fold(1u64, |product, &n| product.saturating_mul(n as u64));
    if expected > most {
        return Err(Error::format(
            path,
            format!("the header announces {expected} bytes, which a file of {size} cannot hold"),
        ));
    }
    let mut values = Vec::new();
    // One byte more than announced, to notice what is left over.
    let mut rest = reader.take(expected + 1);
    rest.read_to_end(&mut values).map_err(broken)?;
    if values.len() as u64 != expected {
        let got = values.len() as u64;
        let problem = if got > expected {
            format!("there are bytes after the {expected} that the header announces")
        } else {
            format!("the file ends too early: the header announces {expected} bytes, got {got}")
        };
        return Err(Error::format(path, problem));
    }
    Ok((shape, values))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn idx(words: &[u32], values: &[u8]) -> Vec<u8> {
        let mut bytes: Vec<u8> = words.iter().flat_map(|w| w.to_be_bytes()).collect();
        bytes.extend_from_slice(values);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn problem(name: &str, bytes: &[u8]) -> String {
        let (_folder, path) = file(name, bytes);
        let error = read_images(&path).unwrap_err().to_string();
        let name = path.display().to_string();
        assert!(error.starts_with(&name), "{error}");
        error[name.len()..].to_string()
    }

    #[test]
    fn plain_and_gzipped_files_are_read() {
        let bytes = idx(&[IMAGES, 2, 1, 2], &[1, 2, 3, 4]);
        let members = [gzip(&bytes[..7]), gzip(&bytes[7..])].concat();
        for (name, bytes) in [
            ("x", bytes.clone()),
            ("x.gz", gzip(&bytes)),
            // Unpacked by a browser, and not.
            ("x.gz", bytes.clone()),
            ("x", gzip(&bytes)),
            ("x.gz", members),
        ] {
            let (folder, path) = file(name, &bytes);
            assert_eq!(find(folder.path(), "x").unwrap(), path);
            let images = read_images(&path).unwrap();
            assert_eq!(images.shape, [2, 1, 2]);
            assert_eq!(images.pixels, [1, 2, 3, 4]);
        }
    }

    #[test]
    fn broken_files_are_refused() {
        let good = idx(&[IMAGES, 2, 1, 2], &[1, 2, 3, 4]);
        assert_eq!(
            problem("x", &good[..good.len() - 1]),
            ": the file ends too early: the header announces 4 bytes, got 3"
        );
        assert_eq!(problem("x", &good[..9]), ": the file ends too early");
        assert_eq!(problem("x", &[]), ": the file ends too early");
        assert_eq!(
            problem("x", &idx(&[LABELS, 4], &[0; 4])),
            ": not an IDX file of pictures: expected the magic number 2051, got 2049"
        );
        assert_eq!(
            problem("x", &idx(&[IMAGES, 2, 1, 2], &[0; 5])),
            ": there are bytes after the 4 that the header announces"
        );
        assert!(problem("x", &idx(&[IMAGES, 0, 28, 28], &[])).contains("at least one pixel"));
    }

    #[test]
    fn nothing_is_allocated_for_what_a_file_cannot_hold() {
        let huge = idx(&[IMAGES, u32::MAX, u32::MAX, u32::MAX], &[0; 8]);
        assert!(problem("x", &huge).contains("cannot hold"));
        assert!(problem("x.gz", &gzip(&huge)).contains("cannot hold"));
        // Within what compression could reach, but not there.
        let short = gzip(&idx(&[IMAGES, 10, 28, 28], &[0; 100]));
        assert!(problem("x.gz", &short).contains("announces 7840 bytes, got 100"));
    }

    #[test]
    fn truncated_and_foreign_gzip_is_refused() {
        let values: Vec<u8> = (0..7840u32).map(|i| (i * i % 251) as u8).collect();
        let whole = gzip(&idx(&[IMAGES, 10, 28, 28], &values));
        for end in [5, 20, whole.len() / 2, whole.len() - 4] {
            problem("x.gz", &whole[..end]);
        }
        problem("x.gz", b"this is no gzip at all");
    }
}
