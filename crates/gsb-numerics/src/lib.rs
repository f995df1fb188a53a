//! What training and packed inference of binarized networks must agree on, bit for bit.
//!
//! A trained student and its packed form make the same decisions because both take their levels,
//! scales and thresholds from here. Plain arithmetic: no tensor library is involved.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod levels;
mod normal;
mod scope;
mod shift;

pub use levels::Levels;
pub use normal::{exp, gelu, normal};
pub use scope::ThresholdScope;
pub use shift::shift_step;

/// The smallest scale: one that is not above it (negative, zero, NaN) acts as this value.
pub const SCALE_GUARD: f32 = 1e-5;

/// Fractions of an extremum beyond which the second and third group of a superposition begin.
pub const GROUP_THRESHOLDS: [f32; 2] = [0.7, 0.9];

/// What an element of an attention matrix must exceed, as a fraction of the first group's scale and of
/// the largest element, to belong to each group.
pub const ATTENTION_THRESHOLDS: [f32; 3] = [0.5, GROUP_THRESHOLDS[0], GROUP_THRESHOLDS[1]];

/// The scale that a learned scale acts as: itself above [`SCALE_GUARD`], else the guard.
///
/// ```
/// use gsb_numerics::{SCALE_GUARD, guarded};
/// assert_eq!(guarded(0.5), 0.5);
/// assert_eq!(guarded(-0.5), SCALE_GUARD);
/// ```
pub fn guarded(scale: f32) -> f32 {
    if scale > SCALE_GUARD {
        scale
    } else {
        SCALE_GUARD
    }
}

/// The scale that the learned scale of a channel of quantized weights acts as: itself, unless it is
/// exactly 0, which acts as [`SCALE_GUARD`].
///
/// ```
/// use gsb_numerics::{SCALE_GUARD, nonzero};
/// assert_eq!(nonzero(-0.5), -0.5);
/// assert_eq!(nonzero(0.0), SCALE_GUARD);
/// ```
pub fn nonzero(scale: f32) -> f32 {
    if scale == 0.0 { SCALE_GUARD } else { scale }
}
