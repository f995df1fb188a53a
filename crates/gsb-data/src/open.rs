//! Opening data sets by name.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::sets::{chaoyang, flowers102, image_folder, inaturalist};
use crate::{
    Category, DataSetName, DataSplits, Error, Orientation, cifar10, cifar100, digits, mnist,
};

/// What some of the data sets need to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpenOptions {
    /// The classes of iNaturalist. The species by default.
    pub category: Category,
    /// Whether MNIST and CIFAR are fetched into the folder if they are not there; needs the
    /// feature `download`. No by default.
    pub download: bool,
    /// Whether pictures in files are turned as their camera noted. No by default, as torchvision does
    /// not.
    pub orientation: Orientation,
}

/// The fraction of the digits that is tested on, and the seed of the choice.
const DIGITS_SPLIT: (f64, u64) = (0.2, 0);

/// Opens a data set.
///
/// # Errors
/// [`Error::NoPath`] if the set needs a folder and there is none, [`Error::Option`] if it cannot be
/// downloaded, and the errors of the set's own function.
///
/// ```
/// use gsb_data::{DataSetName, OpenOptions};
///
/// let splits = gsb_data::open(DataSetName::Digits, None, &OpenOptions::default())?;
/// assert_eq!((splits.train.len(), splits.test.len()), (1437, 360));
/// # Ok::<(), gsb_data::Error>(())
/// ```
pub fn open(
    name: DataSetName,
    path: Option<&Path>,
    options: &OpenOptions,
) -> Result<DataSplits, Error> {
    let folder = || {
        path.ok_or(Error::NoPath {
            name: name.as_str(),
        })
    };
    let fetched = |read: fn(&Path) -> Result<DataSplits, Error>| {
        let folder = folder()?;
        match read(folder) {
            Err(Error::Missing { .. }) if options.download => {
                download(name, folder)?;
                read(folder)
            }
            opened => opened,
        }
    };
    let is_fetched = matches!(
        name,
        DataSetName::Digits | DataSetName::Mnist | DataSetName::Cifar10 | DataSetName::Cifar100
    );
    if options.download && !is_fetched {
        // Says that it cannot be.
        download(name, folder()?)?;
    }
    let splits = match name {
        DataSetName::Digits => {
            let (fraction, seed) = DIGITS_SPLIT;
            return digits()?.split(fraction, seed);
        }
        DataSetName::Mnist => return fetched(mnist),
        DataSetName::Cifar10 => return fetched(cifar10),
        DataSetName::Cifar100 => return fetched(cifar100),
        DataSetName::Flowers102 => flowers102::read(folder()?)?,
        DataSetName::Chaoyang => chaoyang::read(folder()?)?,
        DataSetName::ImageFolder => image_folder::read(folder()?)?,
        DataSetName::Inat2018 => inaturalist::read(folder()?, 2018, options.category)?,
        DataSetName::Inat2019 => inaturalist::read(folder()?, 2019, options.category)?,
    };
    splits.open(options.orientation)
}

#[cfg(feature = "download")]
use crate::download::download;

#[cfg(not(feature = "download"))]
fn download(_: DataSetName, _: &Path) -> Result<(), Error> {
    Err(Error::Option {
        option: "download",
        problem: "this program was built without the feature `download`".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_that_is_there_is_not_fetched() {
        let folder = tempfile::tempdir().unwrap();
        for part in ["train", "t10k"] {
            let images = [
                &[0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28][..],
                &[7; 784],
            ];
            let labels = [0, 0, 8, 1, 0, 0, 0, 1, 3];
            let path = |kind: &str| folder.path().join(format!("{part}-{kind}-ubyte"));
            std::fs::write(path("images-idx3"), images.concat()).unwrap();
            std::fs::write(path("labels-idx1"), labels).unwrap();
        }
        let options = OpenOptions {
            download: true,
            ..OpenOptions::default()
        };
        let splits = open(DataSetName::Mnist, Some(folder.path()), &options).unwrap();
        assert_eq!((splits.train.len(), splits.test.len()), (1, 1));
    }

    #[test]
    fn a_folder_is_asked_for() {
        for name in DataSetName::ALL.into_iter().skip(1) {
            let error = open(name, None, &OpenOptions::default()).unwrap_err();
            assert!(matches!(error, Error::NoPath { .. }), "{error}");
            let nowhere = Path::new("/nowhere/at/all");
            let error = open(name, Some(nowhere), &OpenOptions::default()).unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with("/nowhere/at/all is not there"),
                "{error}"
            );
        }
    }
}
