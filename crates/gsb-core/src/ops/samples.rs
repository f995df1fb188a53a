//! What tests of the operations have in common, whatever the backend.

use gsb_numerics::ThresholdScope;

use super::superposition::{Superposed, ValueGradient};

pub(super) const SCOPES: [ThresholdScope; 3] = [
    ThresholdScope::Batch,
    ThresholdScope::Sample,
    ThresholdScope::Row,
];

/// The superpositions, that of the value with each of its gradients.
pub(super) const KINDS: [(Superposed, ValueGradient); 3] = [
    (Superposed::Attention, ValueGradient::Published),
    (Superposed::Value, ValueGradient::Published),
    (Superposed::Value, ValueGradient::Plain),
];

/// Values with ties, zeros of both signs, and everything beyond the bounds.
pub(super) fn values(shape: [usize; 3], seed: u64) -> Vec<f32> {
    let n: usize = shape.iter().product();
    let value = |i: usize| {
        // A multiplicative hash, spread over -2..2.
        let hash = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15 ^ (seed << 7)) >> 40;
        let x = hash as f32 / (1 << 22) as f32 - 2.0;
        match i % 11 {
            0 => 0.0,
            1 => -0.0,
            2 => 0.25,
            3 => 0.5,
            4 => -0.5,
            5 => x * 100.0,
            _ => x,
        }
    };
    (0..n).map(value).collect()
}
