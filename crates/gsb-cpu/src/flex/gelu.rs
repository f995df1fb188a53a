//! The Gaussian error linear unit, cut off at a bound.

use gsb_numerics::normal;

use super::elementwise::Pointwise;

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
