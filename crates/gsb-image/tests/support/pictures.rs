//! Pictures of every kind, with what Pillow makes of them: `tests/data/pictures.safetensors`.
#![allow(dead_code, reason = "each test program uses its own part")]

use safetensors::SafeTensors;

/// The bundle.
pub fn bundle() -> SafeTensors<'static> {
    let bytes = include_bytes!("../data/pictures.safetensors");
    SafeTensors::deserialize(bytes).expect("the bundle is whole")
}

/// Names and bytes of the files in it, in order of their names.
pub fn files<'a>(bundle: &SafeTensors<'a>) -> Vec<(String, &'a [u8])> {
    let mut files: Vec<_> = bundle
        .tensors()
        .into_iter()
        .filter_map(|(name, tensor)| Some((name.strip_suffix("/file")?.to_owned(), tensor.data())))
        .collect();
    files.sort();
    files
}

/// Bytes that decoding a file may take.
///
/// Each block of 64 samples of a JPEG file takes a bit at least, and a pixel up to 15 bytes: three
/// samples, coefficients of 16 bits, the result, and intermediates of the decoder. Other formats may
/// say much with few bytes, and have the limit of the pixels, 1 GiB, twice: as they are decoded and
/// as they are returned.
pub fn most_bytes(file: &[u8]) -> usize {
    let constant = 4 << 20;
    match file.starts_with(b"\xFF\xD8") {
        true => constant + 8 * 64 * 15 * file.len(),
        false => constant + 2 * (1 << 30),
    }
}
