//! What tells the pictures of a run from others.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use crate::checksum::hex;
use crate::prefetch::each_picture;
use crate::{DataSet, DataSplits, Error};

/// Bytes at either end of a file that are looked at.
const END: u64 = 1 << 16;

/// What tells the pictures that are trained and tested on from others.
///
/// It is the same wherever the data lie, and whatever their times and the number of threads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// Pictures to train on.
    pub train: usize,
    /// Pictures to test on.
    pub test: usize,
    /// MD5 over order, names, labels and contents of all of them.
    pub hash: String,
}

impl DataSplits {
    /// Reads all pictures to train and test on for what tells them from others.
    ///
    /// Of a picture in a file that is its name in the folder that holds all of them, its size and its
    /// first and last 64 KiB; of one in memory all its pixels.
    ///
    /// # Errors
    /// If a picture cannot be read.
    pub fn fingerprint(&self) -> Result<Fingerprint, Error> {
        let parts = [&self.train, &self.test];
        let folder = common_folder(parts.map(|part| &**part));
        let mut hash = Md5::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            let folder = folder.clone();
            for picture in each_picture(part, move |set, index| picture(set, index, &folder)) {
                hash.update(picture?);
            }
        }
        Ok(Fingerprint {
            train: self.train.len(),
            test: self.test.len(),
            hash: hex(&hash.finalize()),
        })
    }
}

/// The innermost folder that all files lie in; an empty path if there is none.
fn common_folder(parts: [&dyn DataSet; 2]) -> Arc<Path> {
    let mut common: Option<PathBuf> = None;
    let pictures = parts
        .iter()
        .flat_map(|set| (0..set.len()).filter_map(|index| set.file(index)));
    for path in pictures {
        let common = common.get_or_insert_with(|| path.to_path_buf());
        while !path.starts_with(&*common) || path == common {
            if !common.pop() {
                // A relative path and an absolute one, or two drives.
                *common = PathBuf::new();
                break;
            }
        }
    }
    common.unwrap_or_default().into()
}

/// What tells a picture from others, as bytes.
fn picture(set: &dyn DataSet, index: usize, folder: &Path) -> Result<Vec<u8>, Error> {
    let (name, size, content) = match set.file(index) {
        Some(path) => {
            let (size, content) = ends(path).map_err(Error::io(path))?;
            let inside = path.strip_prefix(folder).unwrap_or(path);
            let parts = inside.components();
            let name: Vec<u8> = parts
                .flat_map(|part| [b"/", part.as_os_str().as_encoded_bytes()].concat())
                .collect();
            (name, vec![size], content)
        }
        None => {
            let image = set.image(index)?;
            let size = [image.width, image.height, image.channels];
            let size = size.map(|size| size as u64).to_vec();
            (Vec::new(), size, crc32fast::hash(&image.pixels))
        }
    };
    let mut bytes = Vec::with_capacity(name.len() + 48);
    bytes.extend((name.len() as u64).to_le_bytes());
    bytes.extend(name);
    bytes.extend((set.label(index) as u64).to_le_bytes());
    bytes.extend(size.into_iter().flat_map(u64::to_le_bytes));
    bytes.extend(content.to_le_bytes());
    Ok(bytes)
}

/// The size of a file, and a checksum of its ends.
fn ends(path: &Path) -> io::Result<(u64, u32)> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut bytes = Vec::new();
    file.by_ref().take(END).read_to_end(&mut bytes)?;
    if size > END {
        file.seek(SeekFrom::Start(END.max(size - END)))?;
        file.read_to_end(&mut bytes)?;
    }
    Ok((size, crc32fast::hash(&bytes)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{ImageArray, ImageFiles, with_label_noise};

    fn array(pixels: [u8; 2], labels: [usize; 2]) -> Arc<dyn DataSet> {
        let classes = vec!["a".into(), "b".into()];
        Arc::new(ImageArray::new([1, 1, 1], pixels.to_vec(), labels.to_vec(), classes).unwrap())
    }

    fn splits(train: Arc<dyn DataSet>, test: Arc<dyn DataSet>) -> DataSplits {
        DataSplits {
            train,
            test,
            validation: None,
            remarks: Vec::new(),
        }
    }

    #[test]
    fn pixels_labels_and_parts_tell_sets_apart() {
        let of = |train, test| splits(train, test).fingerprint().unwrap();
        let [first, second] = [array([1, 2], [0, 1]), array([3, 4], [0, 1])];
        let fingerprint = of(first.clone(), second.clone());
        assert_eq!((fingerprint.train, fingerprint.test), (2, 2));
        assert_eq!(fingerprint, of(first.clone(), second.clone()));
        let noisy = Arc::new(with_label_noise(first.clone(), 0.5, 0).unwrap());
        for (train, test) in [
            (array([1, 3], [0, 1]), second.clone()),
            (array([2, 1], [0, 1]), second.clone()),
            (array([1, 2], [0, 0]), second.clone()),
            (noisy, second.clone()),
            (second, first),
        ] {
            assert_ne!(fingerprint.hash, of(train, test).hash);
        }
    }

    #[test]
    fn files_need_no_folder_in_common() {
        let files = |path: &str| {
            let files = vec![(PathBuf::from(path), 0)];
            ImageFiles::new(files, vec!["a".into()]).unwrap()
        };
        let [absolute, relative] = ["/somewhere/a.png", "b.png"].map(files);
        for parts in [[&absolute, &relative], [&relative, &absolute]] {
            let common = common_folder(parts.map(|set| set as &dyn DataSet));
            assert_eq!(&*common, Path::new(""));
        }
        let other = files("/elsewhere/b.png");
        assert_eq!(&*common_folder([&absolute, &other]), Path::new("/"));
    }

    /// Changes names and contents of files.
    type Change<'a> = &'a dyn Fn(&mut Vec<(&str, Vec<u8>)>);

    #[test]
    fn names_and_contents_tell_files_apart_but_not_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let of = |root: &str, change: Change| {
            let root = folder.path().join(root);
            let mut files = vec![
                ("train/1.png", vec![1; 10]),
                ("train/2.png", vec![2; 200_000]),
                ("test/1.png", vec![3; 10]),
            ];
            change(&mut files);
            let mut parts = [Vec::new(), Vec::new()];
            for (name, bytes) in files {
                let path = root.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, bytes).unwrap();
                parts[usize::from(name.starts_with("test"))].push((path, 0));
            }
            let [train, test] = parts.map(|files| {
                let classes = vec!["a".to_string()];
                Arc::new(ImageFiles::new(files, classes).unwrap()) as Arc<dyn DataSet>
            });
            splits(train, test).fingerprint().unwrap()
        };
        let whole = of("here", &|_| ());
        assert_eq!((whole.train, whole.test), (2, 1));
        assert_eq!(of("moved/to/another/place", &|_| ()), whole);
        let changes: [Change; 6] = [
            &|files| drop(files.remove(0)),
            &|files| files[0].0 = "train/3.png",
            &|files| files[0].1[5] = 0,
            &|files| files[1].1[100] = 0,
            &|files| files[1].1[199_900] = 0,
            &|files| files[1].1.push(2),
        ];
        for change in changes {
            assert_ne!(of("changed", change).hash, whole.hash);
        }
    }
}
