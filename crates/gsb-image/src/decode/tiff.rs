//! TIFF files, by the `tiff` crate.
//!
//! Not by way of the `image` crate, which then decodes JPEG data inside with a decoder that panics
//! on damaged data and is wrong for some whole ones. Such files are refused.

use std::io::{Read, Seek};

use image::metadata::Orientation as Turn;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::{CompressionMethod, PhotometricInterpretation, Tag};
use tiff::{ColorType, TiffError};

use super::cmyk::cmyk_to_rgb;
use super::limits::{MAX_BYTES, check_size};
use super::orientation::turned;
use super::problem::told;
use crate::Image;

/// Width and height as the picture is shown, by the directory.
pub(super) fn size(reader: impl Read + Seek) -> Result<(u32, u32), String> {
    let mut decoder = open(reader)?;
    let (width, height) = decoder.dimensions().map_err(problem)?;
    Ok(match turn(&mut decoder) {
        Turn::Rotate90 | Turn::Rotate270 | Turn::Rotate90FlipH | Turn::Rotate270FlipH => {
            (height, width)
        }
        _ => (width, height),
    })
}

/// The pixels of the first page.
///
/// Its orientation tag says how rows and columns lie in the file. Pillow obeys it when it loads, so
/// that torchvision sees the picture as people do.
pub(super) fn decode(reader: impl Read + Seek) -> Result<Image, String> {
    let mut decoder = open(reader)?;
    let (width, height) = decoder.dimensions().map_err(problem)?;
    let color = decoder.colortype().map_err(problem)?;
    let turn = turn(&mut decoder);
    let mut buffer = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut buffer).map_err(problem)?;
    let values = match buffer {
        DecodingResult::U8(values) => unpacked(values, width as usize, color),
        DecodingResult::U16(values) => values.iter().map(|&value| (value >> 8) as u8).collect(),
        _ => return Err(unsupported(color)),
    };
    let pixels = width as usize * height as usize;
    let samples = usize::from(color.num_samples());
    // Interleaved, or a plane after the other.
    let (step, jump) = match layout.planes {
        0 | 1 => (samples, 1),
        _ => (1, pixels),
    };
    if values.len() < pixels * samples {
        return Err("the file is cut off".into());
    }
    let sample = |pixel: usize, which: usize| values[pixel * step + which * jump];
    let channels = if gray(color) { 1 } else { 3 };
    let mut image = Vec::with_capacity(pixels * channels);
    for pixel in 0..pixels {
        match color {
            ColorType::CMYK(_) => {
                image.extend(cmyk_to_rgb([0, 1, 2, 3].map(|which| sample(pixel, which))));
            }
            _ => image.extend((0..channels).map(|which| sample(pixel, which))),
        }
    }
    let image = Image::new(width as usize, height as usize, channels, image).map_err(told)?;
    Ok(turned(image, turn))
}

/// A decoder at the first page, whose directory says that it can be read.
fn open<R: Read + Seek>(reader: R) -> Result<Decoder<R>, String> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = MAX_BYTES as usize;
    limits.intermediate_buffer_size = MAX_BYTES as usize;
    let mut decoder = Decoder::new(reader).map_err(problem)?.with_limits(limits);
    let (width, height) = decoder.dimensions().map_err(problem)?;
    let tag =
        |decoder: &mut Decoder<R>, tag| decoder.find_tag_unsigned::<u16>(tag).map_err(problem);
    let photometric = tag(&mut decoder, Tag::PhotometricInterpretation)?;
    if photometric == Some(PhotometricInterpretation::RGBPalette.to_u16()) {
        return Err("it is a TIFF with a palette: convert it to PNG".into());
    }
    let compression =
        tag(&mut decoder, Tag::Compression)?.map(CompressionMethod::from_u16_exhaustive);
    if let Some(method @ (CompressionMethod::JPEG | CompressionMethod::ModernJPEG)) = compression {
        return Err(format!(
            "it is a TIFF with JPEG data inside (compression {}): convert it to PNG",
            method.to_u16()
        ));
    }
    let color = decoder.colortype().map_err(problem)?;
    let readable = match color {
        ColorType::Gray(bits) => matches!(bits, 1 | 2 | 4 | 8 | 16),
        ColorType::RGB(bits) | ColorType::RGBA(bits) | ColorType::CMYK(bits) => {
            matches!(bits, 8 | 16)
        }
        _ => gray(color) && matches!(color.bit_depth(), 8 | 16),
    };
    let formats = decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat);
    let unsigned = formats
        .map_err(problem)?
        .is_none_or(|all| all.iter().all(|&v| v == 1));
    if !readable || !unsigned {
        return Err(unsupported(color));
    }
    let bytes = u64::from(color.num_samples()) * u64::from(color.bit_depth().div_ceil(8));
    check_size(width, height, bytes.max(3))?;
    Ok(decoder)
}

/// What the decoder said.
fn problem(error: TiffError) -> String {
    match error {
        TiffError::UnsupportedError(_) => format!("{error}: convert it to PNG"),
        _ => told(error),
    }
}

fn unsupported(color: ColorType) -> String {
    format!("it is a TIFF of a kind that is not read ({color:?}): convert it to PNG")
}

/// Gray with any number of further channels, such as transparency.
fn gray(color: ColorType) -> bool {
    matches!(
        color,
        ColorType::Gray(_) | ColorType::GrayA(_) | ColorType::Multiband { num_samples: 2, .. }
    )
}

fn turn<R: Read + Seek>(decoder: &mut Decoder<R>) -> Turn {
    let value = decoder.find_tag_unsigned::<u8>(Tag::Orientation);
    let turn = value.ok().flatten().and_then(Turn::from_exif);
    turn.unwrap_or(Turn::NoTransforms)
}

/// One value a byte, from 0 to 255, of rows that are filled up to whole bytes.
fn unpacked(packed: Vec<u8>, width: usize, color: ColorType) -> Vec<u8> {
    let ColorType::Gray(bits @ (1 | 2 | 4)) = color else {
        return packed;
    };
    let bits = usize::from(bits);
    let largest = (1u8 << bits) - 1;
    let mut values = Vec::with_capacity(packed.len() * 8 / bits);
    for row in packed.chunks_exact((width * bits).div_ceil(8)) {
        values.extend((0..width).map(|x| {
            let shift = 8 - bits - x * bits % 8;
            (row[x * bits / 8] >> shift & largest) * (255 / largest)
        }));
    }
    values
}
