//! Micro-kernels: products on the vectors of any instruction set, and their operands.

pub(crate) mod common;
pub(crate) mod linear;
pub(crate) mod patches;
