//! The transform of evaluation.

use serde::{Deserialize, Serialize};

use crate::resize::{Filter, Window, resize_window};
use crate::{Error, Image, Normalization};

/// The largest side that is made of a picture, in pixels.
const MAX_SIZE: usize = 1 << 15;

/// The longest side of a resized picture, of which only the centre is made.
const MAX_SIDE: usize = 1 << 30;

/// Resizes, crops the centre and normalizes, as Pillow and torchvision do.
///
/// 1. RGB or gray, as the normalization has channels;
/// 2. bicubic resize, with antialiasing, so that the shorter side has [`resize`](Self::resize) pixels;
/// 3. the central square of [`image_size`](Self::image_size) pixels;
/// 4. `(x / 255 - mean) / deviation`.
///
/// A picture that has the size already keeps its pixels.
///
/// ```
/// use gsb_image::{EvalTransform, Image, Normalization};
///
/// let transform = EvalTransform::new(224, Normalization::imagenet());
/// assert_eq!(transform.resize, 256);
/// let photo = Image::new(640, 480, 3, vec![0; 640 * 480 * 3])?;
/// assert_eq!(transform.apply(&photo).len(), 3 * 224 * 224);
/// # Ok::<(), gsb_image::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvalTransform {
    /// Rows and columns of the result.
    pub image_size: usize,
    /// The shorter side after the resize, in pixels; at least `image_size`.
    pub resize: usize,
    /// Mean and deviation; its channels are those of the result.
    pub normalization: Normalization,
}

impl EvalTransform {
    /// The published transform: above 32 pixels the shorter side is resized to 256/224 of the
    /// image size, up to 32 pixels to the image size itself.
    pub fn new(image_size: usize, normalization: Normalization) -> Self {
        let resize = if image_size > 32 {
            (256.0 / 224.0 * image_size as f64) as usize
        } else {
            image_size
        };
        Self {
            image_size,
            resize,
            normalization,
        }
    }

    /// Checks that the transform is possible.
    ///
    /// # Errors
    /// [`Error::Option`] or [`Error::Channels`] for the first value that is not.
    pub fn validate(&self) -> Result<(), Error> {
        self.normalization.validate()?;
        for (option, pixels) in [("image_size", self.image_size), ("resize", self.resize)] {
            if !(1..=MAX_SIZE).contains(&pixels) {
                let problem = format!("must be between 1 and {MAX_SIZE} pixels, got {pixels}");
                return Err(Error::Option { option, problem });
            }
        }
        Ok(())
    }

    /// Channels of the result: 1 or 3.
    pub fn channels(&self) -> usize {
        self.normalization.channels()
    }

    /// The 8-bit pixels before normalization, `image_size` rows and columns.
    ///
    /// # Panics
    /// If `image_size` is 0, or the normalization has neither 1 nor 3 channels.
    pub fn pixels(&self, image: &Image) -> Image {
        let size = self.resized(image);
        let crop = [self.image_size; 2];
        // torchvision's center_crop: int(round((size - crop) / 2)), a half rounding to even.
        let start = size.map(|size| {
            let margin = (size - self.image_size) as f64 / 2.0;
            margin.round_ties_even() as usize
        });
        let window = Window { size, start, crop };
        let image = image.to_channels(self.channels());
        resize_window(&image, window, Filter::Bicubic)
    }

    /// The normalized values, shape `[channels, image_size, image_size]`.
    ///
    /// # Panics
    /// As [`pixels`](Self::pixels).
    pub fn apply(&self, image: &Image) -> Vec<f32> {
        self.normalization.apply(&self.pixels(image))
    }

    /// `[height, width]` after the resize: the longer side rounded down, as torchvision does.
    pub fn resized(&self, image: &Image) -> [usize; 2] {
        let shorter = image.width.min(image.height);
        let resize = self.resize.max(self.image_size);
        [image.height, image.width]
            .map(|side| (resize.saturating_mul(side) / shorter).min(MAX_SIDE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_the_right_size_keeps_its_pixels() {
        let image = Image::new(8, 8, 1, (0..64).collect()).unwrap();
        let transform = EvalTransform::new(8, Normalization::half(1));
        assert_eq!(transform.pixels(&image), image);
        assert_eq!(transform.apply(&image)[0], -1.0);
    }

    #[test]
    fn pictures_of_any_size_and_colour_fit() {
        for (size, channels) in [(32, 1), (32, 3), (224, 1), (224, 3)] {
            let transform = EvalTransform::new(size, Normalization::half(channels));
            for (width, height, colors) in [(1, 1, 1), (1, 300, 3), (16_000, 1, 3), (31, 500, 1)] {
                let image = Image::filled(width, height, &[7, 7, 7][..colors]);
                let pixels = transform.pixels(&image);
                assert_eq!(pixels, Image::filled(size, size, &[7, 7, 7][..channels]));
            }
        }
    }
}
