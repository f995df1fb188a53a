//! The checksum of a packed file: CRC-32 of all its bytes, its own digits taken as zeros.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use crc32fast::Hasher;

use crate::Error;

/// Bytes of a file before its header: the header's length.
const LENGTH: usize = 8;

/// How the header of a file with a checksum begins: `checksum` is the first entry in order.
const START: &[u8] = b"{\"__metadata__\":{\"checksum\":\"";

/// What stands for the digits until they are known.
pub(super) const UNKNOWN: &str = "00000000";

/// Puts the checksum in its place.
pub(super) fn seal(bytes: &mut [u8]) {
    let place = digits(bytes).expect("the entry was just written");
    let sum = sum(bytes, &place);
    bytes[place].copy_from_slice(sum.as_bytes());
}

/// Whether there is a checksum, which files of version 1 lack.
///
/// # Errors
/// [`Error::Damaged`] if it is not that of the bytes.
pub(super) fn check(bytes: &[u8]) -> Result<bool, Error> {
    let Some(place) = digits(bytes) else {
        return Ok(false);
    };
    // As text: a number would have the same value with a flipped bit that makes a capital letter.
    if bytes[place.clone()] == *sum(bytes, &place).as_bytes() {
        Ok(true)
    } else {
        Err(Error::Damaged)
    }
}

/// Whether a file begins as one with a checksum.
pub(super) fn begins(path: &Path) -> io::Result<bool> {
    let mut beginning = Vec::new();
    let length = LENGTH + START.len();
    File::open(path)?
        .take(length as u64)
        .read_to_end(&mut beginning)?;
    Ok(beginning.get(LENGTH..) == Some(START))
}

/// Where the digits are.
fn digits(bytes: &[u8]) -> Option<Range<usize>> {
    let rest = bytes.get(LENGTH..)?.strip_prefix(START)?;
    let start = LENGTH + START.len();
    (rest.len() >= UNKNOWN.len()).then_some(start..start + UNKNOWN.len())
}

fn sum(bytes: &[u8], digits: &Range<usize>) -> String {
    let mut hasher = Hasher::new();
    hasher.update(&bytes[..digits.start]);
    hasher.update(UNKNOWN.as_bytes());
    hasher.update(&bytes[digits.end..]);
    format!("{:08x}", hasher.finalize())
}
