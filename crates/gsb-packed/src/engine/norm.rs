//! Layer normalization with the shift of the layer that follows.

use super::lines::lines;
use crate::kernel::norm::Norm;
use crate::{LayerNorm, PackedConfig};

/// A normalization and a shift.
pub(super) fn fold(norm: &LayerNorm, shift: &[f32], config: &PackedConfig) -> Norm {
    Norm {
        width: config.width,
        epsilon: config.norm_epsilon,
        gamma: lines(config.width, 0.0, |channel| norm.gamma[channel]),
        offset: lines(config.width, -1.0, |channel| {
            norm.beta[channel] + shift[channel]
        }),
    }
}
