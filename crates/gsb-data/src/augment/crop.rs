//! Crops for training.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::Image;

/// Which part of a picture is trained on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Crop {
    /// The part that is evaluated; nothing is random.
    Center,
    /// A random rectangle, resized, as torchvision's `RandomResizedCrop`.
    RandomResized {
        /// The smallest and the largest share of the area; 0.08 to 1 as published.
        scale: [f64; 2],
        /// The smallest and the largest width by height; 3/4 to 4/3 as published.
        ratio: [f64; 2],
    },
    /// A random square of the picture with a black border.
    Padded {
        /// Pixels of the border; 4 as published for pictures of 32 pixels.
        padding: usize,
    },
}

impl Crop {
    /// The published random rectangle.
    pub const RANDOM_RESIZED: Self = Self::RandomResized {
        scale: [0.08, 1.0],
        ratio: [3.0 / 4.0, 4.0 / 3.0],
    };
}

/// A rectangle: left, top, width, height.
pub(crate) type Rectangle = [usize; 4];

/// Draws a rectangle of a share of the area; after ten that do not fit, the largest central one of
/// an allowed ratio.
pub(crate) fn random_rectangle(
    width: usize,
    height: usize,
    scale: [f64; 2],
    ratio: [f64; 2],
    rng: &mut ChaCha8Rng,
) -> Rectangle {
    let area = (width * height) as f64;
    let mut even = |[low, high]: [f64; 2]| low + (high - low) * rng.random::<f64>();
    let mut fitting = None;
    for _ in 0..10 {
        let target = area * even(scale);
        let aspect = even(ratio.map(f64::ln)).exp();
        // Python rounds a half to even.
        let w = (target * aspect).sqrt().round_ties_even() as usize;
        let h = (target / aspect).sqrt().round_ties_even() as usize;
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            fitting = Some([w, h]);
            break;
        }
    }
    if let Some([w, h]) = fitting {
        let left = rng.random_range(0..=width - w);
        let top = rng.random_range(0..=height - h);
        return [left, top, w, h];
    }
    let aspect = width as f64 / height as f64;
    let [w, h] = if aspect < ratio[0] {
        [width, (width as f64 / ratio[0]).round_ties_even() as usize]
    } else if aspect > ratio[1] {
        [
            (height as f64 * ratio[1]).round_ties_even() as usize,
            height,
        ]
    } else {
        [width, height]
    };
    let [w, h] = [w.clamp(1, width), h.clamp(1, height)];
    [(width - w) / 2, (height - h) / 2, w, h]
}

/// A random square of `size` pixels of the picture with a black border.
///
/// A picture that is too small even so gets a wider border.
pub(crate) fn padded(image: &Image, size: usize, padding: usize, rng: &mut ChaCha8Rng) -> Image {
    let mut offset = |length: usize| {
        // Beyond a whole border there would be nothing to see.
        let border = padding
            .min(size)
            .max(size.saturating_sub(length).div_ceil(2));
        let start = rng.random_range(0..=length + 2 * border - size);
        start as isize - border as isize
    };
    let (left, top) = (offset(image.width), offset(image.height));
    let mut result = Image::filled(size, size, &[0; 3][..image.channels]);
    for y in 0..size {
        let Some(from_y) = inside(top, y, image.height) else {
            continue;
        };
        for x in 0..size {
            if let Some(from_x) = inside(left, x, image.width) {
                let start = (y * size + x) * image.channels;
                result.pixels[start..start + image.channels]
                    .copy_from_slice(image.pixel(from_x, from_y));
            }
        }
    }
    result
}

fn inside(start: isize, place: usize, length: usize) -> Option<usize> {
    let place = usize::try_from(start + place as isize).ok()?;
    (place < length).then_some(place)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::generator;

    const SCALE: [f64; 2] = [0.08, 1.0];
    const RATIO: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];

    #[test]
    fn areas_are_even_and_ratios_allowed() {
        // Up to 0.56 of the area, every allowed rectangle fits into a square: none is redrawn.
        let mut rng = generator(0);
        let n = 4000;
        let shares: Vec<f64> = (0..n)
            .map(|_| {
                let [_, _, w, h] = random_rectangle(1000, 1000, [0.08, 0.56], RATIO, &mut rng);
                let ratio = w as f64 / h as f64;
                assert!((0.74..1.35).contains(&ratio), "{w}x{h}");
                (w * h) as f64 / 1e6
            })
            .collect();
        let mean = shares.iter().sum::<f64>() / f64::from(n);
        let deviation = 0.48 / 12f64.sqrt();
        assert!(
            (mean - 0.32).abs() < 5.0 * deviation / f64::from(n).sqrt(),
            "{mean}"
        );
    }

    #[test]
    fn shapes_that_cannot_fit_fall_back_to_the_centre() {
        let mut rng = generator(0);
        let large = [0.9, 1.0];
        assert_eq!(
            random_rectangle(16_000, 30, large, RATIO, &mut rng),
            [7980, 0, 40, 30]
        );
        assert_eq!(
            random_rectangle(30, 900, large, RATIO, &mut rng),
            [0, 430, 30, 40]
        );
        assert_eq!(random_rectangle(1, 1, large, RATIO, &mut rng), [0, 0, 1, 1]);
    }

    #[test]
    fn every_shift_comes_equally_often() {
        let image = Image::new(1, 1, 1, vec![9]).unwrap();
        let mut counts = [0usize; 9];
        let mut rng = generator(0);
        for _ in 0..9000 {
            let crop = padded(
                &Image {
                    width: 3,
                    height: 3,
                    pixels: vec![0, 0, 0, 0, 9, 0, 0, 0, 0],
                    ..image
                },
                3,
                1,
                &mut rng,
            );
            counts[crop.pixels.iter().position(|&v| v == 9).unwrap()] += 1;
        }
        // 9000 draws of 9 places: five standard deviations around 1000.
        let deviation = (9000.0 * (1.0 / 9.0) * (8.0 / 9.0f64)).sqrt();
        for count in counts {
            assert!(
                (count as f64 - 1000.0).abs() < 5.0 * deviation,
                "{counts:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn rectangles_lie_inside(
            width in 1usize..20_000, height in 1usize..20_000, seed in any::<u64>(),
        ) {
            let mut rng = generator(seed);
            let [left, top, w, h] = random_rectangle(width, height, SCALE, RATIO, &mut rng);
            prop_assert!(w >= 1 && h >= 1 && left + w <= width && top + h <= height);
        }

        #[test]
        fn padded_crops_have_the_size(
            width in 1usize..50, height in 1usize..50, size in 1usize..50, padding in 0usize..8,
        ) {
            let image = Image::filled(width, height, &[1]);
            let crop = padded(&image, size, padding, &mut generator(0));
            prop_assert_eq!((crop.width, crop.height, crop.pixels.len()), (size, size, size * size));
        }
    }
}
