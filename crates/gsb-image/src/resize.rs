//! Resampling as Pillow does it.
//!
//! Pillow resizes 8-bit pictures in two passes, first the rows, then the columns, and rounds and
//! clips to 8 bits between them. `fast_image_resize` has the same filters but takes the columns
//! first, and where a cubic filter overshoots, the clipping between the passes makes that a
//! difference of up to 16 levels. So each pass is a call of its own here. It runs in single
//! precision: with the crate's 8-bit kernels, whose weights have 16 bits, two passes could differ
//! by two levels from Pillow's weights of 22 bits.

use std::ops::Range;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{F32, F32x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use crate::Image;

/// How values between pixels are found when a picture is resized. Both filters widen where it becomes
/// smaller, so that nothing is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// A triangle, 2 pixels wide.
    Bilinear,
    /// The cubic of Catmull and Rom, 4 pixels wide: Pillow's `BICUBIC`.
    Bicubic,
}

impl From<Filter> for FilterType {
    fn from(filter: Filter) -> Self {
        match filter {
            Filter::Bilinear => Self::Bilinear,
            Filter::Bicubic => Self::CatmullRom,
        }
    }
}

/// Pixels that are converted to single precision at a time.
const BAND: usize = 1 << 16;

/// A window of a resized picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// `[height, width]` of the whole resized picture.
    pub size: [usize; 2],
    /// First row and column of the window.
    pub start: [usize; 2],
    /// `[height, width]` of the window.
    pub crop: [usize; 2],
}

/// Resizes a picture, of which only the window is made.
///
/// The window of a picture of any proportions needs memory for the window's columns and the
/// picture's rows under it only.
pub(crate) fn resize_window(image: &Image, window: Window, filter: Filter) -> Image {
    let Window { size, start, crop } = window;
    if size == [image.height, image.width] {
        return image.crop(start[1], start[0], crop[1], crop[0]);
    }
    // What the filter reaches beyond the window, in the picture's pixels.
    let scale = image.height as f64 / size[0] as f64;
    let reach = 2.0 * scale.max(1.0) + 1.0;
    let top = (start[0] as f64 * scale - reach).floor().max(0.0) as usize;
    let bottom = ((start[0] + crop[0]) as f64 * scale + reach).ceil() as usize;
    let wide = rows(image, top..bottom.min(image.height), window, filter);
    columns(&wide, image.height, top, window, filter)
}

impl Image {
    /// The picture resized to `[height, width]`, as Pillow does it.
    ///
    /// # Panics
    /// If a side is 0.
    ///
    /// ```
    /// use gsb_image::{Filter, Image};
    ///
    /// let steps = Image::new(4, 1, 1, vec![0, 0, 200, 200])?;
    /// assert_eq!(steps.resized([1, 2], Filter::Bilinear).pixels, [29, 171]);
    /// # Ok::<(), gsb_image::Error>(())
    /// ```
    pub fn resized(&self, size: [usize; 2], filter: Filter) -> Self {
        let window = Window {
            size,
            start: [0, 0],
            crop: size,
        };
        resize_window(self, window, filter)
    }
}

/// The first pass: resizes these rows to the columns of the window.
fn rows(image: &Image, rows: Range<usize>, window: Window, filter: Filter) -> Image {
    let [_, left] = window.start;
    let [_, width] = window.crop;
    let scale = image.width as f64 / window.size[1] as f64;
    let from = left as f64 * scale;
    // Rounding may push the end beyond the picture.
    let extent = (width as f64 * scale).min(image.width as f64 - from);
    let height = rows.len();
    let row = image.width * image.channels;
    let mut pixels = Vec::with_capacity(width * height * image.channels);
    let band = (BAND / image.width).max(1);
    for band in image.pixels[rows.start * row..rows.end * row].chunks(band * row) {
        let height = band.len() / row;
        let options = ResizeOptions::new().crop(from, 0.0, extent, height as f64);
        let source = [image.width, height];
        convolve(
            band,
            image.channels,
            source,
            [width, height],
            &options,
            filter,
            &mut pixels,
        );
    }
    Image {
        width,
        height,
        channels: image.channels,
        pixels,
    }
}

/// The second pass: resizes to the rows of the window, from the rows that are there from `top` on
/// of a picture of this height.
fn columns(image: &Image, whole: usize, top: usize, window: Window, filter: Filter) -> Image {
    let [start, _] = window.start;
    let [height, width] = window.crop;
    let scale = whole as f64 / window.size[0] as f64;
    let from = start as f64 * scale - top as f64;
    let extent = (height as f64 * scale).min(image.height as f64 - from);
    let options = ResizeOptions::new().crop(0.0, from, width as f64, extent);
    let mut pixels = Vec::with_capacity(width * height * image.channels);
    let source = [image.width, image.height];
    let target = [width, height];
    convolve(
        &image.pixels,
        image.channels,
        source,
        target,
        &options,
        filter,
        &mut pixels,
    );
    Image {
        width,
        height,
        channels: image.channels,
        pixels,
    }
}

/// Resizes values of a size (width, height) in single precision, and appends them rounded.
fn convolve(
    values: &[u8],
    channels: usize,
    source: [usize; 2],
    target: [usize; 2],
    options: &ResizeOptions,
    filter: Filter,
    result: &mut Vec<u8>,
) {
    let options = options
        .resize_alg(ResizeAlg::Convolution(filter.into()))
        .use_alpha(false);
    if channels == 1 {
        let pixels: Vec<F32> = values.iter().map(|&v| F32::new(v.into())).collect();
        let resized = convolve_pixels(&pixels, source, target, &options);
        result.extend(resized.pixels().iter().map(|pixel| round(pixel.0)));
    } else {
        let pixels = values.as_chunks().0.iter();
        let pixels: Vec<F32x3> = pixels
            .map(|pixel: &[u8; 3]| F32x3::new(pixel.map(f32::from)))
            .collect();
        let resized = convolve_pixels(&pixels, source, target, &options);
        let start = result.len();
        result.resize(start + 3 * resized.pixels().len(), 0);
        let rounded = result[start..].as_chunks_mut().0.iter_mut();
        for (target, pixel) in rounded.zip(resized.pixels()) {
            *target = pixel.0.map(round);
        }
    }
}

/// Rounds half up; a cast saturates.
fn round(value: f32) -> u8 {
    (value + 0.5) as u8
}

fn convolve_pixels<P: PixelTrait>(
    pixels: &[P],
    source: [usize; 2],
    target: [usize; 2],
    options: &ResizeOptions,
) -> TypedImage<'static, P> {
    let source = TypedImageRef::new(source[0] as u32, source[1] as u32, pixels)
        .expect("the pixels fill the size");
    let mut result = TypedImage::new(target[0] as u32, target[1] as u32);
    Resizer::new()
        .resize_typed(&source, &mut result, options)
        .expect("the window lies in the picture");
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::rngs::ChaCha8Rng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// How far sums in single precision are from exact ones, at most: 40 products of values up to 255, of
    /// which weights add up to 1.3, each rounded by 2^-24.
    const ROUNDING: f64 = 1e-3;

    /// The levels that a pixel may have, from and to: a sum half way between two rounds either way.
    type Levels = [u8; 2];

    /// Pillow's algorithm in double precision along one axis: window, weights, one rounding.
    fn reference(line: &[Levels], size: usize) -> Vec<Levels> {
        let scale = line.len() as f64 / size as f64;
        let stretch = scale.max(1.0);
        let cubic = |x: f64| {
            let x = x.abs();
            if x < 1.0 {
                (1.5 * x - 2.5) * x * x + 1.0
            } else if x < 2.0 {
                ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
            } else {
                0.0
            }
        };
        (0..size)
            .map(|i| {
                let center = (i as f64 + 0.5) * scale;
                let weights: Vec<f64> = (0..line.len())
                    .map(|x| cubic((x as f64 + 0.5 - center) / stretch))
                    .collect();
                let total: f64 = weights.iter().sum();
                // The least and the largest sum of what the pixels may be.
                [(0, -ROUNDING), (1, ROUNDING)].map(|(end, rounding)| {
                    let of = |w: f64, levels: &Levels| {
                        w * f64::from(levels[if w < 0.0 { 1 - end } else { end }])
                    };
                    let sum: f64 = weights.iter().zip(line).map(|(&w, v)| of(w, v)).sum();
                    (sum / total + rounding + 0.5).floor().clamp(0.0, 255.0) as u8
                })
            })
            .collect()
    }

    fn reference_2d(image: &Image, [height, width]: [usize; 2]) -> Vec<Levels> {
        let pixels: Vec<Levels> = image.pixels.iter().map(|&v| [v, v]).collect();
        let rows: Vec<Vec<Levels>> = pixels
            .chunks(image.width)
            .map(|row| reference(row, width))
            .collect();
        let columns: Vec<Vec<Levels>> = (0..width)
            .map(|x| reference(&rows.iter().map(|row| row[x]).collect::<Vec<_>>(), height))
            .collect();
        (0..height)
            .flat_map(|y| columns.iter().map(move |column| column[y]))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn noise_is_resized_as_by_pillow(
            width in 1usize..40, height in 1usize..40,
            size in [1usize..40, 1usize..40], seed in any::<u64>(),
        ) {
            let mut pixels = vec![0; width * height];
            ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut pixels);
            let image = Image { width, height, channels: 1, pixels };
            let ours = image.resized(size, Filter::Bicubic);
            for (level, [from, to]) in ours.pixels.iter().zip(reference_2d(&image, size)) {
                prop_assert!((from..=to).contains(level), "{level}, expected {from} to {to}");
            }
        }

        #[test]
        fn a_window_is_a_part_of_the_whole(
            width in 1usize..30, height in 1usize..30,
            size in [4usize..50, 4usize..50], seed in any::<u64>(),
        ) {
            let mut pixels = vec![0; width * height * 3];
            ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut pixels);
            let image = Image { width, height, channels: 3, pixels };
            let whole = image.resized(size, Filter::Bicubic);
            let window = Window { size, start: [1, 2], crop: [size[0] - 2, size[1] - 3] };
            let part = resize_window(&image, window, Filter::Bicubic);
            let expected = whole.crop(2, 1, size[1] - 3, size[0] - 2);
            for (a, b) in part.pixels.iter().zip(&expected.pixels) {
                prop_assert!(a.abs_diff(*b) <= 1, "{a} and {b}");
            }
        }
    }
}
