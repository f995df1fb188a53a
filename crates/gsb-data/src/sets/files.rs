//! Pictures in files.

use std::fs;
use std::path::{Component, Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::{DataSet, Error, Image, read_image};

/// Labelled pictures, each in a file that is read when it is asked for.
///
/// A picture can be gray where its file is; [`Image::to_channels`] makes it RGB.
#[derive(Debug, Clone)]
pub struct ImageFiles {
    classes: Vec<String>,
    files: Vec<(PathBuf, usize)>,
}

impl ImageFiles {
    /// A set of files and their classes.
    ///
    /// # Errors
    /// [`Error::Label`] if a label is not a class.
    pub fn new(files: Vec<(PathBuf, usize)>, classes: Vec<String>) -> Result<Self, Error> {
        if let Some(index) = files.iter().position(|&(_, label)| label >= classes.len()) {
            return Err(Error::Label {
                index,
                label: files[index].1,
                classes: classes.len(),
            });
        }
        Ok(Self { classes, files })
    }

    /// The file of a picture.
    ///
    /// # Panics
    /// If there is no picture of this index.
    pub fn path(&self, index: usize) -> &Path {
        &self.files[index].0
    }
}

impl DataSet for ImageFiles {
    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        self.files.len()
    }

    fn label(&self, index: usize) -> usize {
        self.files[index].1
    }

    fn image(&self, index: usize) -> Result<Image, Error> {
        read_image(&self.files[index].0)
    }

    fn channels(&self) -> usize {
        3
    }
}

/// Whether a file is named as a picture that can be read.
pub(crate) fn is_picture(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    ["jpg", "jpeg", "png"]
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

/// The whole of a file that must be there.
pub(crate) fn read(path: &Path, expected: &str) -> Result<Vec<u8>, Error> {
    if !path.exists() {
        return Err(Error::missing(path, expected));
    }
    fs::read(path).map_err(Error::io(path))
}

/// The lines of a text file that must be there.
pub(crate) fn read_text(path: &Path, expected: &str) -> Result<String, Error> {
    String::from_utf8(read(path, expected)?)
        .map_err(|_| Error::format(path, "it is not UTF-8 text"))
}

/// A JSON file that must be there.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path, expected: &str) -> Result<T, Error> {
    let bytes = read(path, expected)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::format(path, format!("expected {expected}: {error}")))
}

/// A folder that must be there.
pub(crate) fn folder(path: &Path, expected: &str) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    if path.exists() {
        return Err(Error::format(
            path,
            format!("it is no folder: expected {expected}"),
        ));
    }
    Err(Error::missing(path, expected))
}

/// The file of this name in a list, which must not lead out of the folder.
pub(crate) fn listed(folder: &Path, name: &str, list: &Path) -> Result<PathBuf, Error> {
    let inside = Path::new(name)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if inside && !name.is_empty() {
        Ok(folder.join(name))
    } else {
        Err(Error::format(
            list,
            format!("{name:?} does not name a file in the folder of the data set"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_do_not_lead_out_of_their_folder() {
        let list = Path::new("list.json");
        let path = listed(Path::new("data"), "train/1.JPG", list).unwrap();
        assert_eq!(path, Path::new("data/train/1.JPG"));
        for name in ["../secret.png", "/etc/secret.png", "a/../../b.png", ""] {
            assert!(listed(Path::new("data"), name, list).is_err(), "{name}");
        }
    }

    #[test]
    fn pictures_are_known_by_their_extension() {
        for name in ["a.jpg", "a.JPEG", "b.Png"] {
            assert!(is_picture(Path::new(name)), "{name}");
        }
        for name in ["a.txt", "jpg", ".DS_Store"] {
            assert!(!is_picture(Path::new(name)), "{name}");
        }
    }
}
