//! CIFAR-10 and CIFAR-100.

mod layout;
mod part;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

pub(crate) use self::layout::{CIFAR10, CIFAR100};
use self::layout::{Layout, SIDE, Version};
use self::part::Part;
use super::image_folder;
use super::pickle::Pickle;
use crate::checksum::check_md5;
use crate::{DataSplits, Error, ImageArray, gzip, lists};

/// More than the largest file of the archives, 153,700,000 bytes.
const MAX_FILE: u64 = 200_000_000;

/// Reads CIFAR-10 in its official binary version or that for Python.
///
/// `path` is the folder `cifar-10-batches-bin` or `cifar-10-batches-py`, a folder that holds it or its
/// archive, `cifar-10-binary.tar.gz` or `cifar-10-python.tar.gz`, or the archive itself, whose MD5 checksum
/// must be the official one unless it is unpacked to a `.tar` file. Nothing in the pickles of Python's
/// version is executed.
/// By A. Krizhevsky (2009), <https://www.cs.toronto.edu/~kriz/cifar.html>.
///
/// # Errors
/// Names the file that is missing, is cut off, or has a label that is none of the classes.
pub fn cifar10(path: &Path) -> Result<DataSplits, Error> {
    read(path, &CIFAR10)
}

/// Reads CIFAR-100 with its 100 fine classes in its official binary version or that for Python.
///
/// `path` is the folder `cifar-100-binary` or `cifar-100-python`, a folder that holds it or its archive,
/// or the archive itself; as [`cifar10`].
///
/// # Errors
/// As [`cifar10`].
pub fn cifar100(path: &Path) -> Result<DataSplits, Error> {
    read(path, &CIFAR100)
}

fn read(path: &Path, layout: &Layout) -> Result<DataSplits, Error> {
    let versions = [&layout.binary, &layout.python];
    if path.is_file() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let version = versions[usize::from(name.contains("python"))];
        return read_archive(path, layout, version);
    }
    lists::folder(path, &format!("a folder with {}", layout.binary.folder))?;
    for version in versions {
        for folder in [path.join(version.folder), path.to_path_buf()] {
            if folder.join(version.test).is_file() {
                return splits(&folder, layout, version, |name| {
                    lists::read_at_most(MAX_FILE, &folder.join(name), "a file of CIFAR")
                });
            }
        }
    }
    for version in versions {
        // Some browsers unpack what they fetch, and take the last part of its name.
        let unpacked = Path::new(version.archive).with_extension("");
        for archive in [path.join(version.archive), path.join(unpacked)] {
            if archive.is_file() {
                return read_archive(&archive, layout, version);
            }
        }
    }
    if image_folder::has_parts(path)? {
        let problem = "it holds pictures in folders: open it as imagefolder";
        return Err(Error::format(path, problem));
    }
    let Version { folder, test, .. } = layout.binary;
    let [binary, python] = versions.map(|version| version.archive);
    Err(Error::missing(
        &path.join(folder).join(test),
        format!("the data set unpacked, or as {binary} or {python}"),
    ))
}

fn read_archive(path: &Path, layout: &Layout, version: &Version) -> Result<DataSplits, Error> {
    // The official checksum is that of the compressed archive.
    if gzip::is_gzip(path)? {
        check_md5(path, version.md5)?;
    }
    let mut contents = unpack(path, version)?;
    splits(path, layout, version, |name| {
        contents.remove(name).ok_or_else(|| {
            let problem = format!("the archive has no {}/{name}", version.folder);
            Error::format(path, problem)
        })
    })
}

/// The files of an archive that are needed, by name.
fn unpack(path: &Path, version: &Version) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let broken = |error: std::io::Error| {
        Error::format(path, format!("not a whole .tar.gz archive: {error}"))
    };
    let mut archive = tar::Archive::new(gzip::open(path)?.0);
    let mut contents = BTreeMap::new();
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let Some(name) = wanted(&entry.path().map_err(broken)?, version) else {
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

fn wanted(path: &Path, version: &Version) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let known = version.train.contains(&name) || [version.test, version.names].contains(&name);
    known.then(|| name.to_string())
}

fn splits(
    place: &Path,
    layout: &Layout,
    version: &Version,
    mut contents: impl FnMut(&str) -> Result<Vec<u8>, Error>,
) -> Result<DataSplits, Error> {
    let is_python = version.folder == layout.python.folder;
    let names_path = place.join(version.names);
    let names = contents(version.names)?;
    let classes = if is_python {
        let pickle = Pickle::parse(&names);
        let names = pickle.and_then(|pickle| pickle.strings(layout.keys[1], layout.classes));
        names.map_err(|problem| Error::format(&names_path, problem))?
    } else {
        let names = lists::text(&names_path, names)?;
        let names = names.lines().map(str::trim).filter(|line| !line.is_empty());
        names.map(String::from).collect()
    };
    if classes.len() != layout.classes {
        let (expected, got) = (layout.classes, classes.len());
        let problem = format!("expected {expected} class names, got {got}");
        return Err(Error::format(&names_path, problem));
    }
    let mut part = |files: &[&str]| -> Result<ImageArray, Error> {
        let mut part = Part::default();
        for name in files {
            let bytes = contents(name)?;
            let added = match is_python {
                true => part.add_pickle(&bytes, layout),
                false => part.add_records(&bytes, layout),
            };
            added.map_err(|problem| Error::format(&place.join(name), problem))?;
        }
        ImageArray::new([SIDE, SIDE, 3], part.pixels, part.labels, classes.clone())
    };
    Ok(DataSplits {
        train: Arc::new(part(version.train)?),
        test: Arc::new(part(&[version.test])?),
        validation: None,
        remarks: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::layout::AREA;
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
            (layout.binary.names, names(layout).into_bytes()),
            (layout.binary.test, record(&labels(9), [1, 2, 3])),
        ];
        for (index, name) in layout.binary.train.iter().enumerate() {
            let label = index as u8;
            files.push((name, record(&labels(label), [10 + label, 20, 30])));
        }
        files
    }

    /// The same set as pickles, as Python 2 writes them.
    fn pickles(layout: &Layout) -> Vec<(&'static str, Vec<u8>)> {
        let string = |text: &str| [b"U", &[text.len() as u8][..], text.as_bytes()].concat();
        let entry = |key: &str, value: &[u8]| [&string(key), value].concat();
        let dictionary = |entries: Vec<u8>| [b"\x80\x02}q\x01(", &entries[..], b"u."].concat();
        let batch = |label: u8, colors| {
            let pixels = record(&[], colors);
            let array = [
                b"cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85U\x01b\x87R(K\x01",
                &b"K\x01M\x00\x0C\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R\x89T"[..],
                &(pixels.len() as u32).to_le_bytes(),
                &pixels,
                b"tb",
            ];
            let labels = [b"]q\x04K", &[label][..], b"a"].concat();
            let entries = [
                entry("data", &array.concat()),
                entry(layout.keys[0], &labels),
            ];
            dictionary(entries.concat())
        };
        let names = names(layout);
        let names = names.lines().filter(|name| !name.is_empty());
        let names: Vec<u8> = names.flat_map(string).collect();
        let names = [b"](", &names[..], b"e"].concat();
        let mut files = vec![
            (
                layout.python.names,
                dictionary(entry(layout.keys[1], &names)),
            ),
            (layout.python.test, batch(9, [1, 2, 3])),
        ];
        for (index, name) in layout.python.train.iter().enumerate() {
            let label = index as u8;
            files.push((name, batch(label, [10 + label, 20, 30])));
        }
        files
    }

    fn archive(version: &Version, contents: Vec<(&str, Vec<u8>)>) -> Vec<u8> {
        let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(
            Vec::new(),
            Default::default(),
        ));
        for (name, bytes) in contents {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            let name = format!("{}/{name}", version.folder);
            builder
                .append_data(&mut header, name, bytes.as_slice())
                .unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    fn check(splits: &DataSplits, layout: &Layout) {
        assert_eq!(splits.train.len(), layout.binary.train.len());
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
            for (version, contents) in [
                (layout.binary, contents(&layout)),
                (layout.python, pickles(&layout)),
            ] {
                let root = tempfile::tempdir().unwrap();
                let folder = root.path().join(version.folder);
                fs::create_dir(&folder).unwrap();
                for (name, bytes) in contents {
                    fs::write(folder.join(name), bytes).unwrap();
                }
                check(&read(root.path(), &layout).unwrap(), &layout);
                check(&read(&folder, &layout).unwrap(), &layout);
            }
        }
    }

    #[test]
    fn archives_are_read_after_their_checksum() {
        for layout in [CIFAR10, CIFAR100] {
            for is_python in [false, true] {
                let (version, contents) = match is_python {
                    false => (layout.binary, contents(&layout)),
                    true => (layout.python, pickles(&layout)),
                };
                let bytes = archive(&version, contents);
                let root = tempfile::tempdir().unwrap();
                let path = root.path().join(version.archive);
                fs::write(&path, &bytes).unwrap();
                let error = read(root.path(), &layout).unwrap_err().to_string();
                assert!(error.contains("MD5 checksum"), "{error}");
                let mut layout = layout;
                let md5 = md5_hex(&bytes).leak();
                match is_python {
                    false => layout.binary.md5 = md5,
                    true => layout.python.md5 = md5,
                }
                check(&read(root.path(), &layout).unwrap(), &layout);
                check(&read(&path, &layout).unwrap(), &layout);
            }
        }
    }

    #[test]
    fn archives_that_a_browser_unpacked_are_read() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("cifar-10-binary.tar");
        let mut bytes = Vec::new();
        let packed = archive(&CIFAR10.binary, contents(&CIFAR10));
        let mut decoder = flate2::read::GzDecoder::new(&packed[..]);
        decoder.read_to_end(&mut bytes).unwrap();
        fs::write(&path, &bytes).unwrap();
        check(&read(root.path(), &CIFAR10).unwrap(), &CIFAR10);
        check(&read(&path, &CIFAR10).unwrap(), &CIFAR10);
        fs::write(&path, &bytes[..5000]).unwrap();
        assert!(read(&path, &CIFAR10).is_err());
    }

    #[test]
    fn pictures_in_folders_are_another_set() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("train/cat")).unwrap();
        let text = read(root.path(), &CIFAR10).unwrap_err().to_string();
        assert!(text.ends_with("open it as imagefolder"), "{text}");
    }

    #[test]
    fn broken_archives_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.tar.gz");
        let whole = archive(&CIFAR10.binary, contents(&CIFAR10));
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
            let error = unpack(&path, &CIFAR10.binary).unwrap_err().to_string();
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
        let problem = |name: &str, bytes: &[u8]| {
            let folder = tempfile::tempdir().unwrap();
            for (name, bytes) in pickles(&CIFAR10) {
                fs::write(folder.path().join(name), bytes).unwrap();
            }
            fs::write(folder.path().join(name), bytes).unwrap();
            let error = read(folder.path(), &CIFAR10).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
            error
        };
        assert!(problem("data_batch_2", b"text").contains("not a pickle of numbers and bytes"));
        let labels = b"\x80\x02}U\x06labels]K\x0AasU\x04dataT\x00\x0C\x00\x00";
        let bad = [&labels[..], &[0; 3072], b"s."].concat();
        assert!(problem("test_batch", &bad).contains("record 0 has the label 10"));
        assert!(problem("batches.meta", b"}.").contains("it has no entry \"label_names\""));
        let empty = tempfile::tempdir().unwrap();
        let error = read(empty.path(), &CIFAR10).unwrap_err().to_string();
        assert!(error.contains("is not there"), "{error}");
        let error = read(&empty.path().join("x"), &CIFAR10).unwrap_err();
        assert!(matches!(error, Error::Missing { .. }));
    }
}
