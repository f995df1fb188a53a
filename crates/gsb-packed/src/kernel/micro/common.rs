//! Operands of counts of the ones that attention and value have in common.

use crate::kernel::simd::{LANES, Line};

/// A plane of the value's bits of a head.
#[derive(Clone, Copy, Default)]
pub(crate) struct ValuePlane<'a> {
    /// `[token words, stride]`, from the head's first vector on, see
    /// [`pair_channels`](crate::kernel::instruction_set::InstructionSet::pair_channels).
    pub(crate) lines: &'a [Line],
    pub(crate) stride: usize,
}

/// Counts of two blocks of 16 queries.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
pub(crate) struct Halves(pub(crate) [[u16; LANES]; 2]);
