//! Normalization of the channels.

use serde::{Deserialize, Serialize};

use crate::{Error, Image};

/// Mean and standard deviation of each channel: `y = (x / 255 - mean) / deviation`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Normalization {
    /// What is subtracted, one value a channel.
    pub mean: Vec<f32>,
    /// What is divided by, one value a channel.
    pub deviation: Vec<f32>,
}

/// A normalization as it was stored, which can be anything.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    mean: Vec<f32>,
    deviation: Vec<f32>,
}

impl TryFrom<Stored> for Normalization {
    type Error = Error;

    fn try_from(Stored { mean, deviation }: Stored) -> Result<Self, Error> {
        let normalization = Self { mean, deviation };
        normalization.validate()?;
        Ok(normalization)
    }
}

impl Normalization {
    /// The published constants of ImageNet, for RGB.
    ///
    /// ```
    /// use gsb_image::Normalization;
    ///
    /// assert_eq!(Normalization::imagenet().mean, [0.485, 0.456, 0.406]);
    /// ```
    pub fn imagenet() -> Self {
        Self {
            mean: vec![0.485, 0.456, 0.406],
            deviation: vec![0.229, 0.224, 0.225],
        }
    }

    /// Mean and deviation of 1/2: values from -1 to 1.
    pub fn half(channels: usize) -> Self {
        Self {
            mean: vec![0.5; channels],
            deviation: vec![0.5; channels],
        }
    }

    /// Measures pictures, all with this number of channels.
    ///
    /// The deviation is the biased one; that of a constant channel is set to 1, so that applying
    /// the normalization is always defined. No pictures give means of 0.
    ///
    /// # Errors
    /// The first error among the pictures.
    ///
    /// # Panics
    /// If `channels` is neither 1 nor 3.
    ///
    /// ```
    /// use gsb_image::{Error, Image, Normalization};
    ///
    /// let picture = Image::new(2, 1, 1, vec![0, 255]);
    /// let normalization = Normalization::measured(1, [picture])?;
    /// assert_eq!((normalization.mean[0], normalization.deviation[0]), (0.5, 0.5));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn measured<E>(
        channels: usize,
        pictures: impl IntoIterator<Item = Result<Image, E>>,
    ) -> Result<Self, E> {
        // Sums of integers: exact, so the order of the pictures cannot matter.
        let (mut count, mut sum, mut squares) = (0u64, vec![0u64; channels], vec![0u128; channels]);
        for picture in pictures {
            let picture = picture?;
            let picture = picture.to_channels(channels);
            count += (picture.width * picture.height) as u64;
            for pixel in picture.pixels.chunks_exact(channels) {
                for (channel, &value) in pixel.iter().enumerate() {
                    sum[channel] += u64::from(value);
                    squares[channel] += u128::from(value) * u128::from(value);
                }
            }
        }
        let n = count.max(1) as f64;
        let mean: Vec<f64> = sum.iter().map(|&sum| sum as f64 / n).collect();
        let deviation = squares.iter().zip(&mean).map(|(&squares, mean)| {
            let variance = squares as f64 / n - mean * mean;
            // Rounding leaves a constant channel a tiny variance instead of 0.
            if variance > 1e-6 {
                (variance.sqrt() / 255.0) as f32
            } else {
                1.0
            }
        });
        Ok(Self {
            deviation: deviation.collect(),
            mean: mean.iter().map(|mean| (mean / 255.0) as f32).collect(),
        })
    }

    /// Checks that there are 1 or 3 means and as many deviations, all finite, and no deviation 0.
    ///
    /// # Errors
    /// [`Error::Channels`] or [`Error::Option`] if there are not.
    pub fn validate(&self) -> Result<(), Error> {
        let [channels, deviations] = [&self.mean, &self.deviation].map(Vec::len);
        if channels != 1 && channels != 3 {
            return Err(Error::Channels { channels });
        }
        if channels != deviations {
            return Err(Error::Option {
                option: "normalization",
                problem: format!(
                    "expected {channels} deviations, as there are means, got {deviations}"
                ),
            });
        }
        let Self { mean, deviation } = self;
        let finite = mean.iter().chain(deviation).all(|value| value.is_finite());
        if !finite || deviation.contains(&0.0) {
            return Err(Error::Option {
                option: "normalization",
                problem: "expected finite means, and finite deviations that are not 0".into(),
            });
        }
        Ok(())
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.mean.len()
    }

    /// The normalized values of a picture, shape `[channels, height, width]`.
    ///
    /// # Panics
    /// If the picture has another number of channels.
    pub fn apply(&self, image: &Image) -> Vec<f32> {
        let channels = image.channels;
        assert_eq!(
            (self.mean.len(), self.deviation.len()),
            (channels, channels),
            "means and deviations for a picture of {channels} channels"
        );
        let mut values = Vec::with_capacity(image.pixels.len());
        for channel in 0..channels {
            let (mean, deviation) = (self.mean[channel], self.deviation[channel]);
            // A byte has 256 values: a table does the arithmetic once for each.
            let table: [f32; 256] =
                std::array::from_fn(|value| (value as f32 / 255.0 - mean) / deviation);
            let bytes = image.pixels.iter().skip(channel).step_by(channels);
            values.extend(bytes.map(|&value| table[usize::from(value)]));
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_normalized_on_their_own() {
        let image = Image::new(2, 1, 3, vec![0, 51, 7, 255, 51, 9]).unwrap();
        let normalization = Normalization::measured(3, [Ok::<_, Error>(image.clone())]).unwrap();
        assert_eq!(normalization.mean[..2], [0.5, 0.2]);
        assert_eq!(normalization.deviation[..2], [0.5, 1.0]);
        let values = normalization.apply(&image);
        assert_eq!(values[..4], [-1.0, 1.0, 0.0, 0.0]);
        assert!((values[4] + 1.0).abs() < 1e-6 && (values[5] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn what_was_stored_is_checked() {
        let read = |text: &str| serde_json::from_str::<Normalization>(text);
        let imagenet = Normalization::imagenet();
        let text = serde_json::to_string(&imagenet).unwrap();
        assert_eq!(read(&text).unwrap(), imagenet);
        for text in [
            r#"{"mean": [], "deviation": []}"#,
            r#"{"mean": [0, 0], "deviation": [1, 1]}"#,
            r#"{"mean": [0], "deviation": [1, 1, 1]}"#,
            r#"{"mean": [0], "deviation": [0]}"#,
            r#"{"mean": [0], "deviation": [1e99]}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn no_pictures_are_measured() {
        let none: [Result<Image, Error>; 0] = [];
        let normalization = Normalization::measured(1, none).unwrap();
        assert_eq!(
            normalization,
            Normalization {
                mean: vec![0.0],
                deviation: vec![1.0]
            }
        );
    }
}
