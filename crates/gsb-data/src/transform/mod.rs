//! From pictures to the values a model sees.

pub(crate) mod affine;
pub(crate) mod bounds;
pub(crate) mod color;
pub(crate) mod crop;
pub(crate) mod erasing;
pub(crate) mod eval;
mod levels;
pub(crate) mod rand_augment;
mod resize;
pub(crate) mod train;

use std::sync::Arc;

use rand::rngs::ChaCha8Rng;

use crate::Image;

/// Makes the input of a model from a picture.
pub trait Transform: Send + Sync {
    /// Shape of the result, `[channels, height, width]`; the same for every picture.
    fn shape(&self) -> [usize; 3];

    /// Transforms a picture of any size; the result is a pure function of it and the generator.
    fn transform(&self, image: &Image, rng: &mut ChaCha8Rng) -> Vec<f32>;
}

impl<T: Transform + ?Sized> Transform for Arc<T> {
    fn shape(&self) -> [usize; 3] {
        (**self).shape()
    }

    fn transform(&self, image: &Image, rng: &mut ChaCha8Rng) -> Vec<f32> {
        (**self).transform(image, rng)
    }
}

impl<T: Transform + ?Sized> Transform for Box<T> {
    fn shape(&self) -> [usize; 3] {
        (**self).shape()
    }

    fn transform(&self, image: &Image, rng: &mut ChaCha8Rng) -> Vec<f32> {
        (**self).transform(image, rng)
    }
}
