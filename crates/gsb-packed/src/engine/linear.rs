//! Binary linear layers with what follows them folded in.

mod bits;
mod floats;
mod weight;

pub(super) use bits::{BitLayer, level_threshold, quotient_threshold};
pub(super) use floats::FloatLayer;
pub(super) use weight::{BitRows, BitWeight, SumScratch, factors};
