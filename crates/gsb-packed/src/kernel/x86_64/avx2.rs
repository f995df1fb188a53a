//! AVX2, two registers a vector.
//!
//! Binary products take another way than elsewhere. There is no instruction that counts ones, but one
//! that looks up 16 bytes: half a byte of a row chooses a table of `popcount(half ^ i)`, half a byte of
//! the weight of each channel is the index `i`. Attention and value are multiplied likewise, two blocks of
//! queries at once.
#![allow(unsafe_code)] // Vector instructions are unsafe where the machine may lack them.

mod common;
mod linear;
mod registers;

pub(crate) use registers::Avx2;

use crate::kernel::instruction_set::{InstructionSet, Task};
use crate::kernel::micro::common::{Halves, ValuePlane};
use crate::kernel::micro::linear::{Epilogue, Inputs, Weights};
use crate::kernel::micro::patches::{self, Patches};
use crate::kernel::registers::Vectors;
use crate::kernel::simd::Line;
use registers::TwoRegisters;

impl Avx2 {
    /// Runs a task compiled for these instructions.
    pub(crate) fn run<T: Task>(self, task: T) -> T::Output {
        #[target_feature(enable = "avx2")]
        fn enabled<T: Task>(task: T, s: TwoRegisters) -> T::Output {
            task.run(s)
        }
        // SAFETY: `self` exists only where the machine has the instructions.
        unsafe { enabled(task, Vectors(self)) }
    }
}

impl InstructionSet for TwoRegisters {
    const TOGETHER: bool = true;

    #[inline(always)]
    fn rows(self) -> usize {
        linear::ROWS
    }

    fn arrange(words: &[u32; 64]) -> [Line; 4] {
        linear::arrange(words)
    }

    #[inline(always)]
    fn arranged(self, panel: &[[Line; 4]], word: usize, channel: usize) -> u32 {
        linear::arranged(&panel[word], channel)
    }

    #[inline(always)]
    fn linear<E: Epilogue>(self, inputs: Inputs<'_>, weights: Weights<'_>, epilogue: &mut E) {
        self.multiply(inputs, weights, epilogue);
    }

    #[inline(always)]
    fn patches(self, patches: Patches<'_>) {
        patches::run::<Self, 6, 1>(self, patches);
    }

    #[inline(always)]
    fn pair_channels(self, x: Self::U) -> Self::U {
        [self.pair(x[0]), self.pair(x[1])]
    }

    #[inline(always)]
    fn count_together(
        self,
        keys: [&[Line]; 2],
        planes: &[ValuePlane<'_>],
        channels: usize,
        out: &mut [Halves],
    ) {
        self.count_common(keys, planes, channels, out);
    }
}
