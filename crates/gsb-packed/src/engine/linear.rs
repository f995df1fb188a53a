//! Binary linear layers with what follows them folded in.

mod bits;
mod decisions;
mod floats;
mod rule;
mod weight;

pub(super) use bits::BitLayer;
pub(super) use floats::FloatLayer;
pub(super) use rule::{level_threshold, quotient_threshold};
pub(super) use weight::{BitRows, BitWeight, SumScratch, factors};
