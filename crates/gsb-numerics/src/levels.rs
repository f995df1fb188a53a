//! The set of values a quantizer may emit.

use serde::{Deserialize, Serialize};

/// The levels of a learnable-scale quantizer, before they are multiplied by the scale.
///
/// With `q = x / scale` the level of an input is
///
/// | kind | bits | level of `q` | range `[Qn, Qp]` |
/// | --- | --- | --- | --- |
/// | [`Signed`](Levels::Signed) | 1 | `sign(q)`, and `sign(0) = 0` | `[-1, 1]` |
/// | [`Signed`](Levels::Signed) | b > 1 | `clamp(round(q), Qn, Qp)` | `[-2^(b-1), 2^(b-1) - 1]` |
/// | [`Unsigned`](Levels::Unsigned) | b | `clamp(round(q), Qn, Qp)` | `[0, 2^b - 1]` |
///
/// `round` is half-to-even.
///
/// ```
/// use gsb_numerics::Levels;
/// assert_eq!(Levels::signed(1).range(), (-1.0, 1.0));
/// assert_eq!(Levels::signed(8).range(), (-128.0, 127.0));
/// assert_eq!(Levels::unsigned(2).range(), (0.0, 3.0));
/// ```
///
/// Bits beyond `1..=8` are refused where levels are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub enum Levels {
    /// Levels on both sides of zero, `bits` of them in two's complement (one bit: -1 and 1).
    Signed(u8),
    /// Levels from zero upwards, `2^bits` of them.
    Unsigned(u8),
}

/// Levels as they were stored, which can be anything.
#[derive(Deserialize)]
#[serde(rename = "Levels")]
enum Stored {
    Signed(u8),
    Unsigned(u8),
}

impl TryFrom<Stored> for Levels {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        let levels = match stored {
            Stored::Signed(bits) => Self::Signed(bits),
            Stored::Unsigned(bits) => Self::Unsigned(bits),
        };
        match levels.bits() {
            1..=8 => Ok(levels),
            bits => Err(refusal(bits)),
        }
    }
}

impl Levels {
    /// Signed levels of `bits` bits.
    ///
    /// # Panics
    /// If `bits` is not in `1..=8`.
    pub fn signed(bits: u8) -> Self {
        Self::Signed(checked(bits))
    }

    /// Unsigned levels of `bits` bits.
    ///
    /// # Panics
    /// If `bits` is not in `1..=8`.
    pub fn unsigned(bits: u8) -> Self {
        Self::Unsigned(checked(bits))
    }

    /// Number of bits of a level.
    pub fn bits(self) -> u8 {
        match self {
            Self::Signed(bits) | Self::Unsigned(bits) => bits,
        }
    }

    /// Lowest and highest level `(Qn, Qp)`; inputs between them (times the scale) pass the gradient.
    ///
    /// # Panics
    /// If there are not 1 to 8 bits.
    pub fn range(self) -> (f32, f32) {
        checked(self.bits());
        match self {
            Self::Signed(1) => (-1.0, 1.0),
            Self::Signed(bits) => {
                let half = f32::from(1u16 << (bits - 1));
                (-half, half - 1.0)
            }
            Self::Unsigned(bits) => (0.0, f32::from((1u16 << bits) - 1)),
        }
    }

    /// What an initial scale is over the mean that it follows from: `2 / sqrt(Qp)` signed (one bit
    /// and two: 2), `4 / sqrt(2^bits - 1)` unsigned.
    ///
    /// # Panics
    /// As [`range`](Self::range).
    pub fn initial_factor(self) -> f32 {
        let (_, qp) = self.range();
        match self {
            Self::Signed(_) => 2.0 / qp.sqrt(),
            Self::Unsigned(_) => 4.0 / qp.sqrt(),
        }
    }

    /// Whether the level is the sign of the input rather than a rounded quotient.
    pub fn is_sign(self) -> bool {
        self == Self::Signed(1)
    }
}

fn checked(bits: u8) -> u8 {
    assert!((1..=8).contains(&bits), "{}", refusal(bits));
    bits
}

fn refusal(bits: u8) -> String {
    format!("a quantizer has 1 to 8 bits, got {bits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_two_to_the_bits_levels() {
        for bits in 1..=8 {
            let levels = |(qn, qp): (f32, f32)| qp - qn + 1.0;
            assert_eq!(
                levels(Levels::unsigned(bits).range()),
                2f32.powi(bits.into())
            );
            if bits > 1 {
                assert_eq!(levels(Levels::signed(bits).range()), 2f32.powi(bits.into()));
            }
        }
    }

    #[test]
    #[should_panic(expected = "1 to 8 bits, got 0")]
    fn no_bits() {
        Levels::Signed(0).range();
    }

    #[test]
    #[should_panic(expected = "1 to 8 bits, got 9")]
    fn too_many_bits() {
        Levels::signed(9);
    }
}
