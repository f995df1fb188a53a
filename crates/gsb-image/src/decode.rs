//! Pictures from files.

mod cmyk;
mod gif;
mod jpeg;
mod kind;
mod limits;
mod orientation;
mod problem;
mod raster;
mod tiff;

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek};
use std::path::Path;

pub use orientation::Orientation;

use self::kind::Kind;
use self::limits::MAX_BYTES;
use self::problem::told;
use crate::{Error, Image};

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

/// Width and height of a picture in memory, as [`image_size`]; errors call it by the name.
///
/// # Errors
/// [`Error::Picture`], as [`image_size`].
pub fn encoded_size(bytes: &[u8], name: &Path) -> Result<(usize, usize), Error> {
    size(Cursor::new(bytes)).map_err(problem(name))
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
