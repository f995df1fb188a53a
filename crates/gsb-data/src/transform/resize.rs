//! Resampling as Pillow does it.
//!
//! Pillow resizes 8-bit pictures in two passes, first the rows, then the columns, and rounds to
//! 8 bits between them. `fast_image_resize` has the same filters but takes the columns first, and
//! where a cubic filter overshoots the clipping between the passes makes that a difference of many
//! levels. So each pass is a call of its own here; what is left is its 16-bit weights, at most one
//! level.

use fast_image_resize::images::{Image as Buffer, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::Image;

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
pub(crate) fn resize_window(image: &Image, window: Window, filter: FilterType) -> Image {
    let Window { size, start, crop } = window;
    if size == [image.height, image.width] {
        return image.crop(start[1], start[0], crop[1], crop[0]);
    }
    // What the filter reaches beyond the window, in the picture's pixels.
    let scale = image.height as f64 / size[0] as f64;
    let reach = 2.0 * scale.max(1.0) + 1.0;
    let top = (start[0] as f64 * scale - reach).floor().max(0.0) as usize;
    let bottom = ((start[0] + crop[0]) as f64 * scale + reach).ceil() as usize;
    let rows = [top, bottom.min(image.height)];
    let wide = pass(image, Axis::Row(rows), size[1], start[1], crop[1], filter);
    let whole = Axis::Column(image.height, top);
    pass(&wide, whole, size[0], start[0], crop[0], filter)
}

/// Resizes a whole picture to `[height, width]`.
pub(crate) fn resize(image: &Image, size: [usize; 2], filter: FilterType) -> Image {
    let window = Window {
        size,
        start: [0, 0],
        crop: size,
    };
    resize_window(image, window, filter)
}

/// What a pass works on.
#[derive(Clone, Copy)]
enum Axis {
    /// Resizes along rows, those of this range.
    Row([usize; 2]),
    /// Resizes along columns, of a picture of this height of which rows are there from this one.
    Column(usize, usize),
}

/// Resizes along one axis to `size`, of which `crop` pixels from `start` on are made.
fn pass(
    image: &Image,
    axis: Axis,
    size: usize,
    start: usize,
    crop: usize,
    filter: FilterType,
) -> Image {
    let (width, height) = (image.width as f64, image.height as f64);
    let length = match axis {
        Axis::Row(_) => image.width,
        Axis::Column(whole, _) => whole,
    };
    let scale = length as f64 / size as f64;
    // Rounding may push the end beyond the picture.
    let (from, extent) = (start as f64 * scale, crop as f64 * scale);
    let (target, options) = match axis {
        Axis::Row([top, bottom]) => {
            let extent = extent.min(width - from);
            let rows = bottom - top;
            let options = ResizeOptions::new().crop(from, top as f64, extent, rows as f64);
            ([crop, rows], options)
        }
        Axis::Column(_, top) => {
            let from = from - top as f64;
            let extent = extent.min(height - from);
            let options = ResizeOptions::new().crop(0.0, from, width, extent);
            ([image.width, crop], options)
        }
    };
    let kind = match image.channels {
        1 => PixelType::U8,
        _ => PixelType::U8x3,
    };
    let source = ImageRef::new(image.width as u32, image.height as u32, &image.pixels, kind)
        .expect("the pixels fill the shape");
    let mut result = Buffer::new(target[0] as u32, target[1] as u32, kind);
    let options = options
        .resize_alg(ResizeAlg::Convolution(filter))
        .use_alpha(false);
    Resizer::new()
        .resize(&source, &mut result, &options)
        .expect("the window lies in the picture");
    Image {
        width: target[0],
        height: target[1],
        channels: image.channels,
        pixels: result.into_vec(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pillow's algorithm in double precision along one axis: window, weights, one rounding.
    fn reference(line: &[u8], size: usize) -> Vec<u8> {
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
                let sum: f64 = weights
                    .iter()
                    .zip(line)
                    .map(|(w, &v)| w * f64::from(v))
                    .sum();
                (sum / total + 0.5).floor().clamp(0.0, 255.0) as u8
            })
            .collect()
    }

    fn reference_2d(image: &Image, [height, width]: [usize; 2]) -> Vec<u8> {
        let rows: Vec<Vec<u8>> = image
            .pixels
            .chunks(image.width)
            .map(|row| reference(row, width))
            .collect();
        let columns: Vec<Vec<u8>> = (0..width)
            .map(|x| reference(&rows.iter().map(|row| row[x]).collect::<Vec<_>>(), height))
            .collect();
        (0..height)
            .flat_map(|y| columns.iter().map(move |column| column[y]))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn noise_is_within_two_levels(
            width in 1usize..40, height in 1usize..40,
            size in [1usize..40, 1usize..40], seed in any::<u64>(),
        ) {
            use rand::Rng;
            let mut pixels = vec![0; width * height];
            crate::random::generator(seed).fill_bytes(&mut pixels);
            let image = Image { width, height, channels: 1, pixels };
            let ours = resize(&image, size, FilterType::CatmullRom);
            // One level for the weights of each pass.
            for (a, b) in ours.pixels.iter().zip(reference_2d(&image, size)) {
                prop_assert!(a.abs_diff(b) <= 2, "{a} and {b}");
            }
        }

        #[test]
        fn a_window_is_a_part_of_the_whole(
            width in 1usize..30, height in 1usize..30,
            size in [4usize..50, 4usize..50], seed in any::<u64>(),
        ) {
            use rand::Rng;
            let mut pixels = vec![0; width * height * 3];
            crate::random::generator(seed).fill_bytes(&mut pixels);
            let image = Image { width, height, channels: 3, pixels };
            let whole = resize(&image, size, FilterType::CatmullRom);
            let window = Window { size, start: [1, 2], crop: [size[0] - 2, size[1] - 3] };
            let part = resize_window(&image, window, FilterType::CatmullRom);
            let expected = whole.crop(2, 1, size[1] - 3, size[0] - 2);
            for (a, b) in part.pixels.iter().zip(&expected.pixels) {
                prop_assert!(a.abs_diff(*b) <= 1, "{a} and {b}");
            }
        }
    }
}
