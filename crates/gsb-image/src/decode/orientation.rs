//! Pictures turned as a camera noted.

use image::metadata::Orientation as Turn;
use image::{DynamicImage, GrayImage, RgbImage};
use serde::{Deserialize, Serialize};

use crate::Image;

/// Whether a picture is turned as its camera noted (EXIF orientation).
///
/// A note that is damaged or makes no sense turns nothing. The tag of a TIFF file itself says how
/// its rows lie, and is always obeyed, as by Pillow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Orientation {
    /// As the pixels are stored, whatever the camera noted: what torchvision trains on.
    #[default]
    Stored,
    /// As people see it: turned and mirrored as the camera noted.
    Upright,
}

/// What an EXIF segment, from its TIFF header on, says about the orientation.
pub(super) fn of_exif(exif: Option<&[u8]>) -> Turn {
    exif.and_then(Turn::from_exif_chunk)
        .unwrap_or(Turn::NoTransforms)
}

/// A picture turned.
pub(super) fn turned(image: Image, turn: Turn) -> Image {
    if turn == Turn::NoTransforms {
        return image;
    }
    let (width, height) = (image.width as u32, image.height as u32);
    let sized = "a picture holds the pixels of its shape";
    let mut pixels = match image.channels {
        1 => DynamicImage::from(GrayImage::from_raw(width, height, image.pixels).expect(sized)),
        _ => DynamicImage::from(RgbImage::from_raw(width, height, image.pixels).expect(sized)),
    };
    pixels.apply_orientation(turn);
    Image {
        width: pixels.width() as usize,
        height: pixels.height() as usize,
        channels: image.channels,
        pixels: pixels.into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_eight_orientations_are_applied() {
        // By the EXIF standard: where the first row and the first column of the file belong.
        let stored = Image::new(3, 2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
        for (value, width, expected) in [
            (1, 3, [1, 2, 3, 4, 5, 6]),
            (2, 3, [3, 2, 1, 6, 5, 4]),
            (3, 3, [6, 5, 4, 3, 2, 1]),
            (4, 3, [4, 5, 6, 1, 2, 3]),
            (5, 2, [1, 4, 2, 5, 3, 6]),
            (6, 2, [4, 1, 5, 2, 6, 3]),
            (7, 2, [6, 3, 5, 2, 4, 1]),
            (8, 2, [3, 6, 2, 5, 1, 4]),
        ] {
            let turn = Turn::from_exif(value).unwrap();
            let image = turned(stored.clone(), turn);
            assert_eq!((image.width, &image.pixels[..]), (width, &expected[..]));
            let rgb = turned(stored.to_channels(3).into_owned(), turn);
            assert_eq!(rgb, image.to_channels(3).into_owned());
        }
    }

    #[test]
    fn damaged_exif_turns_nothing() {
        let whole = [
            b"II*\0".as_slice(),
            &[8, 0, 0, 0, 1, 0],
            &[0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0],
        ]
        .concat();
        assert_eq!(of_exif(Some(&whole)), Turn::Rotate90);
        assert_eq!(of_exif(None), Turn::NoTransforms);
        for end in 0..20 {
            assert_eq!(of_exif(Some(&whole[..end])), Turn::NoTransforms, "{end}");
        }
        for (place, value) in [(0, b'x'), (4, 200), (18, 0), (18, 9), (12, 4)] {
            let mut damaged = whole.clone();
            damaged[place] = value;
            assert_eq!(of_exif(Some(&damaged)), Turn::NoTransforms, "{place}");
        }
    }
}
