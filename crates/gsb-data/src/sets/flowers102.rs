//! Oxford Flowers-102.

use std::path::Path;
use std::sync::Arc;

use matfile::{MatFile, NumericData};

use super::files::{self, ImageFiles};
use super::image_folder::image_folder;
use crate::{DataSet, DataSplits, Error};

const LABELS: &str = "imagelabels.mat";
const SPLITS: &str = "setid.mat";
const CLASSES: usize = 102;

/// Reads Flowers-102 from a folder.
///
/// In the official layout that is `jpg/image_00001.jpg` and so on, `imagelabels.mat` (`labels`) and
/// `setid.mat` (`trnid`, `valid`, `tstid`); the classes are named `1` to `102`, as the official
/// files have no other names. A folder with `train` and `val` is read as an [`image_folder`].
///
/// By M.-E. Nilsback and A. Zisserman (2008), <https://www.robots.ox.ac.uk/~vgg/data/flowers/102/>.
///
/// # Errors
/// Names the file that is missing or broken, and numbers that do not go together. Pictures are read
/// later, when they are asked for.
pub fn flowers102(root: &Path) -> Result<DataSplits, Error> {
    files::folder(root, "a folder with jpg, imagelabels.mat and setid.mat")?;
    let labels_path = root.join(LABELS);
    if !labels_path.exists() && root.join("train").is_dir() {
        return image_folder(root);
    }
    let pictures = root.join("jpg");
    files::folder(&pictures, "the pictures image_00001.jpg and so on")?;
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
    let mut part = |ids: Vec<usize>| {
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
            files.push((
                pictures.join(format!("image_{id:05}.jpg")),
                labels[id - 1] - 1,
            ));
        }
        let classes = (1..=CLASSES).map(|class| class.to_string()).collect();
        Ok(Arc::new(ImageFiles::new(files, classes)?) as Arc<dyn DataSet>)
    };
    Ok(DataSplits {
        train: part(train)?,
        validation: Some(part(validation)?),
        test: part(test)?,
    })
}

/// Arrays of a MATLAB file, as positive integers.
fn integers<const N: usize>(path: &Path, names: [&str; N]) -> Result<[Vec<usize>; N], Error> {
    let bytes = files::read(path, "a MATLAB file of the data set")?;
    let file = MatFile::parse(bytes.as_slice())
        .map_err(|error| Error::format(path, format!("not a MATLAB 5 file: {error}")))?;
    let array = |name: &str| {
        let array = file
            .find_by_name(name)
            .ok_or_else(|| Error::format(path, format!("it has no array of numbers {name:?}")))?;
        let numbers = positive(array.data()).ok_or_else(|| {
            let problem = format!("{name:?} has values that are no positive integers");
            Error::format(path, problem)
        })?;
        if numbers.is_empty() {
            return Err(Error::format(path, format!("{name:?} is empty")));
        }
        Ok(numbers)
    };
    let mut arrays = [const { Vec::new() }; N];
    for (values, name) in arrays.iter_mut().zip(names) {
        *values = array(name)?;
    }
    Ok(arrays)
}

fn positive(data: &NumericData) -> Option<Vec<usize>> {
    fn all<T: Copy + Into<f64>>(values: &[T]) -> Option<Vec<usize>> {
        let integer = |value: f64| {
            let valid = value >= 1.0 && value <= f64::from(u32::MAX) && value.fract() == 0.0;
            valid.then_some(value as usize)
        };
        values.iter().map(|&value| integer(value.into())).collect()
    }
    match data {
        NumericData::UInt8 { real, .. } => all(real),
        NumericData::Int8 { real, .. } => all(real),
        NumericData::UInt16 { real, .. } => all(real),
        NumericData::Int16 { real, .. } => all(real),
        NumericData::UInt32 { real, .. } => all(real),
        NumericData::Int32 { real, .. } => all(real),
        NumericData::Single { real, .. } => all(real),
        NumericData::Double { real, .. } => all(real),
        NumericData::UInt64 { real, .. } => real
            .iter()
            .map(|&value| usize::try_from(value).ok())
            .collect(),
        NumericData::Int64 { real, .. } => real
            .iter()
            .map(|&value| usize::try_from(value).ok())
            .collect(),
    }
}
