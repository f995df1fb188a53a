//! What the loops compute for one element, with a scale for each of `G` groups.

use gsb_cpu::flex::Pointwise;

use crate::ops::superposition::{Superposition, ValueGradient};

/// A superposition whose kernel depends on the extrema of a scope.
pub(super) trait Groups<const G: usize>: Pointwise<G> {
    fn new(scales: [f32; G], max: f32, min: f32, spec: &Superposition) -> Self;
}

/// A learned-scale quantizer: to signs, or to rounded levels.
#[derive(Clone, Copy)]
pub(super) struct Level<const SIGN: bool> {
    scale: f32,
    range: (f32, f32),
}

impl<const SIGN: bool> Level<SIGN> {
    pub(super) fn new(scale: f32, range: (f32, f32)) -> Self {
        Self { scale, range }
    }
}

impl<const SIGN: bool> Pointwise<1> for Level<SIGN> {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        if SIGN {
            sign(x) * self.scale
        } else {
            rounded(x / self.scale, self.range) * self.scale
        }
    }

    #[inline(always)]
    fn gradient(self, x: f32, g: f32) -> (f32, [f32; 1], [f32; 1]) {
        let q = x / self.scale;
        let inside = within(q, self.range);
        let level = if SIGN {
            sign(x)
        } else {
            rounded(q, self.range)
        };
        (pass(inside, g), [(level - pass(inside, q)) * g], [0.0])
    }
}

/// The superposition of a non-negative tensor.
#[derive(Clone, Copy)]
pub(super) struct AttentionGroups<const G: usize> {
    scales: [f32; G],
    /// Elements above are members; the first group has no bound.
    bounds: [f32; G],
    range: (f32, f32),
}

impl<const G: usize> Groups<G> for AttentionGroups<G> {
    fn new(scales: [f32; G], max: f32, _min: f32, spec: &Superposition) -> Self {
        Self {
            scales,
            bounds: bounds(max, spec),
            range: spec.range,
        }
    }
}

impl<const G: usize> Pointwise<G> for AttentionGroups<G> {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        let first = self.scales[0];
        let mut y = rounded(x / first, self.range) * first;
        for k in 1..G {
            y += pass(x > self.bounds[k], self.scales[k]);
        }
        y
    }

    #[inline(always)]
    fn gradient(self, x: f32, g: f32) -> (f32, [f32; G], [f32; G]) {
        let q = x / self.scales[0];
        let inside = within(q, self.range);
        let mut grad = pass(inside, g);
        let mut terms = [0.0; G];
        let mut members = [0.0; G];
        terms[0] = (rounded(q, self.range) - pass(inside, q)) * g;
        for k in 1..G {
            let member = x > self.bounds[k];
            terms[k] = pass(member, g);
            members[k] = pass(member, 1.0);
            grad += terms[k] * self.scales[k];
        }
        (grad, terms, members)
    }
}

/// The superposition of a signed tensor.
#[derive(Clone, Copy)]
pub(super) struct ValueGroups<const G: usize> {
    scales: [f32; G],
    /// Elements above or below are members; the first group has no bounds.
    above: [f32; G],
    below: [f32; G],
    /// What an element off the group adds to the gradient's factor: 1, or 0 if nobody is in it.
    off: [f32; G],
    range: (f32, f32),
    /// Whether the gradient passes in the range of the first group alone.
    plain: bool,
}

impl<const G: usize> Groups<G> for ValueGroups<G> {
    fn new(scales: [f32; G], max: f32, min: f32, spec: &Superposition) -> Self {
        let (above, below) = (bounds(max, spec), bounds(min, spec));
        let off = std::array::from_fn(|k| pass(max > above[k] || min < below[k], 1.0));
        Self {
            scales,
            above,
            below,
            off,
            range: spec.range,
            plain: spec.value_gradient == ValueGradient::Plain,
        }
    }
}

impl<const G: usize> Pointwise<G> for ValueGroups<G> {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        let sign = sign(x);
        let mut y = sign * self.scales[0];
        for k in 1..G {
            y += pass(
                (x > self.above[k]) | (x < self.below[k]),
                sign * self.scales[k],
            );
        }
        y
    }

    #[inline(always)]
    fn gradient(self, x: f32, g: f32) -> (f32, [f32; G], [f32; G]) {
        let sign = sign(x);
        let q = x / self.scales[0];
        let inside = within(q, self.range);
        let mut factor = pass(inside, 1.0);
        let mut terms = [0.0; G];
        let mut members = [0.0; G];
        terms[0] = (sign - pass(inside, q)) * g;
        for k in 1..G {
            let member = (x > self.above[k]) | (x < self.below[k]);
            let q = x / self.scales[k];
            let inside = within(q, self.range);
            terms[k] = pass(member, (sign - pass(inside, q)) * g);
            members[k] = pass(member, 1.0);
            factor += if member {
                pass(inside, 1.0)
            } else {
                self.off[k]
            };
        }
        let grad = match self.plain || G == 1 {
            true => pass(inside, g),
            false => factor * g,
        };
        (grad, terms, members)
    }
}

/// The weight binarizer, its means given. Its gradient is the identity and never computed.
#[derive(Clone, Copy)]
pub(super) struct Centred {
    pub(super) mean: f32,
    pub(super) scale: f32,
}

impl Pointwise<0> for Centred {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        sign(x - self.mean) * self.scale
    }

    #[inline(always)]
    fn gradient(self, _x: f32, g: f32) -> (f32, [f32; 0], [f32; 0]) {
        (g, [], [])
    }
}

/// The bounds of groups 2, 3, ... for an extremum; that of the first is never looked at.
fn bounds<const G: usize>(extremum: f32, spec: &Superposition) -> [f32; G] {
    std::array::from_fn(|k| {
        if k == 0 {
            0.0
        } else {
            extremum * spec.thresholds[k - 1]
        }
    })
}

#[inline(always)]
fn pass(condition: bool, value: f32) -> f32 {
    if condition { value } else { 0.0 }
}

#[inline(always)]
fn sign(x: f32) -> f32 {
    pass(x > 0.0, 1.0) - pass(x < 0.0, 1.0)
}

#[inline(always)]
fn within(q: f32, (qn, qp): (f32, f32)) -> bool {
    // What is no number is neither below nor above.
    !((q < qn) | (q > qp))
}

/// `clamp(round(q), Qn, Qp)`, half to even.
#[inline(always)]
fn rounded(q: f32, (qn, qp): (f32, f32)) -> f32 {
    // Adding 1.5 * 2^23 leaves no bits for the fraction, and the addition rounds half to even. A
    // library call where there is no instruction for it would keep the loop from vectorising.
    const NO_FRACTION: f32 = 12_582_912.0;
    // What is no number stays none, so that a training notices.
    let low = if q < qn { qn } else { q };
    let clamped = if low > qp { qp } else { low };
    (clamped + NO_FRACTION) - NO_FRACTION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_half_to_even_as_the_standard_library() {
        for i in -2_000..2_000 {
            let q = i as f32 * 0.125;
            assert_eq!(
                rounded(q, (-128.0, 127.0)),
                q.round_ties_even().clamp(-128.0, 127.0),
                "{q}"
            );
        }
        assert_eq!(rounded(f32::INFINITY, (0.0, 3.0)), 3.0);
        assert_eq!(rounded(f32::NEG_INFINITY, (0.0, 3.0)), 0.0);
    }
}
