//! Whether a JPEG file is whole.
//!
//! The decoder fills up what a cut-off file lacks with gray. Pillow refuses such a file, and so does
//! [`read_image`](crate::read_image).

const START: [u8; 2] = [0xFF, 0xD8];
const END: u8 = 0xD9;

/// Whether bytes begin as JPEG files do.
pub(crate) fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&START)
}

/// Whether the marker of the end comes after the segments and scans; one in a thumbnail does not count.
pub(crate) fn has_end(bytes: &[u8]) -> bool {
    let mut place = START.len();
    loop {
        // What is between segments is entropy-coded data, or filling.
        let Some(marker) = next_marker(bytes, &mut place) else {
            return false;
        };
        if marker == END {
            return true;
        }
        let Some(&[high, low]) = bytes.get(place..).and_then(|rest| rest.first_chunk()) else {
            return false;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        // A length includes itself; of a scan it is that of its header.
        place += length.max(2);
    }
}

/// The next marker that has a segment, or the end; `place` is then behind it.
fn next_marker(bytes: &[u8], place: &mut usize) -> Option<u8> {
    loop {
        let found = bytes.get(*place..)?.iter().position(|&byte| byte == 0xFF)?;
        *place += found + 1;
        match *bytes.get(*place)? {
            // A filling byte: the marker is still to come.
            0xFF => {}
            // An 0xFF of the data, restarts, and others without a segment.
            0x00 | 0x01 | 0xD0..=0xD8 => *place += 1,
            marker => {
                *place += 1;
                return Some(marker);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_only_where_it_counts() {
        // A segment that holds an end, a scan with an escaped 0xFF and a restart.
        let file = [
            0xFF, 0xD8, 0xFF, 0xE1, 0, 4, 0xFF, 0xD9, 0xFF, 0xDA, 0, 3, 7, 1, 0xFF, 0, 2, 0xFF,
            0xD0, 3, 0xFF, 0xFF, 0xD9,
        ];
        assert!(is_jpeg(&file) && has_end(&file));
        for end in 2..file.len() {
            assert!(!has_end(&file[..end]), "{end} bytes");
        }
        let trailing = [&file[..], &[1, 2, 3]].concat();
        assert!(has_end(&trailing));
    }
}
