//! Pictures from files.

mod gif;
mod jpeg;
mod kind;
mod orientation;
mod planes;
mod raster;
mod tiff;

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek};
use std::path::Path;

pub use orientation::Orientation;

use self::kind::Kind;
use crate::{Error, Image};

/// The longest side that is read: as far as JPEG goes.
const MAX_SIDE: u32 = 65_535;
/// Bytes that the pixels of a picture may take, and those of a file.
const MAX_BYTES: u64 = 1 << 30;

/// Reads a JPEG, PNG, WebP, GIF, BMP, TIFF or PNM file, whatever its name says, as gray or RGB of
/// 8 bits.
///
/// Gray stays gray; everything else becomes RGB as by Pillow's `convert("RGB")`: a palette is
/// looked up, transparency is dropped, CMYK is converted without a profile. Of 16-bit values the
/// upper byte stays. Of an animation or of several pages the first is read. JPEG pixels are those
/// of libjpeg-turbo. The orientation that a camera noted is not applied, as torchvision does not.
///
/// # Errors
/// [`Error::Io`] if the file cannot be opened, [`Error::Picture`] if it is no picture, is of a kind
/// that is not read, is damaged or cut off, or has a side of more than 65,535 pixels or pixels of
/// more than 1 GiB.
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

/// Width and height of a picture as it is stored, by its header, without decoding it.
///
/// Some kilobytes of the file are read, and the last two bytes of a JPEG file; all of it only where
/// these are not the end of a JPEG stream. Of a TIFF file the directory is read, wherever it is.
///
/// # Errors
/// As [`read_image`] for what the header tells: a file that is empty or no picture, a kind that is
/// not read, a picture that is too large; and a JPEG file that is cut off. Damage further behind is
/// found when the picture is decoded.
pub fn image_size(path: &Path) -> Result<(usize, usize), Error> {
    let file = File::open(path).map_err(Error::io(path))?;
    if file.metadata().map_err(Error::io(path))?.is_dir() {
        let source = std::io::ErrorKind::IsADirectory.into();
        return Err(Error::io(path)(source));
    }
    size(BufReader::new(file)).map_err(problem(path))
}

fn size(mut reader: impl BufRead + Seek) -> Result<(usize, usize), String> {
    let mut start = Vec::new();
    let mut head = reader.by_ref().take(kind::START);
    head.read_to_end(&mut start).map_err(told)?;
    reader.rewind().map_err(told)?;
    let (width, height) = match kind::of(&start)? {
        Kind::Jpeg => jpeg::size(reader)?,
        Kind::Tiff => tiff::size(reader)?,
        Kind::Gif => gif::size(reader)?,
        Kind::Raster(format) => raster::size(reader, format)?,
    };
    Ok((width as usize, height as usize))
}

/// Decodes a picture in memory; errors call it by the name.
///
/// # Errors
/// [`Error::Picture`], as [`read_image`].
pub fn decode_image(bytes: &[u8], name: &Path, orientation: Orientation) -> Result<Image, Error> {
    decode(bytes, orientation).map_err(problem(name))
}

fn decode(bytes: &[u8], orientation: Orientation) -> Result<Image, String> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("it has more than {MAX_BYTES} bytes"));
    }
    let (image, turn) = match kind::of(bytes)? {
        Kind::Jpeg => jpeg::decode(bytes)?,
        Kind::Tiff => return tiff::decode(Cursor::new(bytes)),
        Kind::Gif => return gif::decode(bytes),
        Kind::Raster(format) => raster::decode(bytes, format)?,
    };
    Ok(match orientation {
        Orientation::Stored => image,
        Orientation::Upright => orientation::turned(image, turn),
    })
}

fn problem(path: &Path) -> impl FnOnce(String) -> Error {
    move |problem| Error::Picture {
        path: path.to_path_buf(),
        problem,
    }
}

/// What a decoder said: in its own words, unless it only missed bytes.
fn told(error: impl std::error::Error + 'static) -> String {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if inner
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::UnexpectedEof)
        {
            return "the file is cut off".into();
        }
        cause = inner.source();
    }
    error.to_string()
}

/// Refuses sizes that are not read; `bytes` is how many a pixel takes.
fn check_size(width: u32, height: u32, bytes: u64) -> Result<(), String> {
    if width == 0 || height == 0 {
        return Err(format!("it has {width}x{height} pixels"));
    }
    if width > MAX_SIDE || height > MAX_SIDE {
        return Err(format!(
            "it has {width}x{height} pixels, more than {MAX_SIDE} on a side"
        ));
    }
    if u64::from(width) * u64::from(height) * bytes > MAX_BYTES {
        return Err(format!(
            "it has {width}x{height} pixels, more than fit into {MAX_BYTES} bytes"
        ));
    }
    Ok(())
}

fn picture(width: u32, height: u32, channels: usize, pixels: Vec<u8>) -> Result<Image, String> {
    Image::new(width as usize, height as usize, channels, pixels).map_err(told)
}

/// RGB of a CMYK pixel, where 255 is full ink, as Pillow's `convert("RGB")`.
fn cmyk_to_rgb([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 3] {
    let light = u32::from(255 - black);
    [cyan, magenta, yellow].map(|ink| {
        // Rounded division by 255.
        let product = u32::from(ink) * light + 128;
        (light - (((product >> 8) + product) >> 8)) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inks_darken_what_black_leaves() {
        assert_eq!(cmyk_to_rgb([0, 0, 0, 0]), [255, 255, 255]);
        assert_eq!(cmyk_to_rgb([255, 0, 128, 0]), [0, 255, 127]);
        assert_eq!(cmyk_to_rgb([255, 100, 7, 255]), [0, 0, 0]);
        // Values of Pillow 13.
        assert_eq!(cmyk_to_rgb([10, 200, 90, 50]), [197, 44, 133]);
    }

    #[test]
    fn sizes_are_limited() {
        assert!(check_size(MAX_SIDE, 1, 3).is_ok());
        assert!(check_size(MAX_SIDE + 1, 1, 3).is_err());
        assert!(check_size(0, 5, 3).is_err());
        assert!(check_size(32_768, 32_768, 1).is_ok());
        assert!(check_size(32_768, 32_768, 3).is_err());
    }
}
