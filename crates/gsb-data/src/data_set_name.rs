//! The names of the data sets.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// The data sets that can be opened by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataSetName {
    /// [`digits`](crate::digits), which need no folder: a fifth of them is the test part.
    #[default]
    Digits,
    /// [`mnist`](crate::mnist), or a set in its format.
    Mnist,
    /// [`cifar10`](crate::cifar10).
    Cifar10,
    /// [`cifar100`](crate::cifar100).
    Cifar100,
    /// [`flowers102`](crate::flowers102).
    Flowers102,
    /// [`chaoyang`](crate::chaoyang).
    Chaoyang,
    /// [`image_folder`](crate::image_folder): ImageNet, Tiny-ImageNet or your own.
    ImageFolder,
    /// [`inaturalist`](crate::inaturalist) of 2018.
    Inat2018,
    /// [`inaturalist`](crate::inaturalist) of 2019.
    Inat2019,
}

impl DataSetName {
    /// All names.
    pub const ALL: [Self; 9] = [
        Self::Digits,
        Self::Mnist,
        Self::Cifar10,
        Self::Cifar100,
        Self::Flowers102,
        Self::Chaoyang,
        Self::ImageFolder,
        Self::Inat2018,
        Self::Inat2019,
    ];

    /// The name, as it is written on a command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Digits => "digits",
            Self::Mnist => "mnist",
            Self::Cifar10 => "cifar10",
            Self::Cifar100 => "cifar100",
            Self::Flowers102 => "flowers102",
            Self::Chaoyang => "chaoyang",
            Self::ImageFolder => "imagefolder",
            Self::Inat2018 => "inat2018",
            Self::Inat2019 => "inat2019",
        }
    }
}

impl fmt::Display for DataSetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keeps width and alignment.
        f.pad(self.as_str())
    }
}

impl FromStr for DataSetName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|name| name.as_str() == text);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            let problem = format!("{text:?} is none of {known}");
            Error::Option {
                option: "data set",
                problem,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in DataSetName::ALL {
            assert_eq!(name.to_string().parse::<DataSetName>().unwrap(), name);
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(json, format!("\"{name}\""));
        }
        let error = "cifar".parse::<DataSetName>().unwrap_err().to_string();
        assert!(error.starts_with("data set: \"cifar\" is none of digits, mnist"));
    }
}
