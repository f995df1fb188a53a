//! RandAugment.

use std::fmt;
use std::str::FromStr;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::affine::{Interpolation, affine, rotation};
use super::{color, levels};
use crate::{Error, Image, bounds};

/// The strongest magnitude.
const MAX_MAGNITUDE: f64 = 10.0;
/// More operations than this leave nothing of a picture.
const MAX_OPERATIONS: usize = 100;
/// Deviations above this mean that no magnitude up to `m` is likelier than another, as in timm.
const UNIFORM_ABOVE: f64 = 100.0;
/// Probability that a chosen operation is applied, as in timm.
const PROBABILITY: f64 = 0.5;

/// Random operations of random strength (Cubuk et al. 2020), written as in timm:
/// `rand-m9-mstd0.5-inc1`.
///
/// - `m9`: magnitude 9 of 10
/// - `n2`: two operations (also without `n`)
/// - `mstd0.5`: the magnitude of each is drawn from a normal distribution of this deviation
///   around `m`, cut off at 0 and 10; above 100, as `mstd101`, it is drawn evenly from 0 to `m`
/// - `inc1`: operations that get stronger with the magnitude, the only ones there are here
///
/// Each operation is drawn from [`RandAugment::OPERATIONS`], and applied with probability 1/2.
///
/// ```
/// use gsb_data::RandAugment;
///
/// let augment: RandAugment = "rand-m9-mstd0.5-inc1".parse()?;
/// assert_eq!((augment.magnitude, augment.deviation, augment.operations), (9.0, 0.5, 2));
/// assert_eq!(augment.to_string(), "rand-m9-mstd0.5-inc1");
/// # Ok::<(), gsb_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RandAugment {
    /// Mean strength, from 0 to 10.
    pub magnitude: f64,
    /// Deviation of the strength; above 100, strengths are even from 0 to the magnitude.
    pub deviation: f64,
    /// Operations for a picture.
    pub operations: usize,
}

impl Default for RandAugment {
    fn default() -> Self {
        Self {
            magnitude: 9.0,
            deviation: 0.5,
            operations: 2,
        }
    }
}

/// Something done to a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    AutoContrast,
    Equalize,
    Invert,
    Rotate,
    Posterize,
    Solarize,
    SolarizeAdd,
    Color,
    Contrast,
    Brightness,
    Sharpness,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
}

use Operation as O;

const ALL: [(Operation, &str); 15] = [
    (O::AutoContrast, "AutoContrast"),
    (O::Equalize, "Equalize"),
    (O::Invert, "Invert"),
    (O::Rotate, "Rotate"),
    (O::Posterize, "PosterizeIncreasing"),
    (O::Solarize, "SolarizeIncreasing"),
    (O::SolarizeAdd, "SolarizeAdd"),
    (O::Color, "ColorIncreasing"),
    (O::Contrast, "ContrastIncreasing"),
    (O::Brightness, "BrightnessIncreasing"),
    (O::Sharpness, "SharpnessIncreasing"),
    (O::ShearX, "ShearX"),
    (O::ShearY, "ShearY"),
    (O::TranslateX, "TranslateXRel"),
    (O::TranslateY, "TranslateYRel"),
];

impl RandAugment {
    /// Checks that the numbers are possible.
    ///
    /// # Errors
    /// [`Error::Option`] for the first one that is not.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |problem| bounds::refuse("rand_augment", problem);
        if !(0.0..=MAX_MAGNITUDE).contains(&self.magnitude) {
            return refuse(format!(
                "the magnitude must be between 0 and {MAX_MAGNITUDE}, got {}",
                self.magnitude
            ));
        }
        if self.operations > MAX_OPERATIONS {
            return refuse(format!(
                "expected at most {MAX_OPERATIONS} operations, got {}",
                self.operations
            ));
        }
        bounds::not_negative("rand_augment", self.deviation)
    }

    /// The operations, as timm calls them.
    pub const OPERATIONS: [&str; 15] = {
        let mut names = [""; 15];
        let mut i = 0;
        while i < 15 {
            names[i] = ALL[i].1;
            i += 1;
        }
        names
    };

    /// Applies random operations; `fill` is the colour of what comes from outside.
    pub(crate) fn apply(
        &self,
        image: &mut Image,
        interpolation: Interpolation,
        fill: &[u8],
        rng: &mut ChaCha8Rng,
    ) {
        let chosen: Vec<Operation> = (0..self.operations)
            .map(|_| ALL[rng.random_range(0..ALL.len())].0)
            .collect();
        for operation in chosen {
            if rng.random::<f64>() < PROBABILITY {
                let magnitude = self.draw(rng);
                let negative = rng.random::<bool>();
                let cubic = interpolation.cubic(rng);
                operation.apply(image, magnitude / MAX_MAGNITUDE, negative, cubic, fill);
            }
        }
    }

    /// The magnitude of one operation.
    fn draw(&self, rng: &mut ChaCha8Rng) -> f64 {
        if self.deviation > UNIFORM_ABOVE {
            return self.magnitude * rng.random::<f64>();
        }
        let normal: f64 = rng.sample(StandardNormal);
        (self.magnitude + self.deviation * normal).clamp(0.0, MAX_MAGNITUDE)
    }
}

impl Operation {
    /// Applies the operation with a strength from 0 to 1, where there are two directions in the
    /// negative one or not.
    fn apply(self, image: &mut Image, strength: f64, negative: bool, cubic: bool, fill: &[u8]) {
        let sign = if negative { -1.0 } else { 1.0 };
        let factor = (1.0 + sign * 0.9 * strength) as f32;
        let shear = sign * 0.3 * strength;
        let shift = |side: usize| sign * 0.45 * strength * side as f64;
        let map = match self {
            O::AutoContrast => return levels::auto_contrast(image),
            O::Equalize => return levels::equalize(image),
            O::Invert => return levels::invert(image),
            O::Posterize => return levels::posterize(image, 4 - (4.0 * strength) as u32),
            O::Solarize => return levels::solarize(image, 256 - (256.0 * strength) as u32),
            O::SolarizeAdd => return levels::solarize_add(image, (110.0 * strength) as u8),
            O::Color => return color::saturation(image, factor),
            O::Contrast => return color::contrast(image, factor),
            O::Brightness => return color::brightness(image, factor),
            O::Sharpness => return color::sharpness(image, factor),
            O::Rotate => rotation(image, sign * 30.0 * strength),
            O::ShearX => [1.0, shear, 0.0, 0.0, 1.0, 0.0],
            O::ShearY => [1.0, 0.0, 0.0, shear, 1.0, 0.0],
            O::TranslateX => [1.0, 0.0, shift(image.width), 0.0, 1.0, 0.0],
            O::TranslateY => [1.0, 0.0, 0.0, 0.0, 1.0, shift(image.height)],
        };
        *image = affine(image, map, cubic, fill);
    }
}

impl FromStr for RandAugment {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |problem: String| Error::Option {
            option: "rand_augment",
            problem: format!("{text:?}: {problem}"),
        };
        let mut parts = text.split('-');
        if parts.next() != Some("rand") {
            return Err(refuse("expected rand-m9-mstd0.5-inc1 or the like".into()));
        }
        // As in timm: without them, magnitude 10 of no deviation.
        let mut augment = Self {
            magnitude: MAX_MAGNITUDE,
            deviation: 0.0,
            operations: 2,
        };
        let mut increasing = false;
        for part in parts {
            let digits = part
                .find(|c: char| c.is_ascii_digit())
                .unwrap_or(part.len());
            let (key, value) = part.split_at(digits);
            let number: f64 = value
                .parse()
                .map_err(|_| refuse(format!("{part:?} has no number")))?;
            match key {
                "m" => augment.magnitude = number,
                "n" if number.fract() == 0.0 => augment.operations = number as usize,
                "mstd" => augment.deviation = number,
                "inc" => increasing = number != 0.0,
                _ => {
                    return Err(refuse(format!(
                        "{part:?} is not known: m, n, mstd and inc are"
                    )));
                }
            }
        }
        if !increasing {
            return Err(refuse(
                "expected inc1: there are only increasing operations".into(),
            ));
        }
        augment.validate()?;
        Ok(augment)
    }
}

impl fmt::Display for RandAugment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rand-m{}", self.magnitude)?;
        if self.operations != 2 {
            write!(f, "-n{}", self.operations)?;
        }
        if self.deviation != 0.0 {
            write!(f, "-mstd{}", self.deviation)?;
        }
        f.write_str("-inc1")
    }
}

impl TryFrom<String> for RandAugment {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<RandAugment> for String {
    fn from(augment: RandAugment) -> Self {
        augment.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::generator;

    #[test]
    fn strings_are_read_as_timm_writes_them() {
        for text in ["rand-m9-mstd0.5-inc1", "rand-m7-n3-inc1", "rand-m0-inc1"] {
            assert_eq!(text.parse::<RandAugment>().unwrap().to_string(), text);
        }
        assert_eq!(
            "rand-mstd0.5-m9-inc1".parse::<RandAugment>().unwrap(),
            RandAugment::default()
        );
        for text in [
            "",
            "rand",
            "rand-m9",
            "augmix-m3",
            "rand-m11-inc1",
            "rand-m-inc1",
            "rand-x1-inc1",
            "rand-n1.5-inc1",
            "rand-n101-inc1",
            "rand-m9-inc0",
        ] {
            assert!(text.parse::<RandAugment>().is_err(), "{text}");
        }
    }

    /// So that what is written can be read again.
    #[test]
    fn what_no_text_says_is_refused() {
        for wrong in [
            (15.0, 0.5, 2),
            (-1.0, 0.5, 2),
            (f64::NAN, 0.5, 2),
            (9.0, f64::INFINITY, 2),
            (9.0, -0.5, 2),
            (9.0, 0.5, 101),
        ] {
            let (magnitude, deviation, operations) = wrong;
            let augment = RandAugment {
                magnitude,
                deviation,
                operations,
            };
            assert!(augment.validate().is_err(), "{wrong:?}");
        }
        RandAugment::default().validate().unwrap();
    }

    #[test]
    fn every_operation_works_on_every_picture() {
        for (operation, name) in ALL {
            for (width, height, channels) in [(1, 1, 1), (2, 3, 3), (17, 9, 3), (9, 9, 1)] {
                let image = Image {
                    width,
                    height,
                    channels,
                    pixels: (0..width * height * channels)
                        .map(|i| (i * 41) as u8)
                        .collect(),
                };
                for (strength, negative, cubic) in
                    [(0.0, false, true), (0.9, true, true), (1.0, false, false)]
                {
                    let mut done = image.clone();
                    operation.apply(&mut done, strength, negative, cubic, &[1, 2, 3]);
                    assert_eq!(done.pixels.len(), image.pixels.len(), "{name}");
                    let none = [O::AutoContrast, O::Equalize, O::Invert, O::Posterize];
                    if strength == 0.0 && !none.contains(&operation) {
                        assert_eq!(done, image, "{name} of strength 0");
                    }
                }
            }
        }
    }

    #[test]
    fn strengths_are_timms_at_magnitude_nine() {
        let done = |operation: Operation, pixels: &[u8]| {
            let mut image = Image::new(pixels.len(), 1, 1, pixels.to_vec()).unwrap();
            operation.apply(&mut image, 0.9, false, false, &[7]);
            image.pixels
        };
        // 4 - int(3.6) = 1 bit; threshold 256 - int(230.4) = 26; int(99.0) added.
        assert_eq!(done(O::Posterize, &[127, 128]), [0, 128]);
        assert_eq!(done(O::Solarize, &[25, 26]), [25, 229]);
        assert_eq!(done(O::SolarizeAdd, &[1, 128]), [100, 128]);
        // 1 + 0.81 times.
        assert_eq!(done(O::Brightness, &[100, 200]), [181, 255]);
        // 0.405 of 20 pixels: from 8.1 to the right, the last 8 or 9 are filled.
        let moved = done(O::TranslateX, &[50; 20]);
        assert_eq!(moved.iter().filter(|&&v| v == 7).count(), 8);
    }

    #[test]
    fn a_deviation_above_100_makes_magnitudes_even() {
        let mut rng = generator(0);
        let n = 10_000;
        let mut drawn = |text: &str| -> Vec<f64> {
            let augment: RandAugment = text.parse().unwrap();
            assert_eq!(augment.to_string(), text);
            (0..n).map(|_| augment.draw(&mut rng)).collect()
        };
        let even = drawn("rand-m8-mstd101-inc1");
        assert!(even.iter().all(|magnitude| (0.0..=8.0).contains(magnitude)));
        // A tenth of them in each tenth of the range, up to five deviations of such a count.
        for tenth in 0..10 {
            let within = |&magnitude: &f64| (magnitude / 0.8) as usize == tenth;
            let count = even.iter().copied().filter(within).count() as f64;
            let expected = f64::from(n) / 10.0;
            assert!(
                (count - expected).abs() < 5.0 * (0.9 * expected).sqrt(),
                "{tenth}: {count}"
            );
        }
        // At 100 it is a normal distribution still, whose values are mostly cut off.
        let normal = drawn("rand-m8-mstd100-inc1");
        let cut = |&magnitude: &f64| magnitude == 0.0 || magnitude == MAX_MAGNITUDE;
        assert!(normal.iter().copied().filter(cut).count() > 9000);
    }

    #[test]
    fn half_of_the_operations_are_applied() {
        // One operation, and a picture that each of them changes, but for colour, which is gray.
        let augment = RandAugment {
            operations: 1,
            ..Default::default()
        };
        let mut rng = generator(0);
        let n = 3000;
        let changed = (0..n)
            .filter(|_| {
                let pixels = (0..400u32).map(|i| (40 + i * i % 149) as u8).collect();
                let image = Image::new(20, 20, 1, pixels).unwrap();
                let mut done = image.clone();
                augment.apply(&mut done, Interpolation::Bicubic, &[7], &mut rng);
                done != image
            })
            .count() as f64;
        let probability = 0.5 * 14.0 / 15.0;
        let deviation = (f64::from(n) * probability * (1.0 - probability)).sqrt();
        assert!(
            (changed - f64::from(n) * probability).abs() < 5.0 * deviation,
            "{changed}"
        );
    }
}
