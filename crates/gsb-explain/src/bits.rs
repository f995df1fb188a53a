//! Weights as images.

use gsb_image::Image;
use gsb_packed::{Entries, Weight};

use crate::canvas::{Canvas, Color};

const ZERO: Color = [220, 40, 40];
const BETWEEN: Color = [70, 90, 160];

/// Small weights are enlarged until a side would have more pixels than this.
const SIDE: usize = 1024;

/// A weight as an image: white where it is 1 or its highest level, black where it is -1 or its lowest, signs of 0
/// in red. A row for each output and a column for each input; of the patch embedding a tile for each output,
/// in colour if it has three channels, as many tiles in a row as below each other. A square of pixels
/// stands for each entry, as large as the image stays within 1024 pixels, else one.
///
/// # Panics
/// If there are fewer entries than the shape says.
pub fn draw(weight: &Weight<'_>) -> Image {
    match weight.shape[..] {
        [outputs, channels, height, width] => tiles(weight, outputs, channels, [height, width]),
        _ => matrix(weight),
    }
}

/// The side of the square of an entry.
fn enlarged(sides: [usize; 2]) -> usize {
    (SIDE / sides[0].max(sides[1]).max(1)).max(1)
}

/// The brightness of an entry; none for the sign 0.
fn light(entries: &Entries<'_>, index: usize, reach: i16) -> Option<u8> {
    match entries {
        Entries::Signs(signs) => {
            let columns = signs.columns();
            match signs.sign(index / columns, index % columns) {
                0 => None,
                sign => Some(if sign > 0 { 255 } else { 0 }),
            }
        }
        Entries::Levels(levels) => {
            // From -reach to reach.
            let level = i32::from(levels[index]) + i32::from(reach);
            Some((level * 255 / (2 * i32::from(reach))) as u8)
        }
    }
}

/// The largest distance of a level from 0, at least 1.
fn reach(entries: &Entries<'_>) -> i16 {
    match entries {
        Entries::Signs(_) => 1,
        Entries::Levels(levels) => {
            let distances = levels.iter().map(|&level| i16::from(level).abs());
            distances.max().unwrap_or(0).max(1)
        }
    }
}

fn matrix(Weight { shape, entries, .. }: &Weight<'_>) -> Image {
    let columns = shape.last().copied().unwrap_or(1);
    let rows = shape.iter().product::<usize>() / columns.max(1);
    let square = enlarged([rows, columns]);
    let reach = reach(entries);
    let mut canvas = Canvas::new(columns * square, rows * square, BETWEEN);
    for index in 0..rows * columns {
        let color = light(entries, index, reach).map_or(ZERO, |light| [light; 3]);
        let place = [index % columns * square, index / columns * square];
        canvas.fill(place, [square; 2], color);
    }
    canvas.finish()
}

fn tiles(
    Weight { entries, .. }: &Weight<'_>,
    outputs: usize,
    channels: usize,
    [height, width]: [usize; 2],
) -> Image {
    let across = outputs.isqrt() + usize::from(outputs.isqrt().pow(2) < outputs);
    let down = outputs.div_ceil(across);
    // An entry's width lies between tiles.
    let sides = [down * (height + 1) + 1, across * (width + 1) + 1];
    let square = enlarged(sides);
    let reach = reach(entries);
    let mut canvas = Canvas::new(sides[1] * square, sides[0] * square, BETWEEN);
    for output in 0..outputs {
        for pixel in 0..height * width {
            let value = |channel: usize| {
                let index = (output * channels + channel) * height * width + pixel;
                light(entries, index, reach).unwrap_or(127)
            };
            let color = match channels {
                3 => [0, 1, 2].map(value),
                _ => [value(0); 3],
            };
            let x = output % across * (width + 1) + 1 + pixel % width;
            let y = output / across * (height + 1) + 1 + pixel / width;
            canvas.fill([x * square, y * square], [square; 2], color);
        }
    }
    canvas.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gsb_packed::SignMatrix;

    #[test]
    fn every_bit_is_a_square() {
        let signs = SignMatrix::from_values(2, 3, &[1.0, -1.0, 0.0, -1.0, 1.0, 1.0]).unwrap();
        let weight = Weight {
            name: "w".into(),
            shape: vec![2, 3],
            bits: 1,
            entries: Entries::Signs(&signs),
        };
        let image = draw(&weight);
        let square = 1024 / 3;
        assert_eq!((image.width, image.height), (3 * square, 2 * square));
        for (index, color) in [[255; 3], [0; 3], ZERO, [0; 3], [255; 3], [255; 3]]
            .iter()
            .enumerate()
        {
            let (x, y) = (index % 3 * square, index / 3 * square);
            for pixel in [
                image.pixel(x, y),
                image.pixel(x + square - 1, y + square - 1),
            ] {
                assert_eq!(pixel, color);
            }
        }
        let long = SignMatrix::from_values(1, 2000, &vec![1.0; 2000]).unwrap();
        let weight = Weight {
            shape: vec![1, 2000],
            entries: Entries::Signs(&long),
            ..weight
        };
        assert_eq!(draw(&weight), Image::filled(2000, 1, &[255; 3]));
    }

    #[test]
    fn filters_are_tiles() {
        // Five filters of three channels and 1 x 2 pixels: three across, two down.
        let levels: Vec<i8> = (0..30)
            .map(|index| if index == 28 { -7 } else { index % 8 })
            .collect();
        let weight = Weight {
            name: "p".into(),
            shape: vec![5, 3, 1, 2],
            bits: 8,
            entries: Entries::Levels(&levels),
        };
        let image = draw(&weight);
        let square = 1024 / 10;
        assert_eq!((image.width, image.height), (10 * square, 5 * square));
        let entry = |x: usize, y: usize| image.pixel(x * square, y * square);
        let light = |level: i32| ((level + 7) * 255 / 14) as u8;
        assert_eq!(entry(0, 0), BETWEEN);
        assert_eq!(entry(1, 1), [light(0), light(2), light(4)]);
        assert_eq!(entry(2, 1), [light(1), light(3), light(5)]);
        // The fifth: levels 24, 26 and 28 of the list.
        assert_eq!(entry(4, 3), [light(0), light(2), light(-7)]);
        // The sixth is not there.
        assert_eq!(entry(7, 3), BETWEEN);
    }
}
