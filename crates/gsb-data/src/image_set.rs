//! Images in memory.

use std::fmt;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;

use crate::Error;

/// The shape of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageShape {
    /// Number of colour channels.
    pub channels: usize,
    /// Number of rows.
    pub height: usize,
    /// Number of columns.
    pub width: usize,
}

impl ImageShape {
    /// Number of values of an image, all channels together.
    pub fn pixels(&self) -> usize {
        self.channels * self.height * self.width
    }
}

impl fmt::Display for ImageShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

/// Labelled images of one shape.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageSet {
    shape: ImageShape,
    classes: usize,
    pixels: Vec<f32>,
    labels: Vec<usize>,
}

/// A set in two parts that have no image in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// What to train on.
    pub train: ImageSet,
    /// What to measure accuracy on.
    pub test: ImageSet,
}

impl ImageSet {
    /// Puts a set together.
    ///
    /// `pixels` holds image after image, each channel after channel, row by row, values in
    /// `0.0..=1.0`; `labels` the class of each image, below `classes`.
    ///
    /// # Errors
    /// [`Error::PixelCount`] if the numbers of pixels and labels do not go together,
    /// [`Error::Label`] if a label is not below `classes`.
    ///
    /// ```
    /// use gsb_data::{ImageSet, ImageShape};
    ///
    /// let shape = ImageShape { channels: 1, height: 1, width: 2 };
    /// let set = ImageSet::new(shape, 3, vec![0.0, 0.1, 0.2, 0.3], vec![2, 0])?;
    /// assert_eq!(set.image(1), [0.2, 0.3]);
    /// assert_eq!(set.label(1), 0);
    /// # Ok::<(), gsb_data::Error>(())
    /// ```
    pub fn new(
        shape: ImageShape,
        classes: usize,
        pixels: Vec<f32>,
        labels: Vec<usize>,
    ) -> Result<Self, Error> {
        if pixels.len() != labels.len() * shape.pixels() {
            return Err(Error::PixelCount {
                images: labels.len(),
                shape,
                got: pixels.len(),
            });
        }
        if let Some(index) = labels.iter().position(|&label| label >= classes) {
            let label = labels[index];
            return Err(Error::Label {
                index,
                label,
                classes,
            });
        }
        Ok(Self {
            shape,
            classes,
            pixels,
            labels,
        })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Shape of every image.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The values of an image, shape `[channels, height, width]`.
    ///
    /// # Panics
    /// If there is no image of this index.
    pub fn image(&self, index: usize) -> &[f32] {
        let pixels = self.shape.pixels();
        &self.pixels[index * pixels..(index + 1) * pixels]
    }

    /// The class of an image.
    ///
    /// # Panics
    /// If there is no image of this index.
    pub fn label(&self, index: usize) -> usize {
        self.labels[index]
    }

    /// The classes of all images.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The values of all images, shape `[images, channels, height, width]`.
    pub fn pixels(&self) -> &[f32] {
        &self.pixels
    }

    /// The images of these indices, in this order.
    ///
    /// # Panics
    /// If there is no image of one of the indices.
    pub fn select(&self, indices: &[usize]) -> Self {
        Self {
            shape: self.shape,
            classes: self.classes,
            pixels: indices
                .iter()
                .flat_map(|&i| self.image(i))
                .copied()
                .collect(),
            labels: indices.iter().map(|&i| self.labels[i]).collect(),
        }
    }

    /// Splits the set: `test_fraction` of the images, rounded up, go to the test set.
    ///
    /// Chosen at random, but stratified: each class is represented in both parts by its share, to
    /// within one image. The same seed gives the same split on every machine.
    ///
    /// # Errors
    /// [`Error::Split`] if a part would be empty.
    pub fn split(&self, test_fraction: f64, seed: u64) -> Result<Split, Error> {
        let images = self.len();
        // A fraction that is not a number becomes 0 here, and is refused below.
        let test = ((images as f64 * test_fraction).ceil() as usize).min(images);
        if test == 0 || test == images {
            return Err(Error::Split {
                fraction: test_fraction,
                images,
                train: images - test,
                test,
            });
        }
        let mut order: Vec<usize> = (0..images).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        order.sort_by_key(|&i| self.labels[i]);
        // Evenly spaced places of the images sorted by class: each class gives its share.
        let mut held_out = vec![false; images];
        for k in 0..test {
            held_out[order[k * images / test]] = true;
        }
        let (test, train): (Vec<usize>, Vec<usize>) = (0..images).partition(|&i| held_out[i]);
        Ok(Split {
            train: self.select(&train),
            test: self.select(&test),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIXEL: ImageShape = ImageShape {
        channels: 1,
        height: 1,
        width: 1,
    };

    fn numbered(labels: Vec<usize>) -> ImageSet {
        let pixels = (0..labels.len()).map(|i| i as f32).collect();
        ImageSet::new(PIXEL, 3, pixels, labels).unwrap()
    }

    #[test]
    fn counts_and_labels_are_checked() {
        let error = ImageSet::new(PIXEL, 3, vec![0.0; 3], vec![0, 1]).unwrap_err();
        assert_eq!(error.to_string(), "2 images of 1x1x1 have 2 pixels, got 3");
        let error = ImageSet::new(PIXEL, 3, vec![0.0; 2], vec![0, 3]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "image 1 is labelled 3, but there are 3 classes"
        );
    }

    #[test]
    fn a_split_is_disjoint_complete_and_stratified() {
        let set = numbered(
            (0..60)
                .map(|i| if i < 30 { 0 } else { 1 + i % 2 })
                .collect(),
        );
        let Split { train, test } = set.split(0.2, 7).unwrap();
        let mut all: Vec<f32> = train
            .pixels()
            .iter()
            .chain(test.pixels())
            .copied()
            .collect();
        all.sort_by(f32::total_cmp);
        assert_eq!(all, set.pixels());
        let count = |class| {
            test.labels()
                .iter()
                .filter(|&&label| label == class)
                .count()
        };
        assert_eq!([count(0), count(1), count(2)], [6, 3, 3]);
    }

    #[test]
    fn the_seed_decides_the_split() {
        let set = numbered((0..60).map(|i| i % 3).collect());
        assert_eq!(set.split(0.2, 1).unwrap(), set.split(0.2, 1).unwrap());
        assert_ne!(set.split(0.2, 1).unwrap(), set.split(0.2, 2).unwrap());
    }

    #[test]
    fn an_empty_part_is_an_error() {
        let set = numbered(vec![0, 1, 2]);
        for fraction in [0.0, 1.0, -1.0, 2.0, f64::NAN] {
            assert!(set.split(fraction, 0).is_err(), "{fraction}");
        }
    }
}
