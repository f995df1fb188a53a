//! CIFAR-10 and CIFAR-100.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::image_folder;
use crate::checksum::check_md5;
use crate::{DataSplits, Error, ImageArray, gzip, lists};

const SIDE: usize = 32;
const AREA: usize = SIDE * SIDE;
/// More than the largest file of the archives, 153,700,000 bytes.
const MAX_FILE: u64 = 200_000_000;

/// What tells the two sets apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    /// File name of the official archive.
    pub archive: &'static str,
    /// Its official checksum.
    pub md5: &'static str,
    /// The folder in the archive.
    folder: &'static str,
    /// Folder and archive of the version for Python, which is another.
    python: [&'static str; 2],
    train: &'static [&'static str],
    test: &'static str,
    /// File of the class names.
    names: &'static str,
    /// Label bytes of a record; the last one counts.
    label_bytes: usize,
    classes: usize,
}

pub(crate) const CIFAR10: Layout = Layout {
    archive: "cifar-10-binary.tar.gz",
    md5: "c32a1d4ab5d03f1284b67883e8d87530",
    folder: "cifar-10-batches-bin",
    python: ["cifar-10-batches-py", "cifar-10-python.tar.gz"],
    train: &[
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
    ],
    test: "test_batch.bin",
    names: "batches.meta.txt",
    label_bytes: 1,
    classes: 10,
};

pub(crate) const CIFAR100: Layout = Layout {
    archive: "cifar-100-binary.tar.gz",
    md5: "03b5dce01913d631647c71ecec9e9cb8",
    folder: "cifar-100-binary",
    python: ["cifar-100-python", "cifar-100-python.tar.gz"],
    train: &["train.bin"],
    test: "test.bin",
    names: "fine_label_names.txt",
    label_bytes: 2,
    classes: 100,
};

/// Reads CIFAR-10 in its official binary version.
///
/// `path` is the folder `cifar-10-batches-bin`, a folder that holds it or the archive
/// `cifar-10-binary.tar.gz`, or the archive itself, whose MD5 checksum must be the official one unless
/// it is unpacked to a `.tar` file.
/// By A. Krizhevsky (2009), <https://www.cs.toronto.edu/~kriz/cifar.html>.
///
/// # Errors
/// Names the file that is missing, is cut off, or has a label that is none of the classes.
pub fn cifar10(path: &Path) -> Result<DataSplits, Error> {
    read(path, &CIFAR10)
}

/// Reads CIFAR-100 with its 100 fine classes in its official binary version.
///
/// `path` is the folder `cifar-100-binary`, a folder that holds it or the archive
/// `cifar-100-binary.tar.gz`, or the archive itself; as [`cifar10`].
///
/// # Errors
/// As [`cifar10`].
pub fn cifar100(path: &Path) -> Result<DataSplits, Error> {
    read(path, &CIFAR100)
}

fn read(path: &Path, layout: &Layout) -> Result<DataSplits, Error> {
    if path.is_file() {
        return read_archive(path, layout);
    }
    lists::folder(path, &format!("a folder with {}", layout.folder))?;
    for folder in [path.join(layout.folder), path.to_path_buf()] {
        if folder.join(layout.test).is_file() {
            return splits(&folder, layout, |name| {
                lists::read(&folder.join(name), "a file of the binary version of CIFAR")
            });
        }
    }
    // Some browsers unpack what they fetch, and take the last part of its name.
    let unpacked = Path::new(layout.archive).with_extension("");
    for archive in [path.join(layout.archive), path.join(unpacked)] {
        if archive.is_file() {
            return read_archive(&archive, layout);
        }
    }
    let python = layout.python.map(|name| path.join(name));
    if let Some(python) = python.iter().find(|path| path.exists()) {
        return Err(is_python(python, layout));
    }
    if path.join("batches.meta").is_file() || path.join("meta").is_file() {
        return Err(is_python(path, layout));
    }
    if image_folder::has_parts(path)? {
        let problem = "it holds pictures in folders: open it as imagefolder";
        return Err(Error::format(path, problem));
    }
    Err(Error::missing(
        &path.join(layout.folder).join(layout.test),
        format!(
            "the binary version of the data set, unpacked or as {}",
            layout.archive
        ),
    ))
}

fn is_python(path: &Path, layout: &Layout) -> Error {
    let problem = format!(
        "it is the version for Python: expected the binary one, {} from \
         https://www.cs.toronto.edu/~kriz/{}",
        layout.folder, layout.archive
    );
    Error::format(path, problem)
}

fn read_archive(path: &Path, layout: &Layout) -> Result<DataSplits, Error> {
    if path
        .file_name()
        .is_some_and(|name| name == layout.python[1])
    {
        return Err(is_python(path, layout));
    }
    // The official checksum is that of the compressed archive.
    if gzip::is_gzip(path)? {
        check_md5(path, layout.md5)?;
    }
    let mut contents = unpack(path, layout)?;
    splits(path, layout, |name| {
        contents.remove(name).ok_or_else(|| {
            let problem = format!("the archive has no {}/{name}", layout.folder);
            Error::format(path, problem)
        })
    })
}

/// The files of an archive that are needed, by name.
fn unpack(path: &Path, layout: &Layout) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let broken = |error: std::io::Error| {
        Error::format(path, format!("not a whole .tar.gz archive: {error}"))
    };
    let mut archive = tar::Archive::new(gzip::open(path)?.0);
    let mut contents = BTreeMap::new();
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let Some(name) = wanted(&entry.path().map_err(broken)?, layout) else {
            continue;
        };
        let size = entry.size();
        if size > MAX_FILE {
            let problem = format!("{name} has {size} bytes, more than any file of CIFAR");
            return Err(Error::format(path, problem));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(broken)?;
        if bytes.len() as u64 != size {
            return Err(Error::format(path, format!("{name} is cut off")));
        }
        contents.insert(name, bytes);
    }
    Ok(contents)
}

fn wanted(path: &Path, layout: &Layout) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let known = layout.train.contains(&name) || [layout.test, layout.names].contains(&name);
    known.then(|| name.to_string())
}

fn splits(
    place: &Path,
    layout: &Layout,
    mut contents: impl FnMut(&str) -> Result<Vec<u8>, Error>,
) -> Result<DataSplits, Error> {
    let names_path = place.join(layout.names);
    let names = lists::text(&names_path, contents(layout.names)?)?;
    let classes: Vec<String> = names
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(String::from)
        .collect();
    if classes.len() != layout.classes {
        let (expected, got) = (layout.classes, classes.len());
        let problem = format!("expected {expected} class names, got {got}");
        return Err(Error::format(&names_path, problem));
    }
    let mut part = |files: &[&str]| -> Result<ImageArray, Error> {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for name in files {
            let bytes = contents(name)?;
            records(&place.join(name), &bytes, layout, &mut pixels, &mut labels)?;
        }
        ImageArray::new([SIDE, SIDE, 3], pixels, labels, classes.clone())
    };
    Ok(DataSplits {
        train: Arc::new(part(layout.train)?),
        test: Arc::new(part(&[layout.test])?),
        validation: None,
        remarks: Vec::new(),
    })
}

/// Takes the records of a file apart: label bytes, then the red, green and blue values.
fn records(
    path: &Path,
    bytes: &[u8],
    layout: &Layout,
    pixels: &mut Vec<u8>,
    labels: &mut Vec<usize>,
) -> Result<(), Error> {
    let size = layout.label_bytes + 3 * AREA;
    if bytes.is_empty() || !bytes.len().is_multiple_of(size) {
        let problem = format!(
            "{} bytes are no whole number of records of {size} bytes",
            bytes.len()
        );
        return Err(Error::format(path, problem));
    }
    pixels.reserve_exact(bytes.len() / size * 3 * AREA);
    for (index, record) in bytes.chunks_exact(size).enumerate() {
        let (label, planes) = record.split_at(layout.label_bytes);
        let label = usize::from(label[layout.label_bytes - 1]);
        if label >= layout.classes {
            let last = layout.classes - 1;
            let problem = format!("record {index} has the label {label}: expected 0 to {last}");
            return Err(Error::format(path, problem));
        }
        labels.push(label);
        for place in 0..AREA {
            pixels.extend([0, AREA, 2 * AREA].map(|plane| planes[plane + place]));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;
    use crate::checksum::md5_hex;

    /// A record whose red, green and blue values start with these.
    fn record(labels: &[u8], colors: [u8; 3]) -> Vec<u8> {
        let mut bytes = labels.to_vec();
        for color in colors {
            bytes.push(color);
            bytes.extend([0; AREA - 1]);
        }
        bytes
    }

    fn names(layout: &Layout) -> String {
        // The official file ends with an empty line.
        (0..layout.classes)
            .map(|i| format!("class {i}\n"))
            .collect::<String>()
            + "\n"
    }

    fn contents(layout: &Layout) -> Vec<(&'static str, Vec<u8>)> {
        let labels = |label: u8| [3, label][2 - layout.label_bytes..].to_vec();
        let mut files = vec![
            (layout.names, names(layout).into_bytes()),
            (layout.test, record(&labels(9), [1, 2, 3])),
        ];
        for (index, name) in layout.train.iter().enumerate() {
            let label = index as u8;
            files.push((name, record(&labels(label), [10 + label, 20, 30])));
        }
        files
    }

    fn archive(layout: &Layout) -> Vec<u8> {
        let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(
            Vec::new(),
            Default::default(),
        ));
        for (name, bytes) in contents(layout) {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            let name = format!("{}/{name}", layout.folder);
            builder
                .append_data(&mut header, name, bytes.as_slice())
                .unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    fn check(splits: &DataSplits, layout: &Layout) {
        assert_eq!(splits.train.len(), layout.train.len());
        assert_eq!((splits.test.len(), splits.test.label(0)), (1, 9));
        assert_eq!(
            splits.test.image(0).unwrap().pixels[..6],
            [1, 2, 3, 0, 0, 0]
        );
        assert_eq!(splits.classes()[9], "class 9");
        for index in 0..splits.train.len() {
            assert_eq!(splits.train.label(index), index);
            let pixels = splits.train.image(index).unwrap().pixels;
            assert_eq!(pixels[..3], [10 + index as u8, 20, 30]);
        }
    }

    #[test]
    fn unpacked_sets_are_read() {
        for layout in [CIFAR10, CIFAR100] {
            let root = tempfile::tempdir().unwrap();
            let folder = root.path().join(layout.folder);
            fs::create_dir(&folder).unwrap();
            for (name, bytes) in contents(&layout) {
                fs::write(folder.join(name), bytes).unwrap();
            }
            check(&read(root.path(), &layout).unwrap(), &layout);
            check(&read(&folder, &layout).unwrap(), &layout);
        }
    }

    #[test]
    fn archives_are_read_after_their_checksum() {
        for mut layout in [CIFAR10, CIFAR100] {
            let root = tempfile::tempdir().unwrap();
            let path = root.path().join(layout.archive);
            let bytes = archive(&layout);
            fs::write(&path, &bytes).unwrap();
            let error = read(root.path(), &layout).unwrap_err().to_string();
            assert!(error.contains("MD5 checksum"), "{error}");
            layout.md5 = Box::leak(md5_hex(&bytes).into_boxed_str());
            check(&read(root.path(), &layout).unwrap(), &layout);
            check(&read(&path, &layout).unwrap(), &layout);
        }
    }

    #[test]
    fn archives_that_a_browser_unpacked_are_read() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("cifar-10-binary.tar");
        let mut bytes = Vec::new();
        let packed = archive(&CIFAR10);
        let mut decoder = flate2::read::GzDecoder::new(&packed[..]);
        decoder.read_to_end(&mut bytes).unwrap();
        fs::write(&path, &bytes).unwrap();
        check(&read(root.path(), &CIFAR10).unwrap(), &CIFAR10);
        check(&read(&path, &CIFAR10).unwrap(), &CIFAR10);
        fs::write(&path, &bytes[..5000]).unwrap();
        assert!(read(&path, &CIFAR10).is_err());
    }

    #[test]
    fn other_versions_are_refused_by_name() {
        for layout in [CIFAR10, CIFAR100] {
            let root = tempfile::tempdir().unwrap();
            let root = root.path();
            let problem = |path: &Path| read(path, &layout).unwrap_err().to_string();
            let folder = root.join(layout.python[0]);
            fs::create_dir_all(&folder).unwrap();
            let meta = if layout.classes == 10 {
                "batches.meta"
            } else {
                "meta"
            };
            fs::write(folder.join(meta), "").unwrap();
            fs::write(root.join(layout.python[1]), "").unwrap();
            let archive = format!("expected the binary one, {}", layout.folder);
            for path in [root, &folder, &root.join(layout.python[1])] {
                let text = problem(path);
                assert!(text.contains("version for Python"), "{text}");
                assert!(text.contains(&archive), "{text}");
            }
            let pictures = tempfile::tempdir().unwrap();
            fs::create_dir_all(pictures.path().join("train/cat")).unwrap();
            let text = problem(pictures.path());
            assert!(text.ends_with("open it as imagefolder"), "{text}");
        }
    }

    #[test]
    fn broken_archives_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.tar.gz");
        let whole = archive(&CIFAR10);
        let mut garbage = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        garbage.write_all(&[7; 5000]).unwrap();
        let garbage = garbage.finish().unwrap();
        for bytes in [
            &whole[..whole.len() / 2],
            &whole[..20],
            b"text",
            &garbage[..],
        ] {
            fs::write(&path, bytes).unwrap();
            let error = unpack(&path, &CIFAR10).unwrap_err().to_string();
            assert!(
                error.contains("x.tar.gz: not a whole .tar.gz archive"),
                "{error}"
            );
        }
    }

    #[test]
    fn broken_files_are_named() {
        let problem = |name: &str, bytes: &[u8]| {
            let folder = tempfile::tempdir().unwrap();
            for (name, bytes) in contents(&CIFAR10) {
                fs::write(folder.path().join(name), bytes).unwrap();
            }
            fs::write(folder.path().join(name), bytes).unwrap();
            let error = read(folder.path(), &CIFAR10).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
            error
        };
        let bad = record(&[10], [0; 3]);
        assert!(problem("data_batch_3.bin", &bad).contains("record 0 has the label 10"));
        assert!(problem("data_batch_2.bin", &bad[1..]).contains("3072 bytes are no whole number"));
        assert!(problem("test_batch.bin", &[]).contains("0 bytes are no whole number"));
        assert!(problem("batches.meta.txt", b"a\nb\n").contains("expected 10 class names, got 2"));
        assert!(problem("batches.meta.txt", &[255]).contains("not UTF-8"));
        let empty = tempfile::tempdir().unwrap();
        let error = read(empty.path(), &CIFAR10).unwrap_err().to_string();
        assert!(error.contains("is not there"), "{error}");
        let error = read(&empty.path().join("x"), &CIFAR10).unwrap_err();
        assert!(matches!(error, Error::Missing { .. }));
    }
}
