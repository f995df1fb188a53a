//! Checksums of the files written here: CRC-32 of all bytes, the eight digits themselves taken as zeros.
//!
//! A second entry says that there is one, so that a file whose checksum cannot be found any more is not
//! taken for one from before there were any.

use std::ops::Range;

use crc32fast::Hasher;

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
