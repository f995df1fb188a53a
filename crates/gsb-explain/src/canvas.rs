//! What is drawn on, and its file.

use font8x8::UnicodeFonts;
use gsb_image::Image;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

/// A picture as a PNG file.
pub fn png(picture: &Image) -> Vec<u8> {
    let color = match picture.channels {
        1 => ExtendedColorType::L8,
        _ => ExtendedColorType::Rgb8,
    };
    let mut file = Vec::new();
    PngEncoder::new(&mut file)
        .write_image(
            &picture.pixels,
            picture.width as u32,
            picture.height as u32,
            color,
        )
        .expect("a picture has pixels of its shape, and memory takes them");
    file
}

/// A colour, red first.
pub type Color = [u8; 3];

/// Columns and rows of a letter.
pub const LETTER: usize = 8;

/// A picture that is being drawn.
pub struct Canvas(Image);

impl Canvas {
    /// An empty one.
    pub fn new(width: usize, height: usize, color: Color) -> Self {
        Self(Image::filled(width, height, &color))
    }

    /// A filled rectangle.
    pub fn fill(&mut self, [left, top]: [usize; 2], [width, height]: [usize; 2], color: Color) {
        for y in top..top + height {
            let start = 3 * (y * self.0.width + left);
            for pixel in self.0.pixels[start..start + 3 * width].as_chunks_mut().0 {
                *pixel = color;
            }
        }
    }

    /// A picture of three channels.
    pub fn paste(&mut self, [left, top]: [usize; 2], picture: &Image) {
        for (y, row) in picture.pixels.chunks(3 * picture.width).enumerate() {
            let start = 3 * ((top + y) * self.0.width + left);
            self.0.pixels[start..start + row.len()].copy_from_slice(row);
        }
    }

    /// A line of text, [`LETTER`] pixels for each letter.
    pub fn write(&mut self, [left, top]: [usize; 2], text: &str, color: Color) {
        for (index, letter) in text.chars().enumerate() {
            let rows = font8x8::BASIC_FONTS.get(letter).unwrap_or_default();
            for (y, row) in rows.into_iter().enumerate() {
                for x in (0..LETTER).filter(|x| row >> x & 1 == 1) {
                    self.fill([left + index * LETTER + x, top + y], [1, 1], color);
                }
            }
        }
    }

    /// What was drawn.
    pub fn finish(self) -> Image {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gsb_image::{Orientation, decode_image};

    #[test]
    fn what_is_drawn_is_in_the_file() {
        let mut canvas = Canvas::new(20, 10, [1, 2, 3]);
        canvas.fill([1, 1], [2, 3], [9, 9, 9]);
        canvas.write([4, 0], "1", [200, 0, 0]);
        let picture = canvas.finish();
        let read = decode_image(&png(&picture), "drawn".as_ref(), Orientation::Stored).unwrap();
        assert_eq!(read, picture);
        assert_eq!(
            (picture.pixel(2, 3), picture.pixel(3, 3)),
            (&[9; 3][..], &[1, 2, 3][..])
        );
        let written = (0..200).filter(|at| picture.pixel(at % 20, at / 20) == [200, 0, 0]);
        assert!(written.clone().all(|at| (4..12).contains(&(at % 20))));
        assert!(written.count() > 8);
        let gray = Image::filled(3, 2, &[7]);
        let read = decode_image(&png(&gray), "gray".as_ref(), Orientation::Stored).unwrap();
        assert_eq!(read, gray);
    }
}
