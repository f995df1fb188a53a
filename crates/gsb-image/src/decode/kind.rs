//! What a file is, by its first bytes.

use image::ImageFormat;

/// Bytes that tell what a file is.
pub(super) const START: u64 = 1024;

/// What reads a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Jpeg,
    Tiff,
    Gif,
    Raster(Raster),
}

/// What the `image` crate reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Raster {
    Format(ImageFormat),
    /// A BMP file without its file header, as Windows keeps it in its clipboard.
    Dib,
}

/// What reads a picture that starts with these bytes; an error names what is not read.
pub(super) fn of(bytes: &[u8]) -> Result<Kind, String> {
    let start = &bytes[..bytes.len().min(START as usize)];
    if start.is_empty() {
        return Err("the file is empty (0 bytes)".into());
    }
    if start.starts_with(b"\xFF\xD8") {
        return Ok(Kind::Jpeg);
    }
    if [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"]
        .iter()
        .any(|magic| start.starts_with(*magic))
    {
        return Ok(Kind::Tiff);
    }
    match image::guess_format(start) {
        Ok(ImageFormat::Gif) => Ok(Kind::Gif),
        Ok(
            format @ (ImageFormat::Png | ImageFormat::WebP | ImageFormat::Bmp | ImageFormat::Pnm),
        ) => Ok(Kind::Raster(Raster::Format(format))),
        _ if is_dib(start) => Ok(Kind::Raster(Raster::Dib)),
        _ => Err(unreadable(start)),
    }
}

/// Whether these are a header of 40, 108 or 124 bytes of a BMP file: its size, a width and a height,
/// one plane, and bits of a pixel.
fn is_dib(start: &[u8]) -> bool {
    let sizes = [[40, 0, 0, 0], [108, 0, 0, 0], [124, 0, 0, 0]];
    sizes.iter().any(|size| start.starts_with(size))
        && start.get(12..14) == Some(&[1, 0])
        && matches!(start.get(14..16), Some([1 | 4 | 8 | 16 | 24 | 32, 0]))
}

/// Starts of files that people take for pictures, and what they are.
const UNREADABLE: &[(&[u8], &str)] = &[
    (b"\xFF\x0A", "a JPEG XL picture"),
    (b"\0\0\0\x0CJXL \r\n\x87\n", "a JPEG XL picture"),
    (b"\0\0\0\x0CjP  \r\n\x87\n", "a JPEG 2000 picture"),
    (b"\xFF\x4F\xFF\x51", "a JPEG 2000 picture"),
    (b"8BPS", "a Photoshop picture (PSD)"),
    (b"gimp xcf", "a GIMP picture (XCF)"),
    (b"\0\0\x01\0", "an icon (ICO)"),
    (b"v/1\x01", "an OpenEXR picture"),
    (b"DDS ", "a DDS texture"),
    (b"#?RADIANCE", "a Radiance HDR picture"),
    (b"qoif", "a QOI picture"),
    (b"farbfeld", "a farbfeld picture"),
    (b"%PDF-", "a PDF document"),
    (b"%!PS", "a PostScript document"),
];

/// The same for what no conversion makes a picture of.
const NO_PICTURE: &[(&[u8], &str)] = &[
    (
        b"version https://git-lfs",
        "a Git LFS pointer, not the picture: run `git lfs pull`",
    ),
    (
        b"\0\x05\x16\x07",
        "an AppleDouble file, which macOS writes beside the picture",
    ),
    (b"\x93NUMPY", "a NumPy array"),
    (b"PK\x03\x04", "a ZIP archive: unpack it"),
    (b"\x1F\x8B", "a gzip file: unpack it"),
    (b"\x1A\x45\xDF\xA3", "a Matroska or WebM video"),
];

fn unreadable(start: &[u8]) -> String {
    let known = |table: &[(&[u8], &'static str)]| {
        let found = table.iter().find(|(magic, _)| start.starts_with(magic));
        found.map(|&(_, name)| name)
    };
    if let Some(name) = iso_media(start).or_else(|| known(UNREADABLE)) {
        return format!("it is {name}: convert it to PNG or JPEG");
    }
    if let Some(name) = known(NO_PICTURE) {
        return format!("it is {name}");
    }
    if let Some(brand) = ftyp(start) {
        let brand = String::from_utf8_lossy(brand);
        return format!("it is a video (MP4 or QuickTime, brand {brand:?})");
    }
    if start.get(128..132) == Some(b"DICM") {
        return "it is a DICOM file: convert it to PNG or JPEG".into();
    }
    if start.iter().all(|&byte| byte == 0) {
        return "it begins with zeros: an interrupted copy or download?".into();
    }
    text(start).unwrap_or_else(|| "expected JPEG, PNG, WebP, GIF, BMP, TIFF or PNM data".into())
}

/// The brand of a file of the ISO base media format.
fn ftyp(start: &[u8]) -> Option<&[u8]> {
    (start.get(4..8)? == b"ftyp").then(|| start.get(8..12))?
}

/// What picture is in a file of the ISO base media format.
fn iso_media(start: &[u8]) -> Option<&'static str> {
    let brand = ftyp(start)?;
    let length = u32::from_be_bytes(*start.first_chunk()?) as usize;
    // A brand of pictures in general is followed by those of the kinds it agrees with.
    let others = start.get(16..length.min(start.len())).unwrap_or_default();
    let brands = || std::iter::once(brand).chain(others.chunks_exact(4));
    let avif = brands().any(|brand| brand == b"avif" || brand == b"avis");
    let heif = [
        b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1",
    ];
    if avif {
        Some("an AVIF picture")
    } else if heif.iter().any(|known| brand == *known) {
        Some("a HEIC picture")
    } else if brand == b"crx " {
        Some("a raw picture (CR3)")
    } else {
        None
    }
}

/// What a file of text is.
fn text(start: &[u8]) -> Option<String> {
    // The end may lie within a character.
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let binary = |c: char| c.is_control() && !c.is_whitespace();
    if text.contains(binary) {
        return None;
    }
    let text = text.trim_start_matches('\u{FEFF}').trim_start();
    let lower = text.to_ascii_lowercase();
    Some(if lower.contains("<svg") {
        "it is an SVG drawing: convert it to PNG or JPEG".into()
    } else if lower.starts_with("<!doctype html") || lower.contains("<html") {
        "it is a web page (HTML): a download that failed?".into()
    } else {
        let line = text.lines().next().unwrap_or_default();
        let line: String = line.chars().take(40).collect();
        format!("it is text that begins with {line:?}: a download that failed?")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_read_is_named() {
        for (start, name) in [
            (&b""[..], "0 bytes"),
            (
                b"\0\0\0\x20ftypavif\0\0\0\0avifmif1",
                "an AVIF picture: convert it",
            ),
            (b"\0\0\0\x1Cftypmif1\0\0\0\0mif1avifmiaf", "an AVIF picture"),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC picture"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "a HEIC picture"),
            (b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2", "a video"),
            (b"\0\0\0\x0CJXL \r\n\x87\n\0", "a JPEG XL picture"),
            (b"\xFF\x0A\x10", "a JPEG XL picture"),
            (b"\0\0\0\x0CjP  \r\n\x87\n\0", "a JPEG 2000 picture"),
            (b"8BPS\0\x01", "a Photoshop picture"),
            (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
            (b"<?xml version=\"1.0\"?>\n<svg>", "an SVG drawing"),
            (b"\n<!DOCTYPE HTML><html>", "a web page"),
            (b"{\"error\": 404}", "text that begins with \"{\\\"error"),
            ("Gr\u{00FC}\u{00DF}e".as_bytes(), "text that begins"),
            (b"Gr\xC3", "text that begins"),
            (&[0; 40], "begins with zeros"),
            (b"PK\x03\x04\x14", "a ZIP archive"),
            (b"RIFF\0\0\0\0WAVE", "expected JPEG"),
            (b"\x01\x02\x03", "expected JPEG"),
        ] {
            let error = of(start).unwrap_err();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn what_is_read_is_known_by_its_bytes() {
        let format = |format| Kind::Raster(Raster::Format(format));
        for (start, kind) in [
            (&b"\xFF\xD8\xFF\xE0"[..], Kind::Jpeg),
            (b"II*\0", Kind::Tiff),
            (b"MM\0+", Kind::Tiff),
            (b"\x89PNG\r\n\x1a\n", format(ImageFormat::Png)),
            (b"GIF89a", Kind::Gif),
            (b"BM", format(ImageFormat::Bmp)),
            (b"RIFF\0\0\0\0WEBP", format(ImageFormat::WebP)),
            (
                b"\x28\0\0\0\x07\0\0\0\x03\0\0\0\x01\0\x18\0",
                Kind::Raster(Raster::Dib),
            ),
            (b"P6\n1 1 255\n", format(ImageFormat::Pnm)),
        ] {
            assert_eq!(of(start), Ok(kind));
        }
    }
}
