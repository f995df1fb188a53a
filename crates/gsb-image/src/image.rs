//! One picture in memory.

use std::borrow::Cow;

use crate::Error;

/// An 8-bit picture, gray or RGB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Number of columns.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// Values of a pixel: 1 (gray) or 3 (red, green, blue).
    pub channels: usize,
    /// The values, shape `[height, width, channels]`.
    pub pixels: Vec<u8>,
}

impl Image {
    /// Puts a picture together.
    ///
    /// # Errors
    /// [`Error::Channels`] unless there are 1 or 3 channels, [`Error::PixelCount`] if there are more
    /// or fewer values than the shape holds.
    ///
    /// ```
    /// use gsb_image::Image;
    ///
    /// let image = Image::new(2, 1, 1, vec![0, 255])?;
    /// assert_eq!(image.pixel(1, 0), [255]);
    /// assert!(Image::new(2, 2, 1, vec![0, 255]).is_err());
    /// # Ok::<(), gsb_image::Error>(())
    /// ```
    pub fn new(
        width: usize,
        height: usize,
        channels: usize,
        pixels: Vec<u8>,
    ) -> Result<Self, Error> {
        let image = Self {
            width,
            height,
            channels,
            pixels,
        };
        image.validate()?;
        Ok(image)
    }

    /// Checks that there are 1 or 3 channels, at least a pixel, and as many values as the sizes say.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn validate(&self) -> Result<(), Error> {
        let Self {
            width,
            height,
            channels,
            ref pixels,
        } = *self;
        if channels != 1 && channels != 3 {
            return Err(Error::Channels { channels });
        }
        let expected = width.saturating_mul(height).saturating_mul(channels);
        if pixels.len() != expected || expected == 0 {
            return Err(Error::PixelCount {
                width,
                height,
                channels,
                expected,
                got: pixels.len(),
            });
        }
        Ok(())
    }

    /// A picture of one colour, a value a channel.
    ///
    /// # Panics
    /// If the colour has neither 1 nor 3 values.
    pub fn filled(width: usize, height: usize, color: &[u8]) -> Self {
        assert!(matches!(color.len(), 1 | 3), "a colour has 1 or 3 values");
        Self {
            width,
            height,
            channels: color.len(),
            pixels: color.repeat(width * height),
        }
    }

    /// The values of a pixel, column first.
    ///
    /// # Panics
    /// If the pixel is outside.
    pub fn pixel(&self, x: usize, y: usize) -> &[u8] {
        assert!(x < self.width && y < self.height, "no pixel ({x}, {y})");
        let start = (y * self.width + x) * self.channels;
        &self.pixels[start..start + self.channels]
    }

    /// The picture with this number of channels.
    ///
    /// Gray becomes RGB by repetition, RGB gray by ITU-R 601-2 luma in 16-bit fixed point, as
    /// Pillow's `convert("L")`.
    ///
    /// # Panics
    /// If `channels` is neither 1 nor 3.
    ///
    /// ```
    /// use gsb_image::Image;
    ///
    /// let red = Image::new(1, 1, 3, vec![255, 0, 0])?;
    /// assert_eq!(red.to_channels(1).pixels, [76]);
    /// # Ok::<(), gsb_image::Error>(())
    /// ```
    pub fn to_channels(&self, channels: usize) -> Cow<'_, Self> {
        let pixels = match (self.channels, channels) {
            (1, 1) | (3, 3) => return Cow::Borrowed(self),
            (1, 3) => self.pixels.iter().flat_map(|&v| [v; 3]).collect(),
            (3, 1) => self
                .pixels
                .as_chunks()
                .0
                .iter()
                .map(|&rgb| luma(rgb))
                .collect(),
            (1 | 3, wrong) | (wrong, _) => panic!("images have 1 or 3 channels, not {wrong}"),
        };
        Cow::Owned(Self {
            channels,
            pixels,
            ..*self
        })
    }

    /// A rectangle of the picture.
    ///
    /// # Panics
    /// If it does not lie inside.
    pub fn crop(&self, left: usize, top: usize, width: usize, height: usize) -> Self {
        let fits = |first: usize, len: usize, of: usize| first <= of && len <= of - first;
        assert!(
            fits(left, width, self.width) && fits(top, height, self.height),
            "{width} x {height} pixels from {left}, {top} do not lie in {} x {}",
            self.width,
            self.height
        );
        let row = width * self.channels;
        let mut pixels = Vec::with_capacity(row * height);
        for y in top..top + height {
            let start = (y * self.width + left) * self.channels;
            pixels.extend_from_slice(&self.pixels[start..start + row]);
        }
        Self {
            width,
            height,
            channels: self.channels,
            pixels,
        }
    }

    /// The picture mirrored left to right.
    pub fn flipped(&self) -> Self {
        let mut pixels = Vec::with_capacity(self.pixels.len());
        for row in self.pixels.chunks_exact(self.width * self.channels) {
            for pixel in row.chunks_exact(self.channels).rev() {
                pixels.extend_from_slice(pixel);
            }
        }
        Self { pixels, ..*self }
    }
}

/// Brightness of an RGB pixel by ITU-R 601-2 in 16-bit fixed point, as Pillow computes it.
///
/// ```
/// assert_eq!(gsb_image::luma([0, 255, 0]), 150);
/// ```
pub fn luma(pixel: [u8; 3]) -> u8 {
    let [r, g, b] = pixel.map(u32::from);
    ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_checked() {
        assert!(Image::new(1, 1, 2, vec![0, 0]).is_err());
        assert!(Image::new(0, 1, 1, vec![]).is_err());
        assert!(Image::new(usize::MAX, usize::MAX, 3, vec![0]).is_err());
    }

    #[test]
    #[should_panic(expected = "4 x 4 pixels from 6, 0 do not lie in 8 x 8")]
    fn columns_beyond_a_row_are_not_those_of_the_next() {
        Image::filled(8, 8, &[0]).crop(6, 0, 4, 4);
    }

    #[test]
    fn gray_to_rgb_and_back_is_the_same() {
        let gray = Image::new(16, 16, 1, (0..=255).collect()).unwrap();
        let rgb = gray.to_channels(3).into_owned();
        assert_eq!(rgb.pixel(5, 1), [21, 21, 21]);
        assert_eq!(rgb.to_channels(1).into_owned(), gray);
    }

    #[test]
    fn crop_and_flip_move_pixels() {
        let image = Image::new(3, 2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(image.crop(1, 0, 2, 2).pixels, [2, 3, 5, 6]);
        assert_eq!(image.flipped().pixels, [3, 2, 1, 6, 5, 4]);
        assert_eq!(image.flipped().flipped(), image);
    }
}
