//! The packed file.
//!
//! A `safetensors` file. Its metadata are strings:
//!
//! | entry | content |
//! | --- | --- |
//! | `checksum` | eight hexadecimal digits: CRC-32 of the whole file, these digits taken as zeros |
//! | `format` | `gsb-packed` |
//! | `version` | `2` |
//! | `config` | [`PackedConfig`](crate::PackedConfig) as JSON |
//! | `class_names` | list of names as JSON, one for each class |
//! | `preprocessing` | [`Preprocessing`] as JSON |
//! | `provenance` | map of strings as JSON: where the network comes from |
//!
//! The header begins with the checksum. Version 1 is the same without it, and is read as well.
//!
//! Tensors are named `layer.part`, the layer as in `gsb`'s cost accounting. Binary weights are `U8`,
//! one bit a weight, rows (outputs) one after another without gaps, the lowest bit first, padded to
//! whole bytes at the end of the tensor; 1 is +1, 0 is -1. Weights of `b` bits are `I8` if `b` is 8,
//! else `U8`, packed the same way in two's complement of `b` bits. Where a weight of one bit is 0 (a
//! tie), its bit is 0 and a `U32` tensor `layer.weight.zeros` lists its position. Everything else is
//! `F32`, but the attention shift, which may be [stored smaller](ShiftStorage).

mod checksum;
mod levels;
mod names;
mod read;
mod write;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, Network};

/// Version of the format that this library writes. It reads this one and those before.
pub const FORMAT_VERSION: u32 = 2;

/// A network with what belongs to it: the contents of a packed file.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedFile {
    /// The network.
    pub network: Network,
    /// A name for each class.
    pub class_names: Vec<String>,
    /// What makes the network's input of a picture.
    pub preprocessing: Preprocessing,
    /// Where the network comes from: free entries such as a checkpoint's name, its accuracy, a date.
    pub provenance: BTreeMap<String, String>,
}

/// What makes the network's input of a picture: it is resized, its centre is cropped to the image
/// size, and each channel becomes `(value / 255 - mean) / deviation`.
///
/// The engine does the last step; resizing and cropping are for the caller, who decodes pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Size of the picture's shorter side before its centre is cropped; none: the picture is
    /// resized to the image size.
    pub resize: Option<usize>,
    /// Name of the filter that resizes, such as `bicubic`.
    pub interpolation: String,
    /// Mean of each channel, of values of `[0, 1]`.
    pub mean: Vec<f32>,
    /// Deviation of each channel, of values of `[0, 1]`.
    pub deviation: Vec<f32>,
}

/// How a file stores the attention shifts, which are most of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShiftStorage {
    /// As they are.
    #[default]
    F32,
    /// As 16-bit floats: half the size, relative error 2^-11. Magnitudes from 65520 on are refused.
    F16,
    /// As multiples of 1/127 of the largest of a head: a quarter of the size.
    I8,
}

impl Preprocessing {
    /// Mean and deviation of ImageNet for three channels, 0.5 otherwise; no resizing.
    pub fn standard(channels: usize) -> Self {
        let (mean, deviation) = match channels {
            3 => (vec![0.485, 0.456, 0.406], vec![0.229, 0.224, 0.225]),
            _ => (vec![0.5; channels], vec![0.5; channels]),
        };
        Self {
            resize: None,
            interpolation: "bicubic".into(),
            mean,
            deviation,
        }
    }
}

impl PackedFile {
    /// A network with classes named by their numbers and [standard](Preprocessing::standard)
    /// preprocessing.
    pub fn unnamed(network: Network) -> Self {
        Self {
            class_names: (0..network.config.classes)
                .map(|class| class.to_string())
                .collect(),
            preprocessing: Preprocessing::standard(network.config.channels),
            provenance: BTreeMap::new(),
            network,
        }
    }

    /// Checks the network, the number of class names and the preprocessing.
    ///
    /// # Errors
    /// As [`Network::validate`]; [`Error::Metadata`] for the rest.
    pub fn validate(&self) -> Result<(), Error> {
        self.network.validate()?;
        let config = &self.network.config;
        let wrong = |key, reason| Err(Error::Metadata { key, reason });
        if self.class_names.len() != config.classes {
            let (names, classes) = (self.class_names.len(), config.classes);
            return wrong(
                "class_names",
                format!("{names} names for {classes} classes"),
            );
        }
        let Preprocessing {
            mean, deviation, ..
        } = &self.preprocessing;
        for (what, values) in [("mean", mean), ("deviation", deviation)] {
            if values.len() != config.channels || values.iter().any(|value| !value.is_finite()) {
                let channels = config.channels;
                let reason =
                    format!("{what} {values:?}, expected a number for each of {channels} channels");
                return wrong("preprocessing", reason);
            }
        }
        if deviation.iter().any(|&value| value <= 0.0) {
            return wrong(
                "preprocessing",
                format!("deviation {deviation:?}, expected positive numbers"),
            );
        }
        Ok(())
    }

    /// Reads the contents of a file.
    ///
    /// # Errors
    /// [`Error::Damaged`] if they are not what was written; otherwise what is wrong with them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let packed = read::read(bytes)?;
        packed.validate()?;
        Ok(packed)
    }

    /// Reads a file.
    ///
    /// It is mapped into memory meanwhile: nobody may change it in place or cut it short until this
    /// returns. To replace it, as [`write`](Self::write) does, is no change of it.
    ///
    /// # Errors
    /// [`Error::File`] with what is wrong.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        read::map(path)
            .and_then(|bytes| Self::from_bytes(&bytes))
            .map_err(|error| error.of_file(path))
    }

    /// Whether a file begins as those that [`write`](Self::write) writes, be the rest damaged or not.
    pub fn is_in(path: impl AsRef<Path>) -> bool {
        checksum::begins(path.as_ref()).unwrap_or(false)
    }

    /// The contents as bytes of a file.
    ///
    /// # Errors
    /// As [`validate`](Self::validate); [`Error::Value`] of a shift that would be infinite as it is
    /// stored.
    pub fn to_bytes(&self, shifts: ShiftStorage) -> Result<Vec<u8>, Error> {
        self.validate()?;
        write::bytes(self, shifts)
    }

    /// Writes a file with everything as it is, see [`write`](Self::write).
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.write(path, ShiftStorage::F32)
    }

    /// Writes a file: a temporary one beside it, which then takes its place. A failure leaves no
    /// file, or the one that was there before.
    ///
    /// # Errors
    /// As [`to_bytes`](Self::to_bytes), before anything is written; [`Error::File`] if the file cannot
    /// be written.
    pub fn write(&self, path: impl AsRef<Path>, shifts: ShiftStorage) -> Result<(), Error> {
        let path = path.as_ref();
        let bytes = self.to_bytes(shifts)?;
        write::replace(path, &bytes).map_err(|error| error.of_file(path))
    }
}

impl Error {
    fn of_file(self, path: &Path) -> Self {
        Self::File {
            path: path.into(),
            source: Box::new(self),
        }
    }
}
