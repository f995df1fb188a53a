//! Attention shifts of few bits.

/// The step of a row of attention shifts that are stored as 8-bit multiples of it: 1/127 of the largest magnitude,
/// rounded to 16 binary digits, so that its multiples up to 127 are exact. A row that consists of such multiples
/// has the same step again.
///
/// ```
/// use gsb_numerics::shift_step;
///
/// let step = shift_step(0.3);
/// assert!((step * 127.0 / 0.3 - 1.0).abs() < 1e-5);
/// assert_eq!(shift_step(127.0 * step), step);
/// ```
pub fn shift_step(largest: f32) -> f32 {
    let bits = (largest / 127.0).to_bits();
    // Half of what is cut off is added first: to the nearest.
    f32::from_bits((bits + 0x80) & !0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiples_of_a_step_have_that_step_and_are_exact() {
        let mut largest = 1e-30f32;
        while largest < 1e30 {
            let step = shift_step(largest);
            assert_eq!(step.to_bits() & 0xff, 0, "{largest}");
            assert!((step * 127.0 / largest - 1.0).abs() < 2e-5);
            assert_eq!((largest / step).round_ties_even(), 127.0);
            assert_eq!(shift_step(127.0 * step), step);
            for multiple in 0..=127 {
                let multiple = multiple as f32;
                assert_eq!(multiple * step / step, multiple);
            }
            largest *= 1.037;
        }
        assert_eq!(shift_step(0.0), 0.0);
    }
}
