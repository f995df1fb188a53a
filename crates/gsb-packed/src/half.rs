//! 16-bit floats, for storage alone.

/// The smallest positive 16-bit float, 2^-24. Not by `powi`, whose results are not exact everywhere.
const SMALLEST: f32 = f32::from_bits((127 - 24) << 23);

/// From here on numbers are nearer to what follows the largest 16-bit float, 65504, than to it.
pub(crate) const HALF_END: f32 = 65_520.0;

/// The 16-bit float nearest to a number, ties to even; beyond the range infinite.
pub(crate) fn to_half(x: f32) -> u16 {
    let sign = (x.to_bits() >> 16) as u16 & 0x8000;
    let magnitude = x.abs();
    if magnitude.is_nan() {
        return sign | 0x7e00;
    }
    // Numbers below the normal range are multiples of 2^-24: adding 0.5 rounds to them.
    if magnitude < 6.103_515_6e-5 {
        let shifted = magnitude + 0.5;
        return sign | (shifted.to_bits() - 0.5f32.to_bits()) as u16;
    }
    if magnitude >= HALF_END {
        return sign | 0x7c00;
    }
    let bits = magnitude.to_bits();
    let rounded = bits + 0xfff + (bits >> 13 & 1);
    sign | ((rounded - (112 << 23)) >> 13) as u16
}

/// The number of a 16-bit float.
pub(crate) fn from_half(half: u16) -> f32 {
    let magnitude = u32::from(half & 0x7fff);
    let value = match magnitude {
        0x7c00.. => f32::from_bits(magnitude << 13 | 0x7f80_0000),
        0x400.. => f32::from_bits((magnitude << 13) + (112 << 23)),
        _ => magnitude as f32 * SMALLEST,
    };
    if half & 0x8000 == 0 { value } else { -value }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All, but for an interpreter.
    const STEP: usize = if cfg!(miri) { 61 } else { 1 };

    #[test]
    fn every_half_is_its_own_nearest() {
        for half in (0..=u16::MAX).step_by(STEP) {
            let value = from_half(half);
            if value.is_nan() {
                assert!(from_half(to_half(value)).is_nan());
            } else {
                assert_eq!(to_half(value), half, "{value}");
            }
        }
    }

    #[test]
    fn ties_go_to_even() {
        for half in (0..0x7bff).step_by(7 * STEP) {
            let (low, high) = (from_half(half), from_half(half + 1));
            let even = if half % 2 == 0 { half } else { half + 1 };
            assert_eq!(to_half((low + high) / 2.0), even);
            assert_eq!(to_half(-(low * 0.25 + high * 0.75)), 0x8000 | (half + 1));
        }
        assert_eq!((to_half(65_519.0), to_half(65_520.0)), (0x7bff, 0x7c00));
    }
}
