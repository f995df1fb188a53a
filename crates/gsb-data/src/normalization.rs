//! Normalization of the channels.

use crate::ImageSet;

/// Mean and standard deviation of each channel: `y = (x - mean) / deviation`.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalization {
    /// What is subtracted, one value a channel.
    pub mean: Vec<f32>,
    /// What is divided by, one value a channel.
    pub deviation: Vec<f32>,
}

impl Normalization {
    /// Measures a set, the training set as a rule.
    ///
    /// The deviation is the biased one; that of a constant channel is set to 1, so that applying
    /// the normalization is always defined. An empty set gives means of 0.
    ///
    /// ```
    /// use gsb_data::{ImageSet, ImageShape, Normalization};
    ///
    /// let shape = ImageShape { channels: 1, height: 1, width: 2 };
    /// let set = ImageSet::new(shape, 1, vec![0.0, 1.0, 0.0, 1.0], vec![0, 0])?;
    /// let normalization = Normalization::of(&set);
    /// assert_eq!((normalization.mean[0], normalization.deviation[0]), (0.5, 0.5));
    /// # Ok::<(), gsb_data::Error>(())
    /// ```
    pub fn of(set: &ImageSet) -> Self {
        let shape = set.shape();
        let area = shape.height * shape.width;
        let n = (set.len() * area).max(1) as f64;
        let (mut mean, mut deviation) = (Vec::new(), Vec::new());
        for channel in 0..shape.channels {
            let (mut sum, mut squares) = (0.0f64, 0.0f64);
            for image in 0..set.len() {
                for &value in &set.image(image)[channel * area..(channel + 1) * area] {
                    sum += f64::from(value);
                    squares += f64::from(value) * f64::from(value);
                }
            }
            let variance = squares / n - (sum / n) * (sum / n);
            mean.push((sum / n) as f32);
            // Rounding leaves a constant channel a variance of about 1e-16 instead of 0.
            deviation.push(if variance > 1e-12 {
                variance.sqrt() as f32
            } else {
                1.0
            });
        }
        Self { mean, deviation }
    }

    /// Normalizes images in place.
    ///
    /// # Shapes
    /// - pixels: `[channels, ..]` of one image.
    ///
    /// # Panics
    /// If the number of values is not a multiple of the channels.
    pub fn apply(&self, pixels: &mut [f32]) {
        let channels = self.mean.len();
        assert!(
            channels > 0 && pixels.len().is_multiple_of(channels),
            "an image of {channels} channels cannot have {} values",
            pixels.len()
        );
        let area = pixels.len() / channels;
        for (channel, values) in pixels.chunks_mut(area.max(1)).enumerate() {
            for value in values {
                *value = (*value - self.mean[channel]) / self.deviation[channel];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ImageShape;

    #[test]
    fn channels_are_normalized_on_their_own() {
        let shape = ImageShape {
            channels: 2,
            height: 1,
            width: 2,
        };
        let pixels = vec![0.0, 1.0, 0.25, 0.25];
        let set = ImageSet::new(shape, 1, pixels.clone(), vec![0]).unwrap();
        let normalization = Normalization::of(&set);
        assert_eq!(normalization.mean, [0.5, 0.25]);
        assert_eq!(normalization.deviation, [0.5, 1.0]);
        let mut image = pixels;
        normalization.apply(&mut image);
        assert_eq!(image, [-1.0, 1.0, 0.0, 0.0]);
    }
}
