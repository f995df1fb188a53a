//! Numeric arrays of MATLAB 5 files, which Flowers-102 has its labels and parts in.
//!
//! A reader of our own, as a small file must not be able to unpack to any size: what is compressed is unpacked once and
//! to a limit.

use std::io::Read;

use flate2::read::ZlibDecoder;

/// Bytes that the arrays of a file may unpack to; those of Flowers-102 have less than a tenth of a megabyte.
const MAX_BYTES: usize = 1 << 24;
const HEADER: usize = 128;

// Types of elements and classes of arrays, as the format numbers them.
const INT8: u32 = 1;
const INT32: u32 = 5;
const UINT32: u32 = 6;
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;
const NUMERIC: std::ops::RangeInclusive<u32> = 6..=15;

/// An array: its name, and its numbers, column by column.
pub(super) type Array = (String, Vec<f64>);

/// The arrays of real numbers in a file. Cells, structures, text and sparse matrices are left out.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn arrays(file: &[u8]) -> Result<Vec<Array>, String> {
    let (version, big_endian) = match file.get(HEADER - 4..HEADER) {
        Some(&[low, high, b'I', b'M']) => ([high, low], false),
        Some(&[high, low, b'M', b'I']) => ([high, low], true),
        _ => return Err("it has no header of that format".into()),
    };
    match version {
        [1, 0] => {}
        [2, 0] => return Err("it is of version 7.3: save it with -v7".into()),
        _ => return Err("it is of another version".into()),
    }
    let mut elements = Elements {
        bytes: &file[HEADER..],
        big_endian,
    };
    let mut arrays = Vec::new();
    let mut left = MAX_BYTES;
    while let Some((kind, data)) = elements.next()? {
        match kind {
            MATRIX => arrays.extend(array(data, big_endian)?),
            COMPRESSED => {
                let unpacked = unpacked(data, left)?;
                left -= unpacked.len();
                let mut elements = Elements {
                    bytes: &unpacked,
                    big_endian,
                };
                if let Some((MATRIX, data)) = elements.next()? {
                    arrays.extend(array(data, big_endian)?);
                }
            }
            _ => {}
        }
    }
    Ok(arrays)
}

fn unpacked(data: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::new();
    let decoder = ZlibDecoder::new(data);
    decoder
        .take(limit as u64 + 1)
        .read_to_end(&mut unpacked)
        .map_err(|error| format!("an array cannot be unpacked: {error}"))?;
    if unpacked.len() > limit {
        return Err(format!("its arrays unpack to more than {MAX_BYTES} bytes"));
    }
    Ok(unpacked)
}

/// The array of a matrix, if it is of numbers.
fn array(bytes: &[u8], big_endian: bool) -> Result<Option<Array>, String> {
    let mut elements = Elements { bytes, big_endian };
    let (UINT32, flags) = elements.required("flags")? else {
        return Err("an array has no flags".into());
    };
    let class = words(flags, big_endian).next().unwrap_or(0) & 0xFF;
    if !NUMERIC.contains(&class) {
        return Ok(None);
    }
    let (INT32, dimensions) = elements.required("dimensions")? else {
        return Err("an array has no dimensions".into());
    };
    let (INT8, name) = elements.required("name")? else {
        return Err("an array has no name".into());
    };
    let name = String::from_utf8_lossy(name).into_owned();
    let (kind, data) = elements.required("numbers")?;
    let numbers = numbers(kind, data, big_endian)
        .ok_or_else(|| format!("the array {name:?} has numbers of an unknown type, {kind}"))?;
    let count = words(dimensions, big_endian)
        .try_fold(1usize, |count, size| count.checked_mul(size as usize));
    if count != Some(numbers.len()) {
        let sizes: Vec<u32> = words(dimensions, big_endian).collect();
        return Err(format!(
            "the array {name:?} has {} numbers, expected {sizes:?}",
            numbers.len()
        ));
    }
    Ok(Some((name, numbers)))
}

/// The numbers of an element of a type, if it is a type of numbers.
fn numbers(kind: u32, data: &[u8], big_endian: bool) -> Option<Vec<f64>> {
    fn all<const N: usize>(data: &[u8], big_endian: bool, number: fn([u8; N]) -> f64) -> Vec<f64> {
        let read = |bytes: &[u8; N]| {
            let mut bytes = *bytes;
            if big_endian {
                bytes.reverse();
            }
            number(bytes)
        };
        data.as_chunks::<N>().0.iter().map(read).collect()
    }
    let be = big_endian;
    Some(match kind {
        1 => all(data, be, |b| f64::from(i8::from_le_bytes(b))),
        2 => all(data, be, |b| f64::from(u8::from_le_bytes(b))),
        3 => all(data, be, |b| f64::from(i16::from_le_bytes(b))),
        4 => all(data, be, |b| f64::from(u16::from_le_bytes(b))),
        5 => all(data, be, |b| f64::from(i32::from_le_bytes(b))),
        6 => all(data, be, |b| f64::from(u32::from_le_bytes(b))),
        7 => all(data, be, |b| f64::from(f32::from_le_bytes(b))),
        9 => all(data, be, f64::from_le_bytes),
        12 => all(data, be, |b| i64::from_le_bytes(b) as f64),
        13 => all(data, be, |b| u64::from_le_bytes(b) as f64),
        _ => return None,
    })
}

fn words(data: &[u8], big_endian: bool) -> impl Iterator<Item = u32> {
    data.as_chunks()
        .0
        .iter()
        .map(move |&word| match big_endian {
            true => u32::from_be_bytes(word),
            false => u32::from_le_bytes(word),
        })
}

/// The elements of a file or a matrix, one after the other.
struct Elements<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl<'a> Elements<'a> {
    /// The next element that must be there.
    fn required(&mut self, what: &str) -> Result<(u32, &'a [u8]), String> {
        self.next()?
            .ok_or_else(|| format!("an array ends before its {what}"))
    }

    /// Type and data of the next element, if there is one.
    fn next(&mut self) -> Result<Option<(u32, &'a [u8])>, String> {
        const CUT: &str = "it is cut short";
        let mut tag = words(self.bytes, self.big_endian);
        let Some(kind) = tag.next() else {
            return Ok(None);
        };
        // Up to four bytes lie in the tag itself, and their number in the upper half of the type.
        let small = kind >> 16;
        if small != 0 {
            let data = self.bytes.get(4..8).ok_or(CUT)?;
            let data = data
                .get(..small as usize)
                .ok_or("a small element is too large")?;
            self.bytes = &self.bytes[8..];
            return Ok(Some((kind & 0xFFFF, data)));
        }
        let size = tag.next().ok_or(CUT)? as usize;
        let rest = &self.bytes[8..];
        let data = rest.get(..size).ok_or(CUT)?;
        let padded = match kind {
            COMPRESSED => size,
            _ => size.next_multiple_of(8),
        };
        self.bytes = rest.get(padded..).unwrap_or_default();
        Ok(Some((kind, data)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    fn element(kind: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(kind.to_le_bytes());
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend(data);
        if kind != COMPRESSED {
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        bytes
    }

    fn matrix(class: u32, dimensions: [u32; 2], kind: u32, data: &[u8]) -> Vec<u8> {
        let words = |words: [u32; 2]| words.map(u32::to_le_bytes).concat();
        let parts = [
            element(UINT32, &words([class, 0])),
            element(INT32, &words(dimensions)),
            element(INT8, b"labels"),
            element(kind, data),
        ];
        element(MATRIX, &parts.concat())
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        element(COMPRESSED, &encoder.finish().unwrap())
    }

    fn file(elements: &[u8]) -> Vec<u8> {
        let mut bytes = vec![b' '; HEADER - 4];
        bytes.extend([0, 1, b'I', b'M']);
        bytes.extend(elements);
        bytes
    }

    #[test]
    fn arrays_are_read_as_they_are_and_unpacked() {
        let bytes = matrix(9, [1, 3], 2, &[1, 2, 3]);
        let expected = vec![("labels".to_string(), vec![1.0, 2.0, 3.0])];
        assert_eq!(arrays(&file(&bytes)).unwrap(), expected);
        assert_eq!(arrays(&file(&packed(&bytes))).unwrap(), expected);
        // A number of four bytes lies in the tag itself.
        let mut small = bytes[..bytes.len() - 16].to_vec();
        small.extend([2, 0, 3, 0, 1, 2, 3, 0]);
        small[4] -= 8;
        assert_eq!(arrays(&file(&small)).unwrap(), expected);
    }

    #[test]
    fn what_is_no_array_of_numbers_is_left_out() {
        let text = matrix(4, [1, 3], 4, &[b'a', 0, b'b', 0, b'c', 0]);
        let unknown = element(99, b"anything");
        let bytes = [text, unknown, matrix(6, [1, 1], 9, &2.5f64.to_le_bytes())].concat();
        let expected = vec![("labels".to_string(), vec![2.5])];
        assert_eq!(arrays(&file(&bytes)).unwrap(), expected);
    }

    #[test]
    fn small_files_stay_small() {
        // Zeros that would be a thousand times as many, and arrays packed in each other.
        let much = packed(&vec![0; MAX_BYTES + 1]);
        assert!(much.len() < 100_000);
        let message = arrays(&file(&much)).unwrap_err();
        assert!(message.contains("more than 16777216 bytes"), "{message}");
        let mut nested = matrix(9, [1, 1], 2, &[1]);
        for _ in 0..1_000 {
            nested = packed(&nested);
        }
        assert!(arrays(&file(&nested)).unwrap().is_empty());
    }

    #[test]
    fn sizes_that_are_not_those_of_the_file_are_refused() {
        let huge = matrix(9, [1 << 31, 1 << 31], 2, &[1, 2, 3]);
        for (elements, expected) in [
            (huge, "has 3 numbers, expected [2147483648, 2147483648]"),
            (
                u32::MAX.to_le_bytes().repeat(4),
                "a small element is too large",
            ),
            (
                [2u32, u32::MAX].map(u32::to_le_bytes).concat(),
                "it is cut short",
            ),
            (element(MATRIX, &[]), "an array ends before its flags"),
        ] {
            let message = arrays(&file(&elements)).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
        assert!(arrays(b"anything").is_err());
        let mut later = file(&[]);
        later[HEADER - 3] = 2;
        assert!(arrays(&later).unwrap_err().contains("version 7.3"));
    }
}
