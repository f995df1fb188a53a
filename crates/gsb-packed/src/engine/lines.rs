//! Values of channels, padded to panels of 64 and aligned to cache lines.

use crate::kernel::micro::linear::PANEL;
use crate::kernel::simd::{LANES, Line};

/// Panels that hold a number of channels.
pub(super) fn panels(channels: usize) -> usize {
    channels.div_ceil(PANEL)
}

/// The values of channels.
pub(super) fn lines<T: Copy>(
    channels: usize,
    padding: T,
    value: impl Fn(usize) -> T,
) -> Vec<[Line<T>; 4]> {
    let at = |channel: usize| {
        if channel < channels {
            value(channel)
        } else {
            padding
        }
    };
    let line = |first: usize| Line(std::array::from_fn(|lane| at(first + lane)));
    (0..panels(channels))
        .map(|panel| std::array::from_fn(|v| line(panel * PANEL + v * LANES)))
        .collect()
}

/// An element of lines.
pub(super) fn element<T: Copy>(lines: &[[Line<T>; 4]], channel: usize) -> T {
    lines[channel / PANEL][channel % PANEL / LANES].0[channel % LANES]
}

/// A place of an element of lines.
pub(super) fn element_mut<T>(lines: &mut [[Line<T>; 4]], channel: usize) -> &mut T {
    &mut lines[channel / PANEL][channel % PANEL / LANES].0[channel % LANES]
}
