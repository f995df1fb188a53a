//! Brightness, contrast, saturation and sharpness, as Pillow's `ImageEnhance` changes them.
//!
//! Each blends the picture with a degenerate version of it: factor 0 is that version, 1 the picture
//! itself, and beyond 1 the picture moves away from it.

use gsb_image::luma;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::{Error, Image, bounds};

/// Random changes of the colours, in random order, as torchvision's `ColorJitter`.
///
/// Each factor is drawn from `max(0, 1 - strength)` to `1 + strength`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColorJitter {
    /// Strength of the change of brightness. 0.4 by default.
    pub brightness: f64,
    /// Strength of the change of contrast. 0.4 by default.
    pub contrast: f64,
    /// Strength of the change of saturation. 0.4 by default.
    pub saturation: f64,
}

impl Default for ColorJitter {
    fn default() -> Self {
        Self::uniform(0.4)
    }
}

/// Changes a picture by a factor.
type Change = fn(&mut Image, f32);

impl ColorJitter {
    /// All three changes of one strength, as timm's `color_jitter`.
    pub fn uniform(strength: f64) -> Self {
        Self {
            brightness: strength,
            contrast: strength,
            saturation: strength,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        bounds::not_negative("brightness", self.brightness)?;
        bounds::not_negative("contrast", self.contrast)?;
        bounds::not_negative("saturation", self.saturation)
    }

    pub(crate) fn apply(&self, image: &mut Image, rng: &mut ChaCha8Rng) {
        let mut changes: [(f64, Change); 3] = [
            (self.brightness, brightness),
            (self.contrast, contrast),
            (self.saturation, saturation),
        ];
        changes.shuffle(rng);
        for (strength, change) in changes {
            // Drawn even where it has no effect: the other factors stay what they are.
            let (low, high) = ((1.0 - strength).max(0.0), 1.0 + strength);
            let factor = low + (high - low) * rng.random::<f64>();
            if strength > 0.0 {
                change(image, factor as f32);
            }
        }
    }
}

/// Pillow's blend: truncated, and cut off only where the factor extrapolates.
fn blend(degenerate: u8, value: u8, factor: f32) -> u8 {
    let from = f32::from(degenerate);
    // A cast saturates and truncates.
    (from + factor * (f32::from(value) - from)) as u8
}

/// Blends with black.
pub(crate) fn brightness(image: &mut Image, factor: f32) {
    for value in &mut image.pixels {
        *value = blend(0, *value, factor);
    }
}

/// Blends with the mean brightness.
pub(crate) fn contrast(image: &mut Image, factor: f32) {
    let gray = image.to_channels(1);
    let sum: u64 = gray.pixels.iter().map(|&v| u64::from(v)).sum();
    let mean = (sum as f64 / gray.pixels.len() as f64 + 0.5) as u8;
    for value in &mut image.pixels {
        *value = blend(mean, *value, factor);
    }
}

/// Blends with the gray picture; gray stays what it is.
pub(crate) fn saturation(image: &mut Image, factor: f32) {
    if image.channels == 3 {
        for pixel in image.pixels.as_chunks_mut().0 {
            let gray = luma(*pixel);
            for value in pixel {
                *value = blend(gray, *value, factor);
            }
        }
    }
}

/// Blends with the smoothed picture; the border stays what it is.
pub(crate) fn sharpness(image: &mut Image, factor: f32) {
    let (width, height, channels) = (image.width, image.height, image.channels);
    let source = image.pixels.clone();
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            for channel in 0..channels {
                let at = |x: usize, y: usize| (y * width + x) * channels + channel;
                let sum: u32 = (y - 1..=y + 1)
                    .flat_map(|y| (x - 1..=x + 1).map(move |x| (x, y)))
                    .map(|(x, y)| u32::from(source[at(x, y)]))
                    .sum();
                let center = source[at(x, y)];
                // Weights 1, in the middle 5, of 13; rounded half up.
                let smooth = (2 * (sum + 4 * u32::from(center)) + 13) / 26;
                image.pixels[at(x, y)] = blend(smooth as u8, center, factor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::generator;

    fn image(pixels: &[u8]) -> Image {
        Image::new(pixels.len() / 3, 1, 3, pixels.to_vec()).unwrap()
    }

    fn done(pixels: &[u8], change: fn(&mut Image, f32), factor: f32) -> Vec<u8> {
        let mut image = image(pixels);
        change(&mut image, factor);
        image.pixels
    }

    #[test]
    fn factors_by_hand() {
        assert_eq!(done(&[100, 201, 3], brightness, 0.5), [50, 100, 1]);
        assert_eq!(done(&[100, 201, 3], brightness, 1.5), [150, 255, 4]);
        // Luma of the two pixels: 0 and 255, mean 127.5, rounded to 128.
        assert_eq!(done(&[0, 0, 0, 255, 255, 255], contrast, 0.0), [128; 6]);
        // Luma of pure red is 76.
        assert_eq!(done(&[255, 0, 0], saturation, 0.0), [76; 3]);
        assert_eq!(done(&[255, 0, 0], saturation, 2.0), [255, 0, 0]);
    }

    #[test]
    fn factor_one_changes_nothing() {
        let pixels: Vec<u8> = (0..75).map(|i| (i * 37 % 256) as u8).collect();
        for change in [brightness, contrast, saturation, sharpness] {
            let mut image = Image::new(5, 5, 3, pixels.clone()).unwrap();
            change(&mut image, 1.0);
            assert_eq!(image.pixels, pixels);
        }
    }

    #[test]
    fn a_point_is_smoothed() {
        let mut point = vec![0; 9];
        point[4] = 130;
        let mut image = Image::new(3, 3, 1, point).unwrap();
        sharpness(&mut image, 0.0);
        assert_eq!(image.pixels, [0, 0, 0, 0, 50, 0, 0, 0, 0]);
        let mut line = Image::new(9, 1, 1, vec![5; 9]).unwrap();
        sharpness(&mut line, 0.0);
        assert_eq!(line.pixels, [5; 9]);
    }

    #[test]
    fn brightness_factors_are_even() {
        let jitter = ColorJitter {
            contrast: 0.0,
            saturation: 0.0,
            ..Default::default()
        };
        let mut rng = generator(0);
        let values: Vec<f64> = (0..2000)
            .map(|_| {
                let mut image = image(&[100, 100, 100]);
                jitter.apply(&mut image, &mut rng);
                f64::from(image.pixels[0])
            })
            .collect();
        assert!(values.iter().all(|v| (60.0..=140.0).contains(v)));
        // Uniform from 60 to 140, truncated: mean 99.5, five standard errors of 80 / sqrt(12 n).
        let mean = values.iter().sum::<f64>() / 2000.0;
        assert!(
            (mean - 99.5).abs() < 5.0 * 80.0 / (12.0 * 2000.0f64).sqrt(),
            "{mean}"
        );
    }
}
