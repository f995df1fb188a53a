//! What the `image` crate decodes: PNG, WebP, BMP and PNM.

use std::io::{BufRead, Cursor, Seek, SeekFrom};

use image::codecs::bmp::BmpDecoder;
use image::metadata::Orientation as Turn;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::kind::Raster;
use super::limits::{MAX_BYTES, MAX_SIDE, check_size};
use super::orientation;
use super::problem::told;
use crate::Image;

/// What a PNG file may take beside its pixels, which its decoder does not count. A compressed colour profile, which is of no
/// use here, is inflated to as much as that before anything is known of the picture.
const PNG_MEMORY: u64 = 32 << 20;

/// Width and height by the header.
pub(super) fn size(reader: impl BufRead + Seek, kind: Raster) -> Result<(u32, u32), String> {
    Ok(decoder(reader, kind)?.dimensions())
}

/// The pixels, and how the camera says that they are to be turned.
pub(super) fn decode(bytes: &[u8], kind: Raster) -> Result<(Image, Turn), String> {
    let decoder = decoder(Cursor::new(bytes), kind)?;
    let exif = match kind {
        Raster::Format(ImageFormat::Png) => png_exif(bytes),
        Raster::Format(ImageFormat::WebP) => webp_exif(bytes),
        _ => None,
    };
    let image = DynamicImage::from_decoder(decoder).map_err(problem)?;
    Ok((eight_bits(image)?, orientation::of_exif(exif)))
}

fn decoder<'a>(
    mut reader: impl BufRead + Seek + 'a,
    kind: Raster,
) -> Result<Box<dyn ImageDecoder + 'a>, String> {
    if kind == Raster::Format(ImageFormat::WebP) {
        check_riff(&mut reader)?;
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(match kind {
        Raster::Format(ImageFormat::Png) => PNG_MEMORY,
        _ => MAX_BYTES,
    });
    let decoder: Box<dyn ImageDecoder> = match kind {
        Raster::Format(format) => {
            let mut reader = ImageReader::with_format(reader, format);
            reader.limits(limits);
            Box::new(reader.into_decoder().map_err(problem)?)
        }
        Raster::Dib => {
            let mut decoder = BmpDecoder::new_without_file_header(reader).map_err(problem)?;
            decoder.set_limits(limits).map_err(problem)?;
            Box::new(decoder)
        }
    };
    let (width, height) = decoder.dimensions();
    let bytes = decoder.color_type().bytes_per_pixel();
    check_size(width, height, bytes.into())?;
    Ok(decoder)
}

fn problem(error: ImageError) -> String {
    match error {
        ImageError::IoError(error) => told(error),
        error => told(error),
    }
}

/// Refuses a WebP file that is cut off, which the decoder would fill up.
fn check_riff(reader: &mut (impl BufRead + Seek)) -> Result<(), String> {
    let mut head = [0; 8];
    reader.read_exact(&mut head).map_err(told)?;
    let claimed = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    let len = reader.seek(SeekFrom::End(0)).map_err(told)?;
    if len < u64::from(claimed) + head.len() as u64 {
        return Err("the file is cut off".into());
    }
    reader.rewind().map_err(told)
}

/// The EXIF chunk of a PNG file, which may also stand behind the pixels.
fn png_exif(bytes: &[u8]) -> Option<&[u8]> {
    let mut chunks = bytes.get(8..)?;
    loop {
        let (&length, rest) = chunks.split_first_chunk()?;
        let (name, rest) = rest.split_first_chunk::<4>()?;
        let (data, rest) = rest.split_at_checked(u32::from_be_bytes(length) as usize)?;
        if name == b"eXIf" {
            return Some(data);
        }
        // Behind the data is a checksum.
        chunks = rest.get(4..)?;
    }
}

/// The EXIF chunk of a WebP file. The decoder would take memory for whatever size it claims.
fn webp_exif(bytes: &[u8]) -> Option<&[u8]> {
    let mut chunks = bytes.get(12..)?;
    loop {
        let (name, rest) = chunks.split_first_chunk::<4>()?;
        let (&length, rest) = rest.split_first_chunk()?;
        let length = u32::from_le_bytes(length) as usize;
        if name == b"EXIF" {
            // Some programs write the name of the JPEG segment first.
            let data = rest.get(..length)?;
            return Some(data.strip_prefix(b"Exif\0\0").unwrap_or(data));
        }
        // Data of an odd length are filled up.
        chunks = rest.get(length..)?.get(length % 2..)?;
    }
}

/// Gray or RGB of 8 bits: transparency is dropped, and of 16 bits the lower 8.
fn eight_bits(image: DynamicImage) -> Result<Image, String> {
    let (width, height) = (image.width(), image.height());
    let (channels, pixels) = match image {
        DynamicImage::ImageLuma8(gray) => (1, gray.into_raw()),
        DynamicImage::ImageLumaA8(gray) => (1, every(gray.as_raw(), 2, 1)),
        DynamicImage::ImageLuma16(gray) => (1, upper(gray.as_raw(), 1, 1)),
        DynamicImage::ImageLumaA16(gray) => (1, upper(gray.as_raw(), 2, 1)),
        DynamicImage::ImageRgb8(rgb) => (3, rgb.into_raw()),
        DynamicImage::ImageRgba8(rgba) => (3, every(rgba.as_raw(), 4, 3)),
        DynamicImage::ImageRgb16(rgb) => (3, upper(rgb.as_raw(), 3, 3)),
        DynamicImage::ImageRgba16(rgba) => (3, upper(rgba.as_raw(), 4, 3)),
        // Floating point, in none of these formats.
        other => (3, other.into_rgb8().into_raw()),
    };
    Image::new(width as usize, height as usize, channels, pixels).map_err(told)
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
