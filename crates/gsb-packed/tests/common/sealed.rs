//! The checksum of a packed file, from its description alone.
#![allow(dead_code)] // Not every crate that includes this file looks at all of it.

/// What a file with a checksum begins with, after the length of its header.
const START: &[u8] = b"{\"__metadata__\":{\"checksum\":\"";

/// Gives bytes that begin as a file does the checksum of what they are now.
pub fn seal(bytes: &mut [u8]) {
    let (start, end) = (8 + START.len(), 16 + START.len());
    if bytes.len() >= end && bytes[8..start] == *START {
        bytes[start..end].fill(b'0');
        let digits = format!("{:08x}", crc32fast::hash(bytes));
        bytes[start..end].copy_from_slice(digits.as_bytes());
    }
}

/// The same file in version 1 of the format, which has no checksum.
pub fn unsealed(bytes: &[u8]) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    let (header, data) = bytes[8..].split_at(length);
    let entry = START.len() - "\"checksum\":\"".len();
    let text = std::str::from_utf8(header).expect("JSON");
    let text = text[..entry].to_string() + &text[START.len() + "00000000\",".len()..];
    let mut text = text.replace("\"version\":\"2\"", "\"version\":\"1\"");
    while !text.len().is_multiple_of(8) {
        text.push(' ');
    }
    let length = (text.len() as u64).to_le_bytes();
    [&length, text.as_bytes(), data].concat()
}
