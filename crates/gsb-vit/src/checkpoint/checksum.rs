//! Checksums of the files written here: CRC-32 of all bytes, the eight digits themselves taken as zeros.
//!
//! A second entry says that there is one, so that a file whose checksum cannot be found any more is not
//! taken for one from before there were any.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use crc32fast::Hasher;
use serde_json::Value;

/// The entry of the checksum.
pub(super) const CHECKSUM: &str = "gsb.checksum";
/// The entry that says that there is one.
pub(super) const FORMAT: &str = "gsb.format";
/// What it says.
pub(super) const SEALED: &str = "2";
/// What stands for the digits until they are known.
pub(super) const UNKNOWN: &str = "00000000";

/// What is wrong with a damaged file.
pub(super) const DAMAGED: &str = "it is damaged, its contents do not match its checksum: copy it again \
                                  from where it was whole, or make it again";

/// Puts the checksum in its place, which follows on `before` in the head of the file.
///
/// # Panics
/// If there is no such place.
pub(super) fn seal(bytes: &mut [u8], head: usize, before: &[u8]) {
    let place = digits(bytes, head, before).expect("the entry was just written");
    let sum = sum(bytes, &place);
    bytes[place].copy_from_slice(sum.as_bytes());
}

/// Whether the checksum is that of the bytes, if there is one.
pub(super) fn is_right(bytes: &[u8], head: usize, before: &[u8]) -> Option<bool> {
    let place = digits(bytes, head, before)?;
    // As text: a number would have the same value with a flipped bit that makes a capital letter.
    Some(bytes[place.clone()] == *sum(bytes, &place).as_bytes())
}

/// What precedes the digits in an export: a safetensors file begins with JSON, after its length.
const BEFORE_IN_JSON: &[u8] = b"\"gsb.checksum\":\"";

/// The most bytes of JSON, as the format has it.
const MAX_JSON: u64 = 100_000_000;

/// Puts the checksum of an export in its place, and before that the entries in order, which the
/// serializer does not: the same contents are to be the same bytes.
pub(super) fn seal_export(bytes: &mut [u8]) {
    let (length, rest) = bytes.split_at(8);
    let length = u64::from_le_bytes(length.try_into().expect("8 bytes")) as usize;
    let entries: BTreeMap<String, BTreeMap<String, Value>> =
        serde_json::from_slice(&rest[..length]).expect("a header that was just written");
    let text = serde_json::to_vec(&entries).expect("strings, numbers and lists of them");
    bytes[8..8 + text.len()].copy_from_slice(&text);
    seal(bytes, 8 + length, BEFORE_IN_JSON);
}

/// Whether the checksum of an export is that of its bytes; none for files of other programs, of which
/// only the head is read.
pub(super) fn is_export_right(path: &Path) -> io::Result<Option<bool>> {
    let mut file = File::open(path)?;
    let mut head = Vec::new();
    (&mut file).take(9).read_to_end(&mut head)?;
    let Some((length, [b'{'])) = head.split_first_chunk() else {
        return Ok(None);
    };
    let length = u64::from_le_bytes(*length).min(MAX_JSON);
    (&mut file).take(length).read_to_end(&mut head)?;
    if digits(&head, head.len(), BEFORE_IN_JSON).is_none() {
        return Ok(None);
    }
    file.read_to_end(&mut head)?;
    Ok(is_right(&head, head.len(), BEFORE_IN_JSON))
}

fn digits(bytes: &[u8], head: usize, before: &[u8]) -> Option<Range<usize>> {
    let head = &bytes[..head.min(bytes.len())];
    let mut windows = head.windows(before.len() + UNKNOWN.len());
    let start = windows.position(|window| window.starts_with(before))? + before.len();
    Some(start..start + UNKNOWN.len())
}

fn sum(bytes: &[u8], digits: &Range<usize>) -> String {
    let mut hasher = Hasher::new();
    hasher.update(&bytes[..digits.start]);
    hasher.update(UNKNOWN.as_bytes());
    hasher.update(&bytes[digits.end..]);
    format!("{:08x}", hasher.finalize())
}
