//! The normal distribution and the Gaussian error linear unit, without branches so that they run in
//! vectors.

/// `1 / sqrt(2 pi)`.
const DENSITY: f32 = 0.398_942_3;

/// Beyond this many deviations the tail is below 1e-23 and counts as nothing.
const FARTHEST: f32 = 10.0;

/// Coefficients of `P(N < -t) exp(t^2 / 2) = k (c0 k^7 + c1 k^6 + ..)`, `k = 1 / (1 + 0.3 t)`, fitted
/// for the smallest relative error on `t` from 0 to 10: 5e-8.
const TAIL: [f32; 8] = [
    0.037_547_99,
    -0.165_077_33,
    0.220_084_88,
    -0.066_524_15,
    0.135_496_3,
    0.097_756_09,
    0.121_111_21,
    0.119_605_04,
];

/// Distribution `P(N(0, 1) <= x)` and density of the normal distribution. The tail is a product, not a
/// difference from 1: it keeps its relative accuracy.
#[inline(always)]
pub fn normal(x: f32) -> (f32, f32) {
    let t = x.abs().min(FARTHEST);
    let bell = exp(-0.5 * t * t);
    let k = 1.0 / (1.0 + 0.3 * t);
    let mut tail = TAIL[0];
    for c in &TAIL[1..] {
        tail = tail * k + c;
    }
    // Out there the density would be that of the farthest point, which large numbers are multiplied with.
    let bell = if t < FARTHEST { bell } else { 0.0 };
    let tail = tail * k * bell;
    (if x < 0.0 { tail } else { 1.0 - tail }, DENSITY * bell)
}

/// Coefficients of `exp(r)` on `-ln(2) / 2 ..= ln(2) / 2`, from the highest power: interpolated at
/// Chebyshev points, relative error 3e-9.
const EXP: [f32; 7] = [
    0.001_394_110_8,
    0.008_375_126,
    0.041_666_35,
    0.166_664_15,
    0.5,
    1.0,
    1.0,
];

/// `exp(y)` for `y` from -87 to 0, relative error 1e-7: `2^n exp(r)` with `y = n ln(2) + r`.
#[inline(always)]
pub fn exp(y: f32) -> f32 {
    // Adding and subtracting 1.5 * 2^23 rounds to an integer.
    const ROUND: f32 = 12_582_912.0;
    let shifted = y * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln(2) in two parts, the first short enough that its product with n is exact.
    let r = (y - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let mut value = EXP[0];
    for c in &EXP[1..] {
        value = value * r + c;
    }
    // The low bits of the shifted number are n: they go into the exponent.
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits());
    f32::from_bits(value.to_bits().wrapping_add(exponent << 23))
}

/// The Gaussian error linear unit, `x P(N(0, 1) <= x)`.
///
/// ```
/// assert!((gsb_numerics::gelu(1.0) - 0.841_344_7).abs() < 2e-7);
/// ```
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    x * normal(x).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        for (x, y) in [
            (0.0, 0.0),
            (1.0, 0.841_344_7),
            (-1.0, -0.158_655_25),
            (-12.0, 0.0),
            (12.0, 12.0),
        ] {
            assert!((gelu(x) - y).abs() <= 2e-7, "{x}: {} against {y}", gelu(x));
        }
    }

    /// As in the gradient of the Gaussian error linear unit, `P(N(0, 1) <= x) + x density`.
    #[test]
    fn far_away_the_density_times_anything_is_nothing() {
        for x in [12.0, 1e22, f32::MAX] {
            assert_eq!(normal(x), (1.0, 0.0));
            assert_eq!(normal(-x), (0.0, 0.0));
        }
    }
}
