//! Pictures from files.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::{DynamicImage, ImageReader, Limits};
use serde::{Deserialize, Serialize};

use crate::{Error, Image, jpeg};

/// The longest side that is read: as far as JPEG goes.
const MAX_SIDE: u32 = 65_535;
/// Bytes that decoding a picture may take.
const MAX_BYTES: u64 = 1 << 30;

/// Whether a picture is turned as its camera noted (EXIF orientation).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Orientation {
    /// As the pixels are stored, whatever the camera noted: what torchvision trains on.
    #[default]
    Stored,
    /// As people see it: turned and mirrored as the camera noted.
    Upright,
}

/// Reads a PNG or JPEG file, whatever its name says, as gray or RGB of 8 bits.
///
/// Gray stays gray; everything else becomes RGB as by Pillow's `convert("RGB")`: a palette is
/// looked up, transparency is dropped, CMYK is converted without a profile. Of 16-bit values the
/// upper byte stays. The orientation that a camera noted is not applied, as torchvision does not.
///
/// # Errors
/// [`Error::Io`] if the file cannot be opened, [`Error::Picture`] if it is no picture, is cut off,
/// or is larger than 65,535 pixels or 1 GiB.
pub fn read_image(path: &Path) -> Result<Image, Error> {
    read_image_as(path, Orientation::Stored)
}

/// Reads a picture in an orientation; otherwise as [`read_image`].
///
/// # Errors
/// As [`read_image`].
pub fn read_image_as(path: &Path, orientation: Orientation) -> Result<Image, Error> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::io(path))?;
    let mut start = file.take(MAX_BYTES + 1);
    start.read_to_end(&mut bytes).map_err(Error::io(path))?;
    decode_image(&bytes, path, orientation)
}

/// Width and height of a picture by its header, without decoding it.
///
/// # Errors
/// As [`read_image`], for what the header tells.
pub fn image_size(path: &Path) -> Result<(usize, usize), Error> {
    read_image(path).map(|image| (image.width, image.height))
}

/// Decodes a picture in memory; errors call it by the name.
///
/// # Errors
/// [`Error::Picture`], as [`read_image`].
pub fn decode_image(bytes: &[u8], name: &Path, _orientation: Orientation) -> Result<Image, Error> {
    let path = name;
    let picture = |problem: String| Error::Picture {
        path: path.to_path_buf(),
        problem,
    };
    if bytes.len() as u64 > MAX_BYTES {
        return Err(picture(format!("it has more than {MAX_BYTES} bytes")));
    }
    if jpeg::is_jpeg(bytes) && !jpeg::has_end(bytes) {
        return Err(picture("the JPEG file is cut off".into()));
    }
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(Error::io(path))?;
    if reader.format().is_none() {
        return Err(picture("expected a PNG or JPEG file".into()));
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let image = reader
        .decode()
        .map_err(|error| picture(error.to_string()))?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (channels, pixels) = match image {
        DynamicImage::ImageLuma8(gray) => (1, gray.into_raw()),
        DynamicImage::ImageLumaA8(gray) => (1, every(gray.as_raw(), 2, 1)),
        DynamicImage::ImageLuma16(gray) => (1, upper(gray.as_raw(), 1, 1)),
        DynamicImage::ImageLumaA16(gray) => (1, upper(gray.as_raw(), 2, 1)),
        DynamicImage::ImageRgb8(rgb) => (3, rgb.into_raw()),
        DynamicImage::ImageRgba8(rgba) => (3, every(rgba.as_raw(), 4, 3)),
        DynamicImage::ImageRgb16(rgb) => (3, upper(rgb.as_raw(), 3, 3)),
        DynamicImage::ImageRgba16(rgba) => (3, upper(rgba.as_raw(), 4, 3)),
        other => (3, other.into_rgb8().into_raw()),
    };
    Image::new(width, height, channels, pixels).map_err(|error| picture(error.to_string()))
}

/// The first `keep` of every `of` values.
fn every(values: &[u8], of: usize, keep: usize) -> Vec<u8> {
    let pixels = values.chunks_exact(of);
    pixels.flat_map(|pixel| &pixel[..keep]).copied().collect()
}

/// The upper bytes of the first `keep` of every `of` values.
fn upper(values: &[u16], of: usize, keep: usize) -> Vec<u8> {
    let pixels = values.chunks_exact(of);
    let kept = pixels.flat_map(|pixel| &pixel[..keep]);
    kept.map(|&value| (value >> 8) as u8).collect()
}
