//! What turns a sum into a bit.

use gsb_numerics::gelu;

/// What turns a sum into a bit.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) factor: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) shift: Vec<f32>,
    /// Compared after the GELU; without, the sign counts.
    pub(super) level: Option<f32>,
}

/// What a hidden value is clamped to after the GELU.
pub(super) const HIDDEN_BOUND: f32 = 10.0;

impl Rule {
    /// The sign of a sum, or 0, or whether its level is 1.
    pub(super) fn decide(&self, channel: usize, sum: i32) -> i8 {
        let (factor, bias, shift) = (
            self.factor[channel],
            self.bias[channel],
            self.shift[channel],
        );
        match self.level {
            None => sign(sum, factor, bias, shift),
            Some(level) => is_level(sum, factor, bias, shift, level),
        }
    }
}

/// The sign of a shifted output.
#[inline(always)]
fn sign(sum: i32, factor: f32, bias: f32, shift: f32) -> i8 {
    let y = sum as f32 * factor + bias + shift;
    i8::from(y > 0.0) - i8::from(y < 0.0)
}

/// A hidden value.
#[inline(always)]
pub(super) fn hidden(x: f32) -> f32 {
    let y = gelu(x);
    let y = if y > HIDDEN_BOUND { HIDDEN_BOUND } else { y };
    if y < -HIDDEN_BOUND { -HIDDEN_BOUND } else { y }
}

/// Whether a shifted hidden value is above a level.
#[inline(always)]
pub(super) fn is_level(sum: i32, factor: f32, bias: f32, shift: f32, level: f32) -> i8 {
    i8::from(hidden(sum as f32 * factor + bias) + shift > level)
}

/// The largest number whose quotient with a scale does not round to 1: beyond it, levels are 1.
pub(in crate::engine) fn level_threshold(scale: f32) -> f32 {
    quotient_threshold(scale, 0.5)
}

/// The largest number whose quotient with a scale is, in single precision, at most a bound.
pub(in crate::engine) fn quotient_threshold(scale: f32, bound: f32) -> f32 {
    let mut threshold = scale * bound;
    while threshold / scale > bound {
        threshold = threshold.next_down();
    }
    while threshold.next_up() / scale <= bound {
        threshold = threshold.next_up();
    }
    threshold
}
