//! What a packed file holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Error, PackedConfig, PackedNetwork};

/// What the metadata entry `format` says.
pub(super) const FORMAT: &str = "gsb-packed";

/// Version of the format that this library writes. It reads this one and those before.
pub const FORMAT_VERSION: u32 = 2;

/// A network with what belongs to it: the contents of a packed file.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedFile {
    /// The network.
    pub network: PackedNetwork,
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
/// The engine does the last step; decoding, resizing and cropping are left to the caller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Size of the picture's shorter side before its centre is cropped; none: the image size.
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

impl ShiftStorage {
    /// The bits that an attention shift takes.
    pub const fn bits(self) -> u8 {
        match self {
            Self::F32 => 32,
            Self::F16 => 16,
            Self::I8 => 8,
        }
    }
}

impl Preprocessing {
    /// As models of ImageNet have it: mean and deviation of ImageNet for three channels, 0.5 otherwise; above 32
    /// pixels the shorter side is resized to 256/224 of the image size.
    ///
    /// A model that was trained on images normalized otherwise, such as one of digits, decides worse with it, and no error
    /// says so.
    pub fn standard(image_size: usize, channels: usize) -> Self {
        let (mean, deviation) = match channels {
            3 => (vec![0.485, 0.456, 0.406], vec![0.229, 0.224, 0.225]),
            _ => (vec![0.5; channels], vec![0.5; channels]),
        };
        Self {
            resize: (image_size > 32).then(|| (256.0 / 224.0 * image_size as f64) as usize),
            interpolation: "bicubic".into(),
            mean,
            deviation,
        }
    }
}

impl PackedFile {
    /// A network with classes named by their numbers and [standard](Preprocessing::standard)
    /// preprocessing.
    pub fn unnamed(network: PackedNetwork) -> Self {
        let PackedConfig {
            image_size,
            channels,
            classes,
            ..
        } = network.config;
        Self {
            class_names: (0..classes).map(|class| class.to_string()).collect(),
            preprocessing: Preprocessing::standard(image_size, channels),
            provenance: BTreeMap::new(),
            network,
        }
    }

    /// Checks the network, the number of class names and the preprocessing.
    ///
    /// # Errors
    /// As [`PackedNetwork::validate`]; [`Error::Metadata`] for the rest.
    pub fn validate(&self) -> Result<(), Error> {
        self.network.validate()?;
        self.validate_rest()
    }

    /// Checks what is not the network.
    pub(super) fn validate_rest(&self) -> Result<(), Error> {
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
}
