//! Instruction sets with registers of 128 bits, four of them a vector.

use super::instruction_set::InstructionSet;
use super::micro::linear::{self, Epilogue, Inputs, Plain, Weights};
use super::micro::patches::{self, Patches};
use super::registers::{Registers, Vectors};

/// Vectors of four registers of 128 bits.
pub(crate) type Quarters<R> = Vectors<R, 4, 4, 2>;

impl<R: Registers<4, 2>> InstructionSet for Quarters<R> {
    #[inline(always)]
    fn linear<E: Epilogue>(self, inputs: Inputs<'_>, weights: Weights<'_>, epilogue: &mut E) {
        linear::run::<Self, Plain, E, 1>(self, inputs, weights, epilogue);
    }

    #[inline(always)]
    fn patches(self, patches: Patches<'_>) {
        patches::run::<Self, 4, 1>(self, patches);
    }
}
