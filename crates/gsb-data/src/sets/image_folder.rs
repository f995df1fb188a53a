//! Folders of pictures, one a class: ImageNet, Tiny-ImageNet and your own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use walkdir::WalkDir;

use super::files::{self, ImageFiles, is_picture};
use crate::{DataSet, DataSplits, Error};

const VALIDATION: [&str; 3] = ["val", "valid", "validation"];
const TEST: &str = "test";
/// Tiny-ImageNet's table of the classes of its validation pictures.
const ANNOTATIONS: &str = "val_annotations.txt";

/// Reads a folder that has a folder for each part, and in it one for each class.
///
/// ```text
/// train/CLASS/**/*.{jpg,jpeg,png}
/// val/CLASS/**/*.{jpg,jpeg,png}       or valid/, validation/, test/
/// ```
///
/// Classes are the folders of `train` in alphabetical order. If there are labelled pictures in
/// `test` too, `test` is the test part and `val` the validation part; else `val` is tested on.
/// Tiny-ImageNet's `val/images` with `val/val_annotations.txt` is understood as well. Pictures are
/// read later, when they are asked for.
///
/// # Errors
/// Names the folder that is missing or empty, or that is no class of the training part.
pub fn image_folder(root: &Path) -> Result<DataSplits, Error> {
    files::folder(root, "a folder with train and val")?;
    let train = root.join("train");
    files::folder(&train, "a folder for each class")?;
    let classes = class_folders(&train)?;
    if classes.is_empty() {
        return Err(Error::format(
            &train,
            "expected a folder for each class, got none",
        ));
    }
    let train = labelled(&train, &classes, true)?;
    let validation = VALIDATION
        .iter()
        .map(|name| root.join(name))
        .find(|path| path.is_dir());
    let validation = validation.map(|path| part(&path, &classes)).transpose()?;
    let test = root.join(TEST);
    let test = if has_class(&test, &classes)? {
        Some(part(&test, &classes)?)
    } else {
        None
    };
    let (test, validation) = match (test, validation) {
        (Some(test), validation) => (test, validation),
        (None, Some(validation)) => (validation, None),
        (None, None) => {
            let expected = "a folder for each class, as in train; or test in its place";
            return Err(Error::missing(&root.join(VALIDATION[0]), expected));
        }
    };
    Ok(DataSplits {
        train: Arc::new(train),
        test: Arc::new(test),
        validation: validation.map(|set| Arc::new(set) as Arc<dyn DataSet>),
    })
}

/// Names of the folders in a folder, in order.
fn class_folders(path: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(Error::io(path))? {
        let entry = entry.map_err(Error::io(path))?;
        let name = entry.file_name();
        if !entry.path().is_dir() || name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let name = name
            .into_string()
            .map_err(|name| Error::format(path, format!("the name of {name:?} is not UTF-8")))?;
        names.push(name);
    }
    names.sort_unstable();
    Ok(names)
}

fn has_class(path: &Path, classes: &[String]) -> Result<bool, Error> {
    if !path.is_dir() {
        return Ok(false);
    }
    let folders = class_folders(path)?;
    Ok(folders
        .iter()
        .any(|name| classes.binary_search(name).is_ok()))
}

/// A part that is not the training part.
fn part(path: &Path, classes: &[String]) -> Result<ImageFiles, Error> {
    let annotations = path.join(ANNOTATIONS);
    if annotations.is_file() {
        annotated(path, &annotations, classes)
    } else {
        labelled(path, classes, false)
    }
}

/// The pictures in the folders of the classes, all of which must have some in the training part.
fn labelled(path: &Path, classes: &[String], all: bool) -> Result<ImageFiles, Error> {
    let mut pictures = Vec::new();
    for name in class_folders(path)? {
        let folder = path.join(&name);
        let Ok(label) = classes.binary_search(&name) else {
            return Err(Error::format(&folder, "train has no class of this name"));
        };
        let before = pictures.len();
        for entry in WalkDir::new(&folder).follow_links(true).sort_by_file_name() {
            let entry = entry.map_err(|error| Error::format(&folder, error.to_string()))?;
            if entry.file_type().is_file() && is_picture(entry.path()) {
                pictures.push((entry.into_path(), label));
            }
        }
        if all && pictures.len() == before {
            return Err(empty(&folder));
        }
    }
    if pictures.is_empty() {
        return Err(empty(path));
    }
    ImageFiles::new(pictures, classes.to_vec())
}

fn empty(path: &Path) -> Error {
    Error::format(path, "expected pictures (.jpg, .jpeg or .png), got none")
}

/// The pictures of a table: file name, class and a box, with tabs between.
fn annotated(path: &Path, table: &Path, classes: &[String]) -> Result<ImageFiles, Error> {
    let text = files::read_text(table, "a table of the validation pictures")?;
    let images = path.join("images");
    let mut pictures: Vec<(PathBuf, usize)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let row = index + 1;
        let mut fields = line.split('\t');
        let (Some(name), Some(class)) = (fields.next(), fields.next()) else {
            let problem = format!("row {row}: expected a file name and a class with a tab between");
            return Err(Error::format(table, problem));
        };
        let label = classes
            .iter()
            .position(|known| known == class)
            .ok_or_else(|| {
                Error::format(table, format!("row {row}: train has no class {class:?}"))
            })?;
        pictures.push((files::listed(&images, name, table)?, label));
    }
    if pictures.is_empty() {
        return Err(Error::format(
            table,
            "expected a row for each picture, got none",
        ));
    }
    ImageFiles::new(pictures, classes.to_vec())
}
