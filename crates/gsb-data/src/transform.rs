//! From pictures to the values a model sees.

use std::sync::Arc;

use gsb_image::{EvalTransform, Image};
use rand::rngs::ChaCha8Rng;

use crate::Error;

/// Makes the input of a model from a picture.
pub trait Transform: Send + Sync {
    /// Shape of the result, `[channels, height, width]`; the same for every picture.
    fn shape(&self) -> [usize; 3];

    /// Checks that pictures can be transformed, before the first one is.
    ///
    /// # Errors
    /// [`Error::Option`] or [`Error::Picture`] for what is impossible.
    fn validate(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Transforms a picture of any size; the result is a pure function of it and the generator.
    fn transform(&self, image: &Image, rng: &mut ChaCha8Rng) -> Vec<f32>;
}

impl<T: Transform + ?Sized> Transform for Arc<T> {
    fn shape(&self) -> [usize; 3] {
        (**self).shape()
    }

    fn validate(&self) -> Result<(), Error> {
        (**self).validate()
    }

    fn transform(&self, image: &Image, rng: &mut ChaCha8Rng) -> Vec<f32> {
        (**self).transform(image, rng)
    }
}

impl<T: Transform + ?Sized> Transform for Box<T> {
    fn shape(&self) -> [usize; 3] {
        (**self).shape()
    }

    fn validate(&self) -> Result<(), Error> {
        (**self).validate()
    }

    fn transform(&self, image: &Image, rng: &mut ChaCha8Rng) -> Vec<f32> {
        (**self).transform(image, rng)
    }
}

/// Nothing is random.
impl Transform for EvalTransform {
    fn shape(&self) -> [usize; 3] {
        [self.channels(), self.image_size, self.image_size]
    }

    fn validate(&self) -> Result<(), Error> {
        Ok(EvalTransform::validate(self)?)
    }

    fn transform(&self, image: &Image, _: &mut ChaCha8Rng) -> Vec<f32> {
        self.apply(image)
    }
}
