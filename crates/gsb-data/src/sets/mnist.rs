//! MNIST and its relatives.

use std::path::Path;
use std::sync::Arc;

use super::array::digit_names;
use super::idx;
use crate::{DataSplits, Error, ImageArray, lists};

/// Reads MNIST, or a set in its format, from a folder.
///
/// The folder holds `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`
/// and `t10k-labels-idx1-ubyte`, or a folder inside it does: torchvision's `MNIST/raw`. The names may
/// have a dot (`train-images.idx3-ubyte`) and `.gz`; a file is unpacked if it is gzipped, whatever its
/// name. Pictures are gray, the classes the ten digits; Fashion-MNIST and KMNIST have the same format
/// and number of classes, and so have the digits of EMNIST, `test` in its names being what is tested on.
///
/// By Y. LeCun, C. Cortes and C. Burges (1998).
///
/// # Errors
/// Names the file that is missing, is cut off, has a wrong header, or does not go with its labels.
pub fn mnist(folder: &Path) -> Result<DataSplits, Error> {
    lists::folder(folder, "a folder with the files of MNIST")?;
    let train = part(folder, "train")?;
    // EMNIST calls it by another name.
    let test = match part(folder, "t10k") {
        Err(Error::Missing { .. }) if idx::find(folder, "test-images-idx3-ubyte").is_ok() => {
            part(folder, "test")
        }
        test => test,
    }?;
    if train.size() != test.size() {
        let problem = format!(
            "training pictures are {:?} pixels, test pictures {:?}",
            train.size(),
            test.size()
        );
        return Err(Error::format(folder, problem));
    }
    Ok(DataSplits {
        train: Arc::new(train),
        test: Arc::new(test),
        validation: None,
        remarks: Vec::new(),
    })
}

fn part(folder: &Path, name: &str) -> Result<ImageArray, Error> {
    let images_path = idx::find(folder, &format!("{name}-images-idx3-ubyte"))?;
    let labels_path = idx::find(folder, &format!("{name}-labels-idx1-ubyte"))?;
    let images = idx::read_images(&images_path)?;
    let labels = idx::read_labels(&labels_path)?;
    let [count, rows, columns] = images.shape;
    if labels.len() != count {
        let problem = format!(
            "{} labels, but {} has {count} pictures",
            labels.len(),
            images_path.display()
        );
        return Err(Error::format(&labels_path, problem));
    }
    let classes = digit_names();
    if let Some(place) = labels.iter().position(|&l| usize::from(l) >= classes.len()) {
        let problem = format!(
            "label {} of picture {place}: expected 0 to 9",
            labels[place]
        );
        return Err(Error::format(&labels_path, problem));
    }
    let labels = labels.into_iter().map(usize::from).collect();
    ImageArray::new([rows, columns, 1], images.pixels, labels, classes)
}
