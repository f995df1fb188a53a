//! Folders of pictures, one a class: ImageNet, Tiny-ImageNet and your own.

use std::path::{Path, PathBuf};

use super::files::{FileSplits, Labelled};
use crate::error::{counted, first_ten};
use crate::file_names::is_picture;
use crate::{DataSplits, Error, Listing, Orientation, list_pictures, lists};

/// Names of the parts, in any capitals.
const TRAIN: [&str; 2] = ["train", "training"];
const VALIDATION: [&str; 3] = ["val", "valid", "validation"];
const TEST: [&str; 2] = ["test", "testing"];
/// How deep an archive may have put the parts: in a folder in a folder of its own.
const DEPTH: usize = 2;
/// Tiny-ImageNet's table of the classes of its validation pictures, and their folder.
const ANNOTATIONS: &str = "val_annotations.txt";
const IMAGES: &str = "images";

/// Reads a folder that has a folder for each part, and in it one for each class.
///
/// ```text
/// train/CLASS/**/*.jpg      or training/
/// val/CLASS/**/*.jpg        or valid/, validation/
/// test/CLASS/**/*.jpg       or testing/
/// ```
///
/// Parts may have any capitals, and may lie in a folder of their own that an archive was unpacked
/// into. Classes are the folders of `train` in alphabetical order; [`list_pictures`] says which files
/// are pictures. If there are labelled pictures in `test` too, `test` is the test part and `val` the
/// validation part; else `val` is tested on. Tiny-ImageNet's `val/images` with
/// `val/val_annotations.txt` is understood as well, and so is its `val` sorted into classes. Pictures
/// are read later, when they are asked for.
///
/// # Errors
/// Names the folder that is missing or empty or there twice, classes without training pictures and
/// those that the training part does not have.
pub fn image_folder(root: &Path) -> Result<DataSplits, Error> {
    read(root)?.open(Orientation::default())
}

pub(crate) fn read(root: &Path) -> Result<FileSplits, Error> {
    lists::folder(root, "a folder with train and val")?;
    let Some(parts) = Parts::find(root)? else {
        return Err(no_parts(root));
    };
    let mut found = Found::default();
    let classes = lists::entries(&parts.train)?.0;
    let train = found.training(&parts.train, &classes)?;
    let validation = parts
        .validation
        .map(|path| found.validation(&path, &classes))
        .transpose()?;
    let test = match &parts.test {
        Some(path) => found.labelled(path, &classes)?,
        None => None,
    };
    let (test, validation) = match (test, validation) {
        (Some(test), validation) => (test, validation),
        (None, Some(validation)) => {
            if let Some(test) = parts.test {
                let test = test.display();
                let remark = format!("{test} has no pictures in folders of classes: left aside");
                found.remarks.push(remark);
            }
            (validation, None)
        }
        (None, None) => {
            let place = parts.train.with_file_name(VALIDATION[0]);
            let expected = "a folder for each class, as in train; or test in its place";
            return Err(Error::missing(&place, expected));
        }
    };
    found.remarks.extend(found.files.remark());
    Ok(FileSplits {
        classes,
        train,
        test,
        validation,
        remarks: found.remarks,
    })
}

/// Whether there is a training part in a folder, or in the only folder inside it.
pub(crate) fn has_parts(root: &Path) -> Result<bool, Error> {
    Ok(Parts::find(root)?.is_some())
}

/// Where the parts are.
struct Parts {
    train: PathBuf,
    validation: Option<PathBuf>,
    test: Option<PathBuf>,
}

impl Parts {
    fn find(root: &Path) -> Result<Option<Self>, Error> {
        let mut place = root.to_path_buf();
        for _ in 0..=DEPTH {
            let folders = lists::entries(&place)?.0;
            if let Some(train) = part(&place, &folders, &TRAIN)? {
                return Ok(Some(Self {
                    train,
                    validation: part(&place, &folders, &VALIDATION)?,
                    test: part(&place, &folders, &TEST)?,
                }));
            }
            let [only] = &folders[..] else { break };
            place.push(only);
        }
        Ok(None)
    }
}

/// The one of the folders that has one of the names.
fn part(place: &Path, folders: &[String], names: &[&str]) -> Result<Option<PathBuf>, Error> {
    let mut found = folders
        .iter()
        .filter(|folder| names.iter().any(|name| folder.eq_ignore_ascii_case(name)));
    let first = found.next();
    if let (Some(first), Some(second)) = (first, found.next()) {
        let problem = format!("{first:?} and {second:?} are the same part: keep one of them");
        return Err(Error::format(place, problem));
    }
    Ok(first.map(|name| place.join(name)))
}

fn no_parts(root: &Path) -> Error {
    let (folders, files) = lists::entries(root).unwrap_or_default();
    let names: Vec<String> = folders.into_iter().chain(files).collect();
    let holds = match names.len() {
        0 => "is empty".into(),
        _ => format!("holds {}", first_ten(&names)),
    };
    let expected = format!(
        "a folder for each class in it, and val or test beside it, but {} {holds}",
        root.display()
    );
    Error::missing(&root.join(TRAIN[0]), expected)
}

/// What is found besides labelled pictures.
#[derive(Default)]
struct Found {
    files: Listing,
    remarks: Vec<String>,
}

impl Found {
    /// The pictures of a folder, inner ones included.
    fn pictures(&mut self, folder: &Path) -> Result<Vec<PathBuf>, Error> {
        let mut listing = list_pictures(folder)?;
        let pictures = std::mem::take(&mut listing.pictures);
        self.files.append(listing);
        Ok(pictures)
    }

    /// The pictures of the training part, which has some of every class.
    fn training(&mut self, path: &Path, classes: &[String]) -> Result<Labelled, Error> {
        if classes.is_empty() {
            let problem = match self.loose(path)? {
                0 => "expected a folder for each class, got none".into(),
                loose => format!(
                    "expected a folder for each class, got {} and no folder",
                    counted(loose, "picture")
                ),
            };
            return Err(Error::format(path, problem));
        }
        let (mut pictures, mut empty) = (Labelled::new(), Vec::new());
        for (label, class) in classes.iter().enumerate() {
            let of_class = self.pictures(&path.join(class))?;
            if of_class.is_empty() {
                empty.push(class);
            }
            pictures.extend(of_class.into_iter().map(|picture| (picture, label)));
        }
        if !empty.is_empty() {
            let problem = format!(
                "expected pictures of every class, got none of {}: fill or remove these folders",
                first_ten(&empty)
            );
            return Err(Error::format(path, problem));
        }
        self.remark_loose(path)?;
        Ok(pictures)
    }

    /// The pictures of the validation part: by folders of classes, or by a table.
    fn validation(&mut self, path: &Path, classes: &[String]) -> Result<Labelled, Error> {
        if let Some(pictures) = self.labelled(path, classes)? {
            return Ok(pictures);
        }
        let table = path.join(ANNOTATIONS);
        if table.is_file() {
            return annotated(path, &table, classes);
        }
        let unknown = lists::entries(path)?.0;
        if !unknown.is_empty() {
            return Err(unknown_classes(path, &unknown, classes));
        }
        let problem = match self.loose(path)? {
            0 => "expected pictures in a folder for each class, got none".into(),
            loose => format!(
                "{} in no class: put them into a folder for each class, as in train",
                counted(loose, "picture")
            ),
        };
        Err(Error::format(path, problem))
    }

    /// The pictures in the folders of classes, if there are any.
    fn labelled(&mut self, path: &Path, classes: &[String]) -> Result<Option<Labelled>, Error> {
        let (mut pictures, mut unknown) = (Labelled::new(), Vec::new());
        let before = self.files.clone();
        for folder in lists::entries(path)?.0 {
            let inside = self.pictures(&path.join(&folder))?;
            match classes.binary_search(&folder) {
                Ok(label) => pictures.extend(inside.into_iter().map(|picture| (picture, label))),
                Err(_) if inside.is_empty() => {}
                Err(_) => unknown.push(folder),
            }
        }
        if pictures.is_empty() {
            self.files = before;
            return Ok(None);
        }
        // Tiny-ImageNet with copies of its pictures in the folders of their classes.
        if path.join(ANNOTATIONS).is_file() && unknown == [IMAGES] {
            let images = path.join(IMAGES);
            let remark = format!(
                "{} is left aside: there are folders of classes beside it",
                images.display()
            );
            self.remarks.push(remark);
            unknown.clear();
        }
        if !unknown.is_empty() {
            return Err(unknown_classes(path, &unknown, classes));
        }
        self.remark_loose(path)?;
        Ok(Some(pictures))
    }

    /// Pictures in no folder of a class.
    fn loose(&self, path: &Path) -> Result<usize, Error> {
        let files = lists::entries(path)?.1;
        let pictures = files.iter().filter(|name| is_picture(Path::new(name)));
        Ok(pictures.count())
    }

    fn remark_loose(&mut self, path: &Path) -> Result<(), Error> {
        let loose = self.loose(path)?;
        if loose > 0 {
            let (loose, path) = (counted(loose, "picture"), path.display());
            let remark = format!("left out {loose} in {path}, but in no folder of a class");
            self.remarks.push(remark);
        }
        Ok(())
    }
}

fn unknown_classes(path: &Path, unknown: &[String], classes: &[String]) -> Error {
    let names = unknown.iter().map(|name| {
        let similar = |class: &&String| class.to_lowercase() == name.to_lowercase();
        match classes.iter().find(similar) {
            Some(class) => format!("{name:?} (but {class:?})"),
            None => format!("{name:?}"),
        }
    });
    let names: Vec<String> = names.collect();
    let problem = format!("train has no class of this name: {}", first_ten(&names));
    Error::format(path, problem)
}

/// The pictures of a table: file name, class and a box, with tabs between.
fn annotated(path: &Path, table: &Path, classes: &[String]) -> Result<Labelled, Error> {
    let text = lists::read_text(table, "a table of the validation pictures")?;
    let images = path.join(IMAGES);
    let images = if images.is_dir() { &images } else { path };
    let mut pictures = Labelled::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let row = index + 1;
        let mut fields = line.split('\t').map(str::trim);
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
        pictures.push((lists::listed(images, name, table)?, label));
    }
    if pictures.is_empty() {
        return Err(Error::format(
            table,
            "expected a row for each picture, got none",
        ));
    }
    Ok(pictures)
}
