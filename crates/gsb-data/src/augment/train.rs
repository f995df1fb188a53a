//! The transform of training.

use gsb_image::Filter;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::affine::{Interpolation, RandomAffine};
use super::color::ColorJitter;
use super::crop::{Crop, padded, random_rectangle};
use super::erasing::RandomErasing;
use super::rand_augment::RandAugment;
use crate::transform::Transform;
use crate::{Error, EvalTransform, Image, Normalization, bounds};

/// Random crops, colours and distortions, each of which can be switched off.
///
/// In this order: channels as the normalization has them, [`crop`](Self::crop), flip,
/// [`affine`](Self::affine), RandAugment or colour jitter, normalization, random erasing.
///
/// ```
/// use gsb_data::{Crop, Normalization, TrainTransform};
///
/// let digits = TrainTransform {
///     crop: Crop::Padded { padding: 1 },
///     ..TrainTransform::plain(8, Normalization::half(1))
/// };
/// let photos = TrainTransform::published(224, Normalization::imagenet());
/// assert_eq!(photos.crop, Crop::RANDOM_RESIZED);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainTransform {
    /// Rows and columns of the result.
    pub image_size: usize,
    /// Mean and deviation; its channels are those of the result.
    pub normalization: Normalization,
    /// Which part of the picture is taken.
    pub crop: Crop,
    /// Probability that left and right are exchanged; not for digits and letters.
    pub horizontal_flip: f64,
    /// Turns, moves and changes of size; no published recipe has them.
    pub affine: Option<RandomAffine>,
    /// Random colours. As in timm, only where there is no RandAugment.
    pub color_jitter: Option<ColorJitter>,
    /// Random operations.
    pub rand_augment: Option<RandAugment>,
    /// How random crops are resized and RandAugment turns and moves; bicubic as published.
    pub interpolation: Interpolation,
    /// Random noise in place of a rectangle.
    pub random_erasing: Option<RandomErasing>,
}

impl TrainTransform {
    /// The transform of evaluation: nothing is random.
    pub fn plain(image_size: usize, normalization: Normalization) -> Self {
        Self {
            image_size,
            normalization,
            crop: Crop::Center,
            horizontal_flip: 0.0,
            affine: None,
            color_jitter: None,
            rand_augment: None,
            interpolation: Interpolation::Bicubic,
            random_erasing: None,
        }
    }

    /// The published recipe: a random resized crop, or up to 32 pixels a crop with a border of 4,
    /// a flip, `rand-m9-mstd0.5-inc1` (colour jitter of 0.4 in its place if it is switched off),
    /// and erasing with probability 1/4.
    pub fn published(image_size: usize, normalization: Normalization) -> Self {
        let crop = if image_size > 32 {
            Crop::RANDOM_RESIZED
        } else {
            Crop::Padded { padding: 4 }
        };
        Self {
            crop,
            horizontal_flip: 0.5,
            color_jitter: Some(ColorJitter::default()),
            rand_augment: Some(RandAugment::default()),
            random_erasing: Some(RandomErasing::default()),
            ..Self::plain(image_size, normalization)
        }
    }

    /// Checks that the transform is possible.
    ///
    /// # Errors
    /// For the first value that is not.
    ///
    /// ```
    /// use gsb_data::{Normalization, TrainTransform};
    ///
    /// let often = TrainTransform {
    ///     horizontal_flip: 2.0,
    ///     ..TrainTransform::plain(8, Normalization::half(1))
    /// };
    /// let error = often.validate().unwrap_err();
    /// assert_eq!(error.to_string(), "horizontal_flip: must be between 0 and 1, got 2");
    /// ```
    pub fn validate(&self) -> Result<(), Error> {
        self.eval_without_margin().validate()?;
        match self.crop {
            // A wide border is cut off.
            Crop::Center | Crop::Padded { .. } => {}
            Crop::RandomResized { scale, ratio } => {
                bounds::interval("scale", scale)?;
                bounds::interval("ratio", ratio)?;
            }
        }
        bounds::probability("horizontal_flip", self.horizontal_flip)?;
        if let Some(affine) = &self.affine {
            affine.validate()?;
        }
        if let Some(jitter) = &self.color_jitter {
            jitter.validate()?;
        }
        if let Some(augment) = &self.rand_augment {
            augment.validate()?;
        }
        self.random_erasing
            .map_or(Ok(()), |erasing| erasing.validate())
    }

    /// The random pixels before normalization, `image_size` rows and columns.
    fn pixels(&self, image: &Image, rng: &mut ChaCha8Rng) -> Image {
        let image = image.to_channels(self.normalization.channels());
        let mut image = match self.crop {
            Crop::Center => self.eval().pixels(&image),
            Crop::Padded { padding } => {
                // A picture of another size becomes one of this size first.
                let image = self.eval_without_margin().pixels(&image);
                padded(&image, self.image_size, padding, rng)
            }
            Crop::RandomResized { scale, ratio } => {
                let (width, height) = (image.width, image.height);
                let [left, top, w, h] = random_rectangle(width, height, scale, ratio, rng);
                let filter = match self.interpolation.cubic(rng) {
                    true => Filter::Bicubic,
                    false => Filter::Bilinear,
                };
                let part = image.crop(left, top, w, h);
                part.resized([self.image_size; 2], filter)
            }
        };
        if rng.random::<f64>() < self.horizontal_flip {
            image = image.flipped();
        }
        if let Some(affine) = &self.affine {
            image = affine.apply(&image, rng);
        }
        if let Some(augment) = &self.rand_augment {
            augment.apply(&mut image, self.interpolation, &self.fill(), rng);
        } else if let Some(jitter) = &self.color_jitter {
            jitter.apply(&mut image, rng);
        }
        image
    }

    /// The mean colour: what is seen beyond the border.
    fn fill(&self) -> Vec<u8> {
        let level = |mean: &f32| (mean * 255.0).round() as u8;
        self.normalization.mean.iter().map(level).collect()
    }

    fn eval(&self) -> EvalTransform {
        EvalTransform::new(self.image_size, self.normalization.clone())
    }

    fn eval_without_margin(&self) -> EvalTransform {
        EvalTransform {
            resize: self.image_size,
            ..self.eval()
        }
    }
}

impl Transform for TrainTransform {
    fn shape(&self) -> [usize; 3] {
        let channels = self.normalization.channels();
        [channels, self.image_size, self.image_size]
    }

    fn validate(&self) -> Result<(), Error> {
        TrainTransform::validate(self)
    }

    fn transform(&self, image: &Image, rng: &mut ChaCha8Rng) -> Vec<f32> {
        let mut values = self.normalization.apply(&self.pixels(image, rng));
        if let Some(erasing) = &self.random_erasing {
            erasing.apply(&mut values, self.shape(), rng);
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::generator;

    fn image(width: usize, height: usize, channels: usize) -> Image {
        let pixels = (0..width * height * channels).map(|i| (i * 7) as u8);
        Image::new(width, height, channels, pixels.collect()).unwrap()
    }

    #[test]
    fn plain_is_the_evaluation() {
        for size in [32, 48] {
            let normalization = Normalization::imagenet();
            let train = TrainTransform::plain(size, normalization.clone());
            let eval = EvalTransform::new(size, normalization);
            let image = image(60, 50, 3);
            let values = train.transform(&image, &mut generator(0));
            assert_eq!(values, eval.apply(&image));
        }
    }

    #[test]
    fn the_generator_decides_everything() {
        let photo = image(60, 50, 3);
        for size in [32, 48] {
            let transform = TrainTransform::published(size, Normalization::imagenet());
            let values = |seed| transform.transform(&photo, &mut generator(seed));
            assert_eq!(values(1), values(1));
            assert_ne!(values(1), values(2));
            assert_eq!(values(1).len(), 3 * size * size);
        }
    }

    #[test]
    fn pictures_of_any_size_and_colour_work() {
        for channels in [1, 3] {
            for size in [8, 64] {
                let mut transform = TrainTransform::published(size, Normalization::half(channels));
                transform.affine = Some(RandomAffine::default());
                for (width, height, colors) in [(1, 1, 1), (16_000, 1, 3), (3, 200, 3), (8, 8, 1)] {
                    let image = image(width, height, colors);
                    for seed in 0..20 {
                        let values = transform.transform(&image, &mut generator(seed));
                        assert_eq!(values.len(), channels * size * size);
                        assert!(values.iter().all(|v| v.is_finite()));
                    }
                }
            }
        }
    }

    #[test]
    fn half_of_the_pictures_are_flipped() {
        let flip = TrainTransform {
            horizontal_flip: 0.5,
            ..TrainTransform::plain(2, Normalization::half(1))
        };
        let image = Image::new(2, 2, 1, vec![0, 255, 0, 255]).unwrap();
        let mut rng = generator(0);
        let flipped = (0..1000)
            .filter(|_| flip.transform(&image, &mut rng)[0] == 1.0)
            .count() as f64;
        // Five standard deviations of 1000 draws with probability 1/2.
        assert!((flipped - 500.0).abs() < 5.0 * 250f64.sqrt(), "{flipped}");
    }

    #[test]
    fn the_configuration_is_text() {
        let transform = TrainTransform::published(32, Normalization::imagenet());
        let json = serde_json::to_string(&transform).unwrap();
        assert!(
            json.contains(r#""rand_augment":"rand-m9-mstd0.5-inc1""#),
            "{json}"
        );
        assert!(
            json.contains(r#""crop":{"kind":"padded","padding":4}"#),
            "{json}"
        );
        assert_eq!(
            serde_json::from_str::<TrainTransform>(&json).unwrap(),
            transform
        );
    }
}
