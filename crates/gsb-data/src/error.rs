//! What can be wrong with data.

use crate::ImageShape;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A row of a table of images cannot be read.
    #[error("{name}, row {row}: {problem}")]
    Row {
        /// What was read.
        name: &'static str,
        /// The row, counted from 1.
        row: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// There are more or fewer pixels than the images have.
    #[error("{images} images of {shape} have {} pixels, got {got}", images * shape.pixels())]
    PixelCount {
        /// Number of labels, hence of images.
        images: usize,
        /// Shape of an image.
        shape: ImageShape,
        /// Number of pixel values given.
        got: usize,
    },
    /// A label is not a class.
    #[error("image {index} is labelled {label}, but there are {classes} classes")]
    Label {
        /// The image, counted from 0.
        index: usize,
        /// Its label.
        label: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A part of a split would be empty.
    #[error(
        "a test fraction of {fraction} splits {images} images into {train} for training and {test} for testing"
    )]
    Split {
        /// The fraction asked for.
        fraction: f64,
        /// Number of images.
        images: usize,
        /// Images that would be trained on.
        train: usize,
        /// Images that would be tested on.
        test: usize,
    },
}
