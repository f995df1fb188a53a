//! Augmentation of training images.

use gsb_data::ImageShape;
use rand::{Rng, RngExt};

/// Appends the image moved by up to a pixel in each direction, what comes in being 0.
///
/// # Shapes
/// - image: `[channels, height, width]`
pub fn shifted_by_a_pixel(
    image: &[f32],
    shape: ImageShape,
    rng: &mut impl Rng,
    out: &mut Vec<f32>,
) {
    let down = rng.random_range(-1..=1i32) as isize;
    let right = rng.random_range(-1..=1i32) as isize;
    shifted(image, shape, down, right, out);
}

fn shifted(image: &[f32], shape: ImageShape, down: isize, right: isize, out: &mut Vec<f32>) {
    for channel in image.chunks_exact(shape.height * shape.width) {
        for row in 0..shape.height {
            let from = row
                .checked_add_signed(-down)
                .filter(|&row| row < shape.height);
            for column in 0..shape.width {
                let column = column
                    .checked_add_signed(-right)
                    .filter(|&column| column < shape.width);
                let place = from.zip(column);
                out.push(place.map_or(0.0, |(row, column)| channel[row * shape.width + column]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_is_lost_and_zeros_come_in() {
        let shape = ImageShape {
            channels: 1,
            height: 2,
            width: 3,
        };
        let image = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let moved = |down, right| {
            let mut out = Vec::new();
            shifted(&image, shape, down, right, &mut out);
            out
        };
        assert_eq!(moved(0, 0), image);
        assert_eq!(moved(1, 0), [0.0, 0.0, 0.0, 1.0, 2.0, 3.0]);
        assert_eq!(moved(-1, 1), [0.0, 4.0, 5.0, 0.0, 0.0, 0.0]);
        assert_eq!(moved(0, -1), [2.0, 3.0, 0.0, 5.0, 6.0, 0.0]);
    }
}
