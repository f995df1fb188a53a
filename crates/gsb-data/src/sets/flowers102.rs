//! Oxford Flowers-102.

use std::path::Path;

use super::files::{FileSplits, Labelled};
use super::{image_folder, matlab};
use crate::{DataSplits, Error, Orientation, lists};

const LABELS: &str = "imagelabels.mat";
const SPLITS: &str = "setid.mat";
const CLASSES: usize = 102;

/// Reads Flowers-102 from a folder.
///
/// In the official layout that is `jpg/image_00001.jpg` and so on, `imagelabels.mat` (`labels`) and
/// `setid.mat` (`trnid`, `valid`, `tstid`); the classes are named `1` to `102`, as the official
/// files have no other names. A folder with `train` and `val` is read as by [`image_folder`](crate::image_folder).
///
/// By M.-E. Nilsback and A. Zisserman (2008), <https://www.robots.ox.ac.uk/~vgg/data/flowers/102/>.
///
/// # Errors
/// Names the file that is missing or broken, and numbers that do not go together. Pictures are read
/// later, when they are asked for.
pub fn flowers102(root: &Path) -> Result<DataSplits, Error> {
    read(root)?.open(Orientation::default())
}

pub(crate) fn read(root: &Path) -> Result<FileSplits, Error> {
    lists::folder(root, "a folder with jpg, imagelabels.mat and setid.mat")?;
    // torchvision unpacks the set into a folder of its own.
    let inner = root.join("flowers-102");
    let root = match !root.join(LABELS).exists() && inner.is_dir() {
        true => &inner,
        false => root,
    };
    let labels_path = root.join(LABELS);
    if !labels_path.exists() && image_folder::has_parts(root)? {
        return image_folder::read(root);
    }
    let pictures = root.join("jpg");
    lists::folder(&pictures, "the pictures image_00001.jpg and so on")?;
    let [labels] = integers(&labels_path, ["labels"])?;
    if let Some(place) = labels.iter().position(|l| !(1..=CLASSES).contains(l)) {
        let problem = format!(
            "picture {} has the label {}: expected 1 to {CLASSES}",
            place + 1,
            labels[place]
        );
        return Err(Error::format(&labels_path, problem));
    }
    let splits_path = root.join(SPLITS);
    let [train, validation, test] = integers(&splits_path, ["trnid", "valid", "tstid"])?;
    let mut used = vec![false; labels.len()];
    let mut part = |ids: Vec<usize>| -> Result<Labelled, Error> {
        let mut files = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(used) = id.checked_sub(1).and_then(|place| used.get_mut(place)) else {
                let problem = format!("there is no picture {id}: {LABELS} has {}", labels.len());
                return Err(Error::format(&splits_path, problem));
            };
            if std::mem::replace(used, true) {
                let problem = format!("picture {id} is there more than once");
                return Err(Error::format(&splits_path, problem));
            }
            let name = format!("image_{id:05}.jpg");
            let file = lists::listed(&pictures, &name, &splits_path)?;
            files.push((file, labels[id - 1] - 1));
        }
        Ok(files)
    };
    Ok(FileSplits {
        train: part(train)?,
        validation: Some(part(validation)?),
        test: part(test)?,
        classes: (1..=CLASSES).map(|class| class.to_string()).collect(),
        remarks: Vec::new(),
    })
}

/// Arrays of a MATLAB file, as positive integers.
fn integers<const N: usize>(path: &Path, names: [&str; N]) -> Result<[Vec<usize>; N], Error> {
    let bytes = lists::read(path, "a MATLAB file of the data set")?;
    let file = matlab::arrays(&bytes)
        .map_err(|error| Error::format(path, format!("not a MATLAB 5 file: {error}")))?;
    let array = |name: &str| {
        let (_, numbers) = file
            .iter()
            .find(|(found, _)| found == name)
            .ok_or_else(|| Error::format(path, format!("it has no array of numbers {name:?}")))?;
        if numbers.is_empty() {
            return Err(Error::format(path, format!("{name:?} is empty")));
        }
        let numbers: Option<_> = numbers.iter().copied().map(positive).collect();
        numbers.ok_or_else(|| {
            let problem = format!("{name:?} has values that are no positive integers");
            Error::format(path, problem)
        })
    };
    let mut arrays = [const { Vec::new() }; N];
    for (values, name) in arrays.iter_mut().zip(names) {
        *values = array(name)?;
    }
    Ok(arrays)
}

fn positive(value: f64) -> Option<usize> {
    let valid = value >= 1.0 && value <= f64::from(u32::MAX) && value.fract() == 0.0;
    valid.then_some(value as usize)
}
