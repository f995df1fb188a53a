//! Files in the official formats, written by the tests.
#![allow(dead_code, reason = "each test program uses its own part")]

#[path = "../../../gsb-image/tests/support/png.rs"]
mod png;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
pub use png::png;

pub fn write(root: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An IDX file of bytes.
pub fn idx(magic: u32, sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let words = std::iter::once(&magic).chain(sizes);
    let mut bytes: Vec<u8> = words.flat_map(|word| word.to_be_bytes()).collect();
    bytes.extend_from_slice(values);
    bytes
}

/// The kinds of numbers in a MATLAB file: its code, its class, and how a value is stored.
#[derive(Clone, Copy)]
pub enum Kind {
    UInt8,
    UInt16,
    Double,
}

/// A MATLAB 5 file of arrays of one row, each compressed, as MATLAB writes them.
pub fn mat(arrays: &[(&str, &[u16], Kind)]) -> Vec<u8> {
    let mut bytes = format!("{:<124}", "MATLAB 5.0 MAT-file, written by a test").into_bytes();
    bytes.extend(0x0100_u16.to_le_bytes());
    bytes.extend(b"IM");
    for (name, values, kind) in arrays {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&matrix(name, values, *kind)).unwrap();
        let compressed = encoder.finish().unwrap();
        bytes.extend(15u32.to_le_bytes());
        bytes.extend((compressed.len() as u32).to_le_bytes());
        bytes.extend(compressed);
    }
    bytes
}

fn matrix(name: &str, values: &[u16], kind: Kind) -> Vec<u8> {
    let (class, code, data): (u32, u32, Vec<u8>) = match kind {
        Kind::UInt8 => (9, 2, values.iter().map(|&v| v as u8).collect()),
        Kind::UInt16 => (11, 4, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        Kind::Double => {
            let numbers = values.iter().flat_map(|&v| f64::from(v).to_le_bytes());
            (6, 9, numbers.collect())
        }
    };
    let mut body = Vec::new();
    element(&mut body, 6, &[class.to_le_bytes(), [0; 4]].concat());
    element(
        &mut body,
        5,
        &[1i32.to_le_bytes(), (values.len() as i32).to_le_bytes()].concat(),
    );
    element(&mut body, 1, name.as_bytes());
    element(&mut body, code, &data);
    let mut bytes = Vec::new();
    element(&mut bytes, 14, &body);
    bytes
}

/// A code, a length and bytes, filled up to eight.
fn element(target: &mut Vec<u8>, code: u32, bytes: &[u8]) {
    target.extend(code.to_le_bytes());
    target.extend((bytes.len() as u32).to_le_bytes());
    target.extend_from_slice(bytes);
    target.resize(target.len().next_multiple_of(8), 0);
}
