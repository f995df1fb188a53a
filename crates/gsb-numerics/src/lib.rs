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
