//! Affine maps of a picture, as Pillow's `Image.transform` computes them.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{Error, Image, bounds};

/// How values between pixels are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// From the nearest 4 pixels.
    Bilinear,
    /// From the nearest 16 pixels.
    #[default]
    Bicubic,
    /// One of the two, each with probability 1/2, each time.
    Random,
}

impl Interpolation {
    /// Whether it is bicubic this time.
    pub(crate) fn cubic(self, rng: &mut ChaCha8Rng) -> bool {
        match self {
            Self::Bilinear => false,
            Self::Bicubic => true,
            Self::Random => rng.random(),
        }
    }
}

/// Where a pixel of the result comes from: `x' = a x + b y + c`, `y' = d x + e y + f`.
pub(crate) type Map = [f64; 6];

/// Maps a picture onto one of the same size; what comes from outside has the colour `fill`.
pub(crate) fn affine(image: &Image, map: Map, cubic: bool, fill: &[u8]) -> Image {
    let [a, b, c, d, e, f] = map;
    let (width, height) = (image.width as f64, image.height as f64);
    let mut pixels = Vec::with_capacity(image.pixels.len());
    for row in 0..image.height {
        for column in 0..image.width {
            let (x, y) = (column as f64 + 0.5, row as f64 + 0.5);
            let (from_x, from_y) = (a * x + b * y + c, d * x + e * y + f);
            let inside = (0.0..width).contains(&from_x) && (0.0..height).contains(&from_y);
            if !inside {
                pixels.extend_from_slice(&fill[..image.channels]);
            } else if cubic {
                sample::<4>(
                    image,
                    from_x - 0.5,
                    from_y - 0.5,
                    cubic_weights,
                    &mut pixels,
                );
            } else {
                sample::<2>(
                    image,
                    from_x - 0.5,
                    from_y - 0.5,
                    linear_weights,
                    &mut pixels,
                );
            }
        }
    }
    Image { pixels, ..*image }
}

/// Appends the pixel at a place between `N * N` pixels; beyond the border, the border counts.
fn sample<const N: usize>(
    image: &Image,
    x: f64,
    y: f64,
    weights: fn(f64) -> [f64; N],
    pixels: &mut Vec<u8>,
) {
    let (left, top) = (x.floor(), y.floor());
    let (across, down) = (weights(x - left), weights(y - top));
    let first = 1 - N as isize / 2;
    let place = |start: f64, offset: usize, length: usize| {
        let place = start as isize + first + offset as isize;
        place.clamp(0, length as isize - 1) as usize
    };
    let columns: [usize; N] = std::array::from_fn(|i| place(left, i, image.width));
    let rows: [usize; N] = std::array::from_fn(|i| place(top, i, image.height));
    for channel in 0..image.channels {
        let mut sum = 0.0;
        for (&y, weight) in rows.iter().zip(down) {
            let line = y * image.width;
            let values = columns.iter().zip(across).map(|(&x, weight)| {
                weight * f64::from(image.pixels[(line + x) * image.channels + channel])
            });
            sum += weight * values.sum::<f64>();
        }
        // A cast saturates, and cuts off as Pillow's does here: only its resize rounds.
        pixels.push(sum as u8);
    }
}

fn linear_weights(d: f64) -> [f64; 2] {
    [1.0 - d, d]
}

/// Keys' cubic with a = -1: unlike for its resize, Pillow does not take -1/2 here.
fn cubic_weights(d: f64) -> [f64; 4] {
    let (d2, d3) = (d * d, d * d * d);
    [
        -d + 2.0 * d2 - d3,
        1.0 - 2.0 * d2 + d3,
        d + d2 - d3,
        d3 - d2,
    ]
}

/// The map that turns a picture counterclockwise around its centre.
pub(crate) fn rotation(image: &Image, degrees: f64) -> Map {
    around_center(image, degrees, 1.0, [0.0, 0.0])
}

/// Turns and enlarges a picture around its centre, then moves it by pixels.
fn around_center(image: &Image, degrees: f64, scale: f64, [right, down]: [f64; 2]) -> Map {
    let (x, y) = (image.width as f64 / 2.0, image.height as f64 / 2.0);
    let (sin, cos) = (-degrees.to_radians()).sin_cos();
    let (sin, cos) = (sin / scale, cos / scale);
    let (back_x, back_y) = (-x - right, -y - down);
    [
        cos,
        sin,
        cos * back_x + sin * back_y + x,
        -sin,
        cos,
        -sin * back_x + cos * back_y + y,
    ]
}

/// A random small turn, move and change of size, for drawn digits for one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomAffine {
    /// The largest angle, in degrees, to either side. 10 by default.
    pub degrees: f64,
    /// The largest move in each direction, as a share of the side. 0.1 by default.
    pub translate: f64,
    /// The smallest and the largest factor of the size. 0.9 to 1.1 by default.
    pub scale: [f64; 2],
}

impl Default for RandomAffine {
    fn default() -> Self {
        Self {
            degrees: 10.0,
            translate: 0.1,
            scale: [0.9, 1.1],
        }
    }
}

impl RandomAffine {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        bounds::not_negative("degrees", self.degrees)?;
        bounds::not_negative("translate", self.translate)?;
        bounds::interval("scale", self.scale)
    }

    /// Bilinear; outside it is black, as in torchvision.
    pub(crate) fn apply(&self, image: &Image, rng: &mut ChaCha8Rng) -> Image {
        let mut even = |low: f64, high: f64| low + (high - low) * rng.random::<f64>();
        let degrees = even(-self.degrees, self.degrees);
        let scale = even(self.scale[0], self.scale[1]);
        let shift = [image.width, image.height].map(|side| {
            let most = self.translate * side as f64;
            even(-most, most)
        });
        // A scale of 0 would divide by it.
        let map = around_center(image, degrees, scale.max(1e-3), shift);
        affine(image, map, false, &[0; 3])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::generator;

    fn image() -> Image {
        Image::new(3, 3, 1, vec![10, 20, 30, 40, 50, 60, 70, 80, 90]).unwrap()
    }

    #[test]
    fn quarter_turns_and_moves_by_pixels_are_exact() {
        let image = image();
        for cubic in [false, true] {
            let done = |map| affine(&image, map, cubic, &[7]).pixels;
            assert_eq!(done(rotation(&image, 0.0)), image.pixels);
            // Counterclockwise: the right column comes to the top.
            let turned = done(rotation(&image, 90.0));
            assert_eq!(turned, [30, 60, 90, 20, 50, 80, 10, 40, 70]);
            // Each pixel comes from its right neighbour.
            let moved = done([1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
            assert_eq!(moved, [20, 30, 7, 50, 60, 7, 80, 90, 7]);
        }
    }

    #[test]
    fn half_pixels_are_means() {
        let half = [1.0, 0.0, 0.5, 0.0, 1.0, 0.0];
        let done = affine(&image(), half, false, &[7]).pixels;
        assert_eq!(done, [15, 25, 7, 45, 55, 7, 75, 85, 7]);
        // Weights of -1/8, 5/8, 5/8, -1/8: with a = -1.
        assert_eq!(cubic_weights(0.5), [-0.125, 0.625, 0.625, -0.125]);
        for d in [0.0, 0.3, 0.9] {
            assert!((cubic_weights(d).iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn a_random_affine_stays_in_its_limits() {
        let still = RandomAffine {
            degrees: 0.0,
            translate: 0.0,
            scale: [1.0, 1.0],
        };
        let mut rng = generator(0);
        assert_eq!(still.apply(&image(), &mut rng), image());
        let shift = RandomAffine {
            translate: 1.0 / 3.0,
            ..still
        };
        for _ in 0..50 {
            let moved = shift.apply(&image(), &mut rng);
            // At most a pixel: the centre comes from its neighbours.
            assert!((10..=90).contains(&moved.pixels[4]));
            assert_ne!(moved, image());
        }
    }
}
