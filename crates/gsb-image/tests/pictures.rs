//! Pictures of every kind, whole and broken.

#[path = "support/png.rs"]
mod png;

use std::path::{Path, PathBuf};

use gsb_image::{Image, image_size, read_image};
use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, LumaA, Rgb, RgbImage, Rgba};
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};
use png::{encode, png};
use proptest::prelude::*;
use tempfile::tempdir;

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn decoded(bytes: &[u8]) -> Result<Image, String> {
    let folder = tempdir().unwrap();
    let path = write(folder.path(), "picture", bytes);
    read_image(&path).map_err(|error| {
        let text = error.to_string();
        assert!(text.starts_with(&path.display().to_string()), "{text}");
        text
    })
}

fn pixel(image: impl Into<DynamicImage>) -> Vec<u8> {
    decoded(&encode(&image.into())).unwrap().pixels
}

#[test]
fn every_kind_of_png_is_read() {
    assert_eq!(pixel(ImageBuffer::from_pixel(1, 1, Luma([9u8]))), [9]);
    assert_eq!(pixel(ImageBuffer::from_pixel(1, 1, LumaA([9u8, 3]))), [9]);
    assert_eq!(
        pixel(ImageBuffer::from_pixel(1, 1, Luma([0x1234u16]))),
        [0x12]
    );
    assert_eq!(
        pixel(ImageBuffer::from_pixel(1, 1, LumaA([0x12FFu16, 3]))),
        [0x12]
    );
    assert_eq!(
        pixel(ImageBuffer::from_pixel(1, 1, Rgb([1u8, 2, 3]))),
        [1, 2, 3]
    );
    // Transparency is dropped, not blended.
    assert_eq!(
        pixel(ImageBuffer::from_pixel(1, 1, Rgba([1u8, 2, 3, 0]))),
        [1, 2, 3]
    );
    let deep = ImageBuffer::from_pixel(1, 1, Rgb([0x1234u16, 0xFFFF, 0x00FF]));
    assert_eq!(pixel(deep), [0x12, 0xFF, 0]);
    let deep = ImageBuffer::from_pixel(1, 1, Rgba([0x1234u16, 0xFFFF, 0x00FF, 0]));
    assert_eq!(pixel(deep), [0x12, 0xFF, 0]);
}

/// A PNG file of chunks.
fn chunks(header: [u8; 13], others: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let header = (b"IHDR", header.to_vec());
    for (name, data) in std::iter::once(&header).chain(others) {
        bytes.extend((data.len() as u32).to_be_bytes());
        let mut crc = flate2::Crc::new();
        crc.update(*name);
        crc.update(data);
        bytes.extend(*name);
        bytes.extend(data);
        bytes.extend(crc.sum().to_be_bytes());
    }
    bytes
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Default::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn palettes_are_looked_up() {
    // Two pixels of 8-bit indices 1 and 0, the second colour being transparent.
    let header = [0, 0, 0, 2, 0, 0, 0, 1, 8, 3, 0, 0, 0];
    let file = chunks(
        header,
        &[
            (b"PLTE", vec![10, 20, 30, 40, 50, 60]),
            (b"tRNS", vec![255, 0]),
            (b"IDAT", zlib(&[0, 1, 0])),
            (b"IEND", vec![]),
        ],
    );
    assert_eq!(decoded(&file).unwrap().pixels, [40, 50, 60, 10, 20, 30]);
}

#[test]
fn a_header_does_not_make_memory() {
    // 2,000,000,000 pixels each way, and nothing else.
    let side = 2_000_000_000u32.to_be_bytes();
    let mut header = [0; 13];
    header[..4].copy_from_slice(&side);
    header[4..8].copy_from_slice(&side);
    header[8..10].copy_from_slice(&[8, 2]);
    let end = [(b"IDAT", zlib(&[0])), (b"IEND", vec![])];
    assert!(decoded(&chunks(header, &end)).is_err());
    // 60,000 pixels each way: allowed sides, but 10.8 GB.
    header[..4].copy_from_slice(&60_000u32.to_be_bytes());
    header[4..8].copy_from_slice(&60_000u32.to_be_bytes());
    assert!(decoded(&chunks(header, &end)).is_err());
    // The largest JPEG there can be, in a file of some hundred bytes.
    let mut file = cmyk_jpeg([0; 4]);
    let frame = file
        .windows(2)
        .position(|bytes| bytes == [0xFF, 0xC0])
        .unwrap();
    file[frame + 5..frame + 9].fill(0xFF);
    assert!(decoded(&file).is_err());
}

fn jpeg(image: &DynamicImage) -> Vec<u8> {
    let (format, sampling) = match image.color().channel_count() {
        1 => (PixelFormat::Grayscale, Subsampling::S444),
        _ => (PixelFormat::Rgb, Subsampling::S420),
    };
    let (width, height) = (image.width() as usize, image.height() as usize);
    compress(image.as_bytes(), width, height, format, 75, sampling).unwrap()
}

#[test]
fn gray_and_colour_jpegs_are_read() {
    let gray = decoded(&jpeg(&ImageBuffer::from_pixel(9, 9, Luma([100u8])).into())).unwrap();
    assert_eq!((gray.channels, gray.pixels[0]), (1, 100));
    let rgb = decoded(&jpeg(
        &RgbImage::from_pixel(9, 9, Rgb([200, 100, 50])).into(),
    ))
    .unwrap();
    assert_eq!(rgb.channels, 3);
    // Quantized colours: a few levels.
    for (value, expected) in rgb.pixels[..3].iter().zip([200u8, 100, 50]) {
        assert!(value.abs_diff(expected) <= 4, "{:?}", &rgb.pixels[..3]);
    }
}

/// A JPEG file of 8x8 pixels with four colour channels, each of one value, as Adobe writes CMYK:
/// inverted.
fn cmyk_jpeg(values: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![0xFF, 0xD8];
    let mut segment = |marker: u8, data: &[u8]| {
        bytes.extend([0xFF, marker]);
        bytes.extend((data.len() as u16 + 2).to_be_bytes());
        bytes.extend(data);
    };
    segment(0xEE, b"Adobe\0\x64\0\0\0\0\0");
    // Quantization by 8: the DC coefficient counts levels of the mean.
    segment(0xDB, &[&[0][..], &[8; 64]].concat());
    let components: Vec<u8> = (1..=4).flat_map(|id| [id, 0x11, 0]).collect();
    segment(0xC0, &[&[8, 0, 8, 0, 8, 4][..], &components].concat());
    // DC codes of four bits for the categories 0 to 8; AC: the end of a block is the bit 0.
    let mut dc = vec![0x00, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    dc.extend(0..9);
    segment(0xC4, &dc);
    segment(
        0xC4,
        &[0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    );
    let scan: Vec<u8> = (1..=4).flat_map(|id| [id, 0]).collect();
    segment(0xDA, &[&[4][..], &scan, &[0, 63, 0]].concat());
    let mut bits = String::new();
    for value in values {
        let level = i32::from(value) - 128;
        let category = 32 - level.unsigned_abs().leading_zeros();
        bits += &format!("{category:04b}");
        if category > 0 {
            let code = if level < 0 {
                level + (1 << category) - 1
            } else {
                level
            };
            bits += &format!("{code:0width$b}", width = category as usize);
        }
        bits += "0";
    }
    while !bits.len().is_multiple_of(8) {
        bits += "1";
    }
    for byte in bits.as_bytes().chunks(8) {
        let byte = u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap();
        bytes.push(byte);
        if byte == 0xFF {
            bytes.push(0);
        }
    }
    bytes.extend([0xFF, 0xD9]);
    bytes
}

#[test]
fn cmyk_jpegs_become_rgb() {
    // Inverted: 255 is no ink. No black ink: what is left of each ink is the colour.
    let image = decoded(&cmyk_jpeg([255, 255, 255, 255])).unwrap();
    assert_eq!((image.width, image.height, image.channels), (8, 8, 3));
    assert!(
        image.pixels.iter().all(|&v| v >= 254),
        "{:?}",
        image.pixel(0, 0)
    );
    let image = decoded(&cmyk_jpeg([200, 100, 50, 255])).unwrap();
    for (value, expected) in image.pixel(3, 3).iter().zip([200u8, 100, 50]) {
        assert!(value.abs_diff(expected) <= 2, "{:?}", image.pixel(3, 3));
    }
}

#[test]
fn what_is_no_picture_is_refused() {
    assert!(decoded(b"").unwrap_err().contains("0 bytes"));
    assert!(
        decoded(b"GIF89a")
            .unwrap_err()
            .contains("not a readable picture")
    );
    let whole = png(40, 40, [1, 2, 3]);
    for end in [8, 20, 40, whole.len() / 2] {
        assert!(decoded(&whole[..end]).is_err(), "{end} bytes");
    }
    let whole = jpeg(&RgbImage::from_fn(40, 40, |x, y| Rgb([x as u8, y as u8, 7])).into());
    for end in [2, 20, whole.len() / 2, whole.len() - 20, whole.len() - 2] {
        assert!(
            decoded(&whole[..end]).unwrap_err().contains("cut off"),
            "{end} bytes"
        );
    }
    let missing = read_image(Path::new("/nowhere/1.png"))
        .unwrap_err()
        .to_string();
    assert!(missing.starts_with("/nowhere/1.png: "), "{missing}");
    let folder = tempdir().unwrap();
    assert!(read_image(folder.path()).is_err());
}

#[test]
fn a_file_that_is_cut_off_is_told_so() {
    let photo = DynamicImage::from(RgbImage::from_fn(40, 30, |x, y| Rgb([x as u8, y as u8, 7])));
    for format in [
        ImageFormat::Png,
        ImageFormat::Bmp,
        ImageFormat::Pnm,
        ImageFormat::WebP,
    ] {
        let mut file = std::io::Cursor::new(Vec::new());
        photo.write_to(&mut file, format).unwrap();
        let file = file.into_inner();
        assert_eq!(
            decoded(&file).unwrap().pixels,
            photo.as_bytes(),
            "{format:?}"
        );
        for end in [file.len() / 2, file.len() - 9] {
            let error = decoded(&file[..end]).unwrap_err();
            assert!(error.contains("cut off"), "{format:?}: {error}");
        }
    }
}

#[test]
fn the_size_is_told_by_the_header() {
    let folder = tempdir().unwrap();
    let size = |name: &str, bytes: &[u8]| {
        let path = write(folder.path(), name, bytes);
        image_size(&path).map_err(|error| {
            let text = error.to_string();
            assert!(text.starts_with(&path.display().to_string()), "{text}");
            text
        })
    };
    // Not decoded: what is behind the header is not looked at.
    let mut file = png(40, 30, [1, 2, 3]);
    let data = file.windows(4).position(|name| name == b"IDAT").unwrap();
    file[data + 4..].fill(7);
    assert_eq!(size("damaged.png", &file), Ok((40, 30)));
    assert!(decoded(&file).is_err());
    let photo = RgbImage::from_fn(40, 30, |x, y| Rgb([x as u8, y as u8, 7]));
    let file = jpeg(&photo.into());
    assert_eq!(size("whole.jpg", &file), Ok((40, 30)));
    assert_eq!(
        size("trailing.jpg", &[&file[..], &[0; 99]].concat()),
        Ok((40, 30))
    );
    for end in [2, 20, file.len() / 2, file.len() - 2] {
        let error = size("short.jpg", &file[..end]).unwrap_err();
        assert!(error.contains("cut off"), "{error}");
    }
    assert!(size("empty.png", b"").unwrap_err().contains("0 bytes"));
    let error = size("page.jpg", b"<html><body>404</body></html>").unwrap_err();
    assert!(error.contains("web page"), "{error}");
    let error = size("wide.pgm", b"P5 70000 1 255\n").unwrap_err();
    assert!(
        error.contains("70000") || error.contains("limit"),
        "{error}"
    );
    assert!(size("none.pgm", b"P5 0 5 255\n").is_err());
    let error = size(
        "lfs.jpg",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
    )
    .unwrap_err();
    assert!(error.contains("git lfs pull"), "{error}");
    assert!(image_size(folder.path()).is_err());
    assert!(image_size(&folder.path().join("nowhere.png")).is_err());
}

#[test]
fn a_jpeg_has_a_bit_for_each_block() {
    // A claim of 60,000 times 5,000 pixels in a file of some hundred bytes takes no memory.
    let mut file = cmyk_jpeg([9; 4]);
    let frame = file
        .windows(2)
        .position(|bytes| bytes == [0xFF, 0xC0])
        .unwrap();
    file[frame + 5..frame + 9].copy_from_slice(&[0x13, 0x88, 0xEA, 0x60]);
    let error = decoded(&file).unwrap_err();
    assert!(error.contains("cannot hold 60000x5000 pixels"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damage_is_no_panic(place in any::<prop::sample::Index>(), value in any::<u8>()) {
        let photo = RgbImage::from_fn(20, 20, |x, y| Rgb([(x * 12) as u8, (y * 12) as u8, 7]));
        for mut bytes in [encode(&photo.clone().into()), jpeg(&photo.into()), cmyk_jpeg([9, 90, 180, 250])] {
            let place = place.index(bytes.len());
            bytes[place] = value;
            let _ = decoded(&bytes);
        }
    }
}
