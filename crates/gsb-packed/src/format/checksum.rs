//! The checksum of a packed file: CRC-32 of all its bytes, its own digits taken as zeros.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use crc32fast::Hasher;

/// Bytes of a file before its header: the header's length.
const LENGTH: usize = 8;

/// How the header of a file with a checksum begins: `checksum` is the first entry in order.
const START: &[u8] = b"{\"__metadata__\":{\"checksum\":\"";

/// What stands for the digits until they are known.
pub(super) const UNKNOWN: &str = "00000000";

/// Puts the checksum in its place.
pub(super) fn seal(bytes: &mut [u8]) {
    let place = digits(bytes).expect("the entry was just written");
    let sum = sum(bytes, &place, Vec::new());
    bytes[place].copy_from_slice(sum.as_bytes());
}

/// The checksum of a file, which files of version 1 lack.
pub(super) struct Seal<'a> {
    bytes: &'a [u8],
    digits: Range<usize>,
}

/// The sum of a part of a file, taken when that part was about to be read for something else, too: memory is slower than
/// sums.
pub(super) struct Part {
    place: Range<usize>,
    sum: Hasher,
}

impl Part {
    /// That of a place of the data of a file, outside the header.
    pub(super) fn new(bytes: &[u8], place: Range<usize>) -> Self {
        let mut sum = Hasher::new();
        sum.update(&bytes[place.clone()]);
        Self { place, sum }
    }
}

impl<'a> Seal<'a> {
    /// That of the bytes of a file, if there is one.
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        digits(bytes).map(|digits| Self { bytes, digits })
    }

    /// Whether it is that of the bytes, given the sums of parts of the data.
    pub(super) fn holds(self, parts: Vec<Part>) -> bool {
        // As text: a number would have the same value with a flipped bit that makes a capital letter.
        self.bytes[self.digits.clone()] == *sum(self.bytes, &self.digits, parts).as_bytes()
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

fn sum(bytes: &[u8], digits: &Range<usize>, mut parts: Vec<Part>) -> String {
    let mut hasher = Hasher::new();
    hasher.update(&bytes[..digits.start]);
    hasher.update(UNKNOWN.as_bytes());
    let mut end = digits.end;
    parts.sort_by_key(|part| part.place.start);
    for part in parts {
        // What overlaps with the one before is not needed.
        if let Some(between) = bytes.get(end..part.place.start) {
            hasher.update(between);
            hasher.combine(&part.sum);
            end = part.place.end;
        }
    }
    hasher.update(&bytes[end..]);
    format!("{:08x}", hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_change_no_sum() {
        let bytes: Vec<u8> = (0..=255).cycle().take(3000).collect();
        let digits = 5..13;
        let whole = sum(&bytes, &digits, Vec::new());
        for places in [
            vec![(13, 13)],
            vec![(13, 3000)],
            vec![(700, 2100), (20, 21), (21, 700)],
            vec![(2999, 3000), (14, 2000)],
            vec![(20, 30), (20, 20), (25, 40), (30, 50)],
        ] {
            let parts = places.iter().map(|&(from, to)| Part::new(&bytes, from..to));
            assert_eq!(sum(&bytes, &digits, parts.collect()), whole, "{places:?}");
        }
    }
}
