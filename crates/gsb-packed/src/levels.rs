//! Levels of a few bits: their range, and how they are packed.

use gsb_numerics::Levels;

use crate::{Error, SignMatrix};

/// Lowest and highest level of signed quantizers of `bits` bits.
pub(crate) fn level_range(bits: u8) -> (i8, i8) {
    let (low, high) = Levels::signed(bits).range();
    (low as i8, high as i8)
}

/// Levels of `bits` bits in two's complement, one after another, the lowest bit first.
pub(crate) fn pack(levels: &[i8], bits: u8) -> Vec<u8> {
    let mut bytes = vec![0u8; packed_len(levels.len(), bits)];
    let mask = ((1u16 << bits) - 1) as u8;
    for (index, &level) in levels.iter().enumerate() {
        let (byte, bit) = place(index, bits);
        let value = u16::from(level as u8 & mask) << bit;
        bytes[byte] |= value as u8;
        if value > 0xff {
            bytes[byte + 1] |= (value >> 8) as u8;
        }
    }
    bytes
}

/// The levels that [`pack`] packed.
pub(crate) fn unpack(bytes: &[u8], len: usize, bits: u8) -> Vec<i8> {
    let unused = 8 - bits;
    (0..len)
        .map(|index| {
            let (byte, bit) = place(index, bits);
            let high = bytes.get(byte + 1).copied().unwrap_or(0);
            let pair = u16::from_le_bytes([bytes[byte], high]);
            // Shifted up and down again, the highest bit of the level becomes its sign.
            (((pair >> bit) << unused) as i8) >> unused
        })
        .collect()
}

/// Bytes of a number of levels: never more than that number.
pub(crate) fn packed_len(levels: usize, bits: u8) -> usize {
    let (bytes, rest) = place(levels, bits);
    bytes + usize::from(rest > 0)
}

/// The byte in which a level begins, and the bit of it. Eight levels fill as many bytes as a level has
/// bits: so no step is beyond the number of levels, whose bits may not fit 32 bits.
fn place(index: usize, bits: u8) -> (usize, usize) {
    let bits = usize::from(bits);
    let rest = index % 8 * bits;
    (index / 8 * bits + rest / 8, rest % 8)
}

/// Levels -1, 0 and 1 as signs.
pub(crate) fn to_signs(levels: &[i8]) -> Result<SignMatrix, Error> {
    let values: Vec<f32> = levels.iter().map(|&level| f32::from(level)).collect();
    SignMatrix::from_values(1, levels.len(), &values)
}

/// Signs as levels -1, 0 and 1.
pub(crate) fn from_signs(signs: &SignMatrix) -> Vec<i8> {
    let mut levels: Vec<i8> = (0..signs.columns())
        .map(|column| if signs.bit(0, column) { 1 } else { -1 })
        .collect();
    for &zero in signs.zeros() {
        levels[zero as usize] = 0;
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_any_bits_come_back() {
        for bits in 2..=8 {
            let (low, high) = level_range(bits);
            let levels: Vec<i8> = (low..=high).chain([high, low, 0, -1]).collect();
            let bytes = pack(&levels, bits);
            assert_eq!(bytes.len(), packed_len(levels.len(), bits));
            assert_eq!(unpack(&bytes, levels.len(), bits), levels);
        }
        let levels = [1, -1, 0, 0, 1, 1, -1, -1, 1];
        assert_eq!(from_signs(&to_signs(&levels).unwrap()), levels);
    }

    /// As many as a network may have on machines of 32 bits, and as any machine can count.
    #[test]
    fn bits_beyond_a_machine_word_have_their_places() {
        for bits in 1..=8 {
            for index in [0, 7, 9, (1 << 29) + 3, (1 << 30) - 1, 1 << 30, usize::MAX] {
                let bit = index as u128 * u128::from(bits);
                let (byte, rest) = place(index, bits);
                assert_eq!((byte as u128, rest as u128), (bit / 8, bit % 8));
                assert_eq!(packed_len(index, bits) as u128, bit.div_ceil(8));
            }
        }
    }
}
