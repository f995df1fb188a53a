//! The Gaussian error linear unit, without branches so that it runs in vectors.

use super::kernel::Pointwise;

/// `x P(N(0, 1) <= x)`, cut off at plus and minus a bound.
#[derive(Clone, Copy)]
pub(super) struct Gelu {
    bound: f32,
}

impl Gelu {
    pub(super) fn new(bound: Option<f32>) -> Self {
        Self {
            bound: bound.unwrap_or(f32::INFINITY),
        }
    }
}

impl Pointwise<0> for Gelu {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        let (below, _) = normal(x);
        let y = x * below;
        // NaN fails both comparisons and stays.
        let y = if y > self.bound { self.bound } else { y };
        if y < -self.bound { -self.bound } else { y }
    }

    #[inline(always)]
    fn gradient(self, x: f32, g: f32) -> (f32, [f32; 0], [f32; 0]) {
        let (below, density) = normal(x);
        let y = x * below;
        let outside = (y > self.bound) | (y < -self.bound);
        let grad = g * (below + x * density);
        (if outside { 0.0 } else { grad }, [], [])
    }
}

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

/// Distribution and density of the normal distribution. The tail is a product, not a difference
/// from 1: it keeps its relative accuracy.
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    let t = x.abs().min(FARTHEST);
    let bell = exp(-0.5 * t * t);
    let k = 1.0 / (1.0 + 0.3 * t);
    let mut tail = TAIL[0];
    for c in &TAIL[1..] {
        tail = tail * k + c;
    }
    let tail = if t < FARTHEST { tail * k * bell } else { 0.0 };
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

/// `exp(y)` for `y` from -87 to 0: `2^n exp(r)` with `y = n ln(2) + r`.
#[inline(always)]
pub(super) fn exp(y: f32) -> f32 {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `P(N(0, 1) <= x)` in double precision.
    fn distribution(x: f64) -> f64 {
        0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
    }

    const GELU: Gelu = Gelu {
        bound: f32::INFINITY,
    };

    fn inputs() -> impl Iterator<Item = f32> {
        (-96_000..=96_000).map(|i| i as f32 * 1e-4)
    }

    #[test]
    fn values_are_accurate_to_the_last_bits() {
        for x in inputs() {
            let exact = f64::from(x) * distribution(x.into());
            let error = (f64::from(GELU.value(x)) - exact).abs();
            // The polynomial's 5e-8 and some ten roundings; in the tail also those of t^2 / 2.
            let roundings = 12.0 + f64::from(x * x);
            let bound = (5e-8 + roundings * 6e-8) * exact.abs();
            assert!(error <= bound, "{x}: error {error:e}, bound {bound:e}");
        }
    }

    #[test]
    fn gradients_are_accurate_to_the_last_bits() {
        for x in inputs() {
            let wide = f64::from(x);
            let density = (-0.5 * wide * wide).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let exact = distribution(wide) + wide * density;
            let (got, [], []) = GELU.gradient(x, 1.0);
            let error = (f64::from(got) - exact).abs();
            let size = distribution(wide) + (wide * density).abs();
            let bound = (5e-8 + (14.0 + wide * wide) * 6e-8) * size;
            assert!(error <= bound, "{x}: error {error:e}, bound {bound:e}");
        }
    }

    #[test]
    fn ends_are_defined() {
        assert_eq!(GELU.value(0.0), 0.0);
        assert_eq!(GELU.value(100.0), 100.0);
        assert_eq!(GELU.value(f32::INFINITY), f32::INFINITY);
        assert_eq!(GELU.value(-1e30), 0.0);
        assert!(GELU.value(f32::NAN).is_nan());
    }

    #[test]
    fn beyond_the_bound_nothing_moves() {
        let gelu = Gelu::new(Some(2.0));
        assert_eq!((gelu.value(3.0), gelu.gradient(3.0, 1.0).0), (2.0, 0.0));
        let (value, gradient) = (GELU.value(1.5), GELU.gradient(1.5, 1.0).0);
        assert_eq!(
            (gelu.value(1.5), gelu.gradient(1.5, 1.0).0),
            (value, gradient)
        );
        assert!(gelu.value(f32::NAN).is_nan());
    }
}
