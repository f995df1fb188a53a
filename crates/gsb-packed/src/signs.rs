//! Matrices of signs.

use crate::Error;

/// A matrix of signs: -1, 1 and, rarely, 0.
///
/// One bit an entry, row after row without gaps, the lowest bit of a byte first; 1 stands for +1.
/// The positions of zeros (a weight that equals the mean) are listed apart; their bit is 0.
///
/// ```
/// use gsb_packed::SignMatrix;
///
/// let signs = SignMatrix::from_values(2, 3, &[0.5, -1.0, 0.0, -0.1, 2.0, 3.0])?;
/// assert_eq!((signs.sign(0, 0), signs.sign(0, 1), signs.sign(0, 2)), (1, -1, 0));
/// assert_eq!((signs.bits(), signs.zeros()), (&[0b11_0001][..], &[2][..]));
/// # Ok::<(), gsb_packed::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SignMatrix {
    rows: usize,
    columns: usize,
    bits: Vec<u8>,
    zeros: Vec<u32>,
}

impl SignMatrix {
    /// The signs of values, `[rows, columns]`. A value that is not a number has the sign 0.
    ///
    /// # Errors
    /// [`Error::Length`] if there are not `rows * columns` values.
    pub fn from_values(rows: usize, columns: usize, values: &[f32]) -> Result<Self, Error> {
        let expected = rows.saturating_mul(columns);
        if values.len() != expected {
            return Err(Error::Length {
                what: "a matrix of signs".into(),
                found: values.len(),
                expected,
            });
        }
        let mut bits = vec![0; values.len().div_ceil(8)];
        let mut zeros = Vec::new();
        for (index, &value) in values.iter().enumerate() {
            if value > 0.0 {
                bits[index / 8] |= 1 << (index % 8);
            } else if value == 0.0 || value.is_nan() {
                zeros.push(index as u32);
            }
        }
        Ok(Self {
            rows,
            columns,
            bits,
            zeros,
        })
    }

    /// The matrix of these bits, with zeros at these positions, ascending, of the flattened matrix.
    ///
    /// # Errors
    /// [`Error::Length`] if there is not one bit an entry, padded to whole bytes; [`Error::Value`]
    /// if padding is not 0, or a zero is out of place or marked as +1.
    pub fn from_bits(
        rows: usize,
        columns: usize,
        bits: Vec<u8>,
        zeros: Vec<u32>,
    ) -> Result<Self, Error> {
        let len = rows.saturating_mul(columns);
        if bits.len() != len.div_ceil(8) {
            return Err(Error::Length {
                what: "a matrix of signs".into(),
                found: bits.len(),
                expected: len.div_ceil(8),
            });
        }
        let value = |value: u32, index, expected| Error::Value {
            tensor: "signs".into(),
            value: value.to_string(),
            index,
            expected,
        };
        let padding = match len % 8 {
            0 => 0,
            used => bits[bits.len() - 1] >> used,
        };
        if padding != 0 {
            return Err(value(padding.into(), len, "padding of zeros"));
        }
        let mut before = None;
        for (index, &zero) in zeros.iter().enumerate() {
            if before.is_some_and(|before| before >= zero) || zero as usize >= len {
                return Err(value(zero, index, "ascending positions in the matrix"));
            }
            if bits[zero as usize / 8] >> (zero % 8) & 1 == 1 {
                return Err(value(zero, index, "a position whose bit is 0"));
            }
            before = Some(zero);
        }
        Ok(Self {
            rows,
            columns,
            bits,
            zeros,
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The bits, row after row without gaps, padded to whole bytes.
    pub fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// The positions of zeros in the flattened matrix, ascending.
    pub fn zeros(&self) -> &[u32] {
        &self.zeros
    }

    /// Whether an entry's bit is set: whether it is +1.
    ///
    /// # Panics
    /// If the position is outside.
    pub fn bit(&self, row: usize, column: usize) -> bool {
        assert!(row < self.rows && column < self.columns);
        let index = row * self.columns + column;
        self.bits[index / 8] >> (index % 8) & 1 == 1
    }

    /// An entry: -1, 0 or 1.
    ///
    /// # Panics
    /// If the position is outside.
    pub fn sign(&self, row: usize, column: usize) -> i8 {
        let index = (row * self.columns + column) as u32;
        match self.bit(row, column) {
            true => 1,
            false if self.zeros.binary_search(&index).is_ok() => 0,
            false => -1,
        }
    }

    /// A row's bits as 32-bit words, the lowest bit first. Each segment of columns fills whole
    /// words, with bits of 0.
    pub(crate) fn row_words(&self, row: usize, segment: usize, words: &mut [u32]) {
        let segments = words.chunks_mut(segment.div_ceil(32));
        for (index, words) in segments.enumerate() {
            let start = row * self.columns + index * segment;
            if start.is_multiple_of(8) && segment.is_multiple_of(32) {
                let bytes = self.bits[start / 8..].as_chunks::<4>().0;
                for (out, &bytes) in words.iter_mut().zip(bytes) {
                    *out = u32::from_le_bytes(bytes);
                }
                continue;
            }
            for (word, out) in words.iter_mut().enumerate() {
                *out = self.extract(start + word * 32, (segment - word * 32).min(32));
            }
        }
    }

    /// How many of a row's bits are set.
    pub(crate) fn ones(&self, row: usize) -> u32 {
        let start = row * self.columns;
        if start.is_multiple_of(8) && self.columns.is_multiple_of(64) {
            let words = self.bits[start / 8..][..self.columns / 8]
                .as_chunks::<8>()
                .0;
            return words
                .iter()
                .map(|&word| u64::from_le_bytes(word).count_ones())
                .sum();
        }
        let words = (0..self.columns).step_by(32);
        words
            .map(|at| {
                self.extract(start + at, (self.columns - at).min(32))
                    .count_ones()
            })
            .sum()
    }

    /// `count <= 32` bits from a position.
    fn extract(&self, start: usize, count: usize) -> u32 {
        let from = &self.bits[start / 8..];
        let bytes = from.first_chunk().copied().unwrap_or_else(|| {
            let mut bytes = [0u8; 8];
            bytes[..from.len()].copy_from_slice(from);
            bytes
        });
        let word = u64::from_le_bytes(bytes) >> (start % 8);
        (word & ((1u64 << count) - 1)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_may_begin_at_a_byte_but_need_not() {
        for columns in [45, 56, 64] {
            let values: Vec<f32> = (0..7 * columns)
                .map(|i| [1.0, -1.0, -2.0][i * i % 3])
                .collect();
            let signs = SignMatrix::from_values(7, columns, &values).unwrap();
            for (row, values) in values.chunks(columns).enumerate() {
                let mut words = [0; 2];
                signs.row_words(row, columns, &mut words);
                for column in 0..64 {
                    let set = values.get(column).is_some_and(|&value| value > 0.0);
                    assert_eq!(words[column / 32] >> (column % 32) & 1 == 1, set);
                }
                let ones = values.iter().filter(|&&value| value > 0.0).count();
                assert_eq!(signs.ones(row), ones as u32);
            }
        }
    }

    #[test]
    fn zeros_out_of_place_are_refused() {
        let zeros = |zeros| SignMatrix::from_bits(2, 2, vec![0b0001], zeros).unwrap_err();
        for list in [vec![0], vec![4], vec![2, 1], vec![1, 1]] {
            assert!(matches!(zeros(list), Error::Value { .. }));
        }
        assert!(SignMatrix::from_bits(2, 2, vec![0b1_0001], vec![]).is_err());
        assert!(SignMatrix::from_bits(2, 2, vec![1, 0], vec![]).is_err());
    }
}
