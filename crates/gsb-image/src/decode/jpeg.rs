//! JPEG files, by `libjpeg-turbo-rs`, whose pixels are those of libjpeg-turbo.

mod damage;
mod planes;
mod segments;

use std::io::{BufRead, Cursor, Read, Seek, SeekFrom};

use image::metadata::Orientation as Turn;
use libjpeg_turbo_rs::{DecodeLimits, Decoder, PixelFormat};

use self::damage::check_damage;
use self::segments::{END, Header, check_end};
use super::limits::{MAX_BYTES, MAX_SIDE};
use super::orientation;
use super::problem::told;
use crate::Image;

/// Scans that are decoded: each costs time for all of the picture, however few bytes it has.
const MAX_SCANS: usize = 500;

/// Width and height by the header, of a file that has an end.
pub(super) fn size(mut reader: impl BufRead + Seek) -> Result<(u32, u32), String> {
    let header = Header::read(&mut reader)?;
    let len = reader.seek(SeekFrom::End(0)).map_err(told)?;
    header.check(len)?;
    let mut last = [0; 2];
    reader.seek(SeekFrom::End(-2)).map_err(told)?;
    reader.read_exact(&mut last).map_err(told)?;
    // Behind the end there may be more; then it has to be looked for.
    if last != [0xFF, END] {
        let mut bytes = Vec::new();
        reader.rewind().map_err(told)?;
        let mut whole = reader.take(MAX_BYTES);
        whole.read_to_end(&mut bytes).map_err(told)?;
        check_end(&bytes)?;
    }
    Ok((header.width, header.height))
}

/// The pixels, and how the camera says that they are to be turned.
pub(super) fn decode(bytes: &[u8]) -> Result<(Image, Turn), String> {
    let header = Header::read(&mut Cursor::new(bytes))?;
    check_end(bytes)?;
    header.check(bytes.len() as u64)?;
    let limits = DecodeLimits {
        max_width: MAX_SIDE as usize,
        max_height: MAX_SIDE as usize,
        max_pixels: MAX_BYTES,
        max_scans: MAX_SCANS,
        // Bounded by the size of the file.
        max_memory: None,
    };
    let mut decoder = Decoder::new_with_limits(bytes, limits).map_err(told)?;
    if !header.agrees(decoder.header()) {
        return Err("it has two frames".into());
    }
    // What libjpeg warns of comes back as warnings.
    decoder.set_lenient(true);
    // As libjpeg does by default where progressive scans leave coefficients out.
    decoder.set_block_smoothing(true);
    let turn = orientation::of_exif(decoder.exif_data());
    if !header.is_common() {
        return Ok((planes::decode(decoder, &header.sampling)?, turn));
    }
    let (format, channels) = match header.sampling.len() {
        1 => (PixelFormat::Grayscale, 1),
        _ => (PixelFormat::Rgb, 3),
    };
    decoder.set_output_format(format);
    let image = decoder.decode_image().map_err(told)?;
    check_damage(&image.warnings)?;
    let picture = Image::new(image.width, image.height, channels, image.data);
    Ok((picture.map_err(told)?, turn))
}
