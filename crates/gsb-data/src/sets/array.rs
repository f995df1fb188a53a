//! Pictures of one size in memory.

use std::sync::Arc;

use crate::{DataSet, DataSplits, Error, Image, split};

/// Labelled pictures of one size, all in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageArray {
    width: usize,
    height: usize,
    channels: usize,
    pixels: Vec<u8>,
    labels: Vec<usize>,
    classes: Vec<String>,
}

impl ImageArray {
    /// Puts a set together.
    ///
    /// # Shapes
    /// - size: `[height, width, channels]` of a picture, channels 1 or 3
    /// - pixels: `[images, height, width, channels]`
    /// - labels: `[images]`, places in `classes`
    ///
    /// # Errors
    /// [`Error::Channels`], [`Error::PixelCount`] if pixels and labels do not go together,
    /// [`Error::Label`] if a label is not a class.
    ///
    /// ```
    /// use gsb_data::{DataSet, ImageArray};
    ///
    /// let classes = vec!["dark".into(), "bright".into()];
    /// let set = ImageArray::new([1, 2, 1], vec![0, 9, 250, 255], vec![0, 1], classes)?;
    /// assert_eq!(set.image(1)?.pixels, [250, 255]);
    /// assert_eq!(set.classes()[set.label(1)], "bright");
    /// # Ok::<(), gsb_data::Error>(())
    /// ```
    pub fn new(
        [height, width, channels]: [usize; 3],
        pixels: Vec<u8>,
        labels: Vec<usize>,
        classes: Vec<String>,
    ) -> Result<Self, Error> {
        if channels != 1 && channels != 3 {
            return Err(Error::Channels { channels });
        }
        let images = labels.len();
        let expected = [height, width, channels]
            .iter()
            .fold(images, |product, &n| product.saturating_mul(n));
        if pixels.len() != expected || height == 0 || width == 0 {
            return Err(Error::PixelCount {
                images,
                width,
                height,
                channels,
                expected,
                got: pixels.len(),
            });
        }
        if let Some(index) = labels.iter().position(|&label| label >= classes.len()) {
            return Err(Error::Label {
                index,
                label: labels[index],
                classes: classes.len(),
            });
        }
        Ok(Self {
            width,
            height,
            channels,
            pixels,
            labels,
            classes,
        })
    }

    /// `[height, width]` of every picture.
    pub fn size(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// The classes of all pictures.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// Splits the set at random; see [`split`].
    ///
    /// # Errors
    /// [`Error::Split`] if a part would be empty.
    pub fn split(self, test_fraction: f64, seed: u64) -> Result<DataSplits, Error> {
        split(Arc::new(self), test_fraction, seed)
    }
}

impl DataSet for ImageArray {
    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        self.labels.len()
    }

    fn label(&self, index: usize) -> usize {
        self.labels[index]
    }

    fn image(&self, index: usize) -> Result<Image, Error> {
        let size = self.width * self.height * self.channels;
        let pixels = self.pixels[index * size..(index + 1) * size].to_vec();
        Ok(Image::new(self.width, self.height, self.channels, pixels)?)
    }

    fn channels(&self) -> usize {
        self.channels
    }
}

/// The decimal digits as names of classes.
pub(crate) fn digit_names() -> Vec<String> {
    (0..10).map(|digit| digit.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_labels_are_checked() {
        let new = |size, pixels, labels| {
            let classes = vec!["a".into(), "b".into()];
            ImageArray::new(size, vec![0; pixels], labels, classes).map_err(|e| e.to_string())
        };
        assert_eq!(
            new([1, 1, 1], 3, vec![0, 1]).unwrap_err(),
            "2 images of 1x1 pixels and 1 channels have 2 values, got 3"
        );
        assert_eq!(
            new([1, 1, 1], 2, vec![0, 2]).unwrap_err(),
            "image 1 is labelled 2, but there are 2 classes"
        );
        assert!(new([1, 1, 2], 2, vec![0]).is_err());
        assert!(new([usize::MAX, usize::MAX, 3], 2, vec![0]).is_err());
    }
}
