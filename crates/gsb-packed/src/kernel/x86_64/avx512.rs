//! AVX-512 with its population counts (VPOPCNTDQ, BITALG), byte products (VNNI) and maps of bits (GFNI); where there is AMX,
//! its tiles.
#![allow(unsafe_code)] // Vector instructions are unsafe where the machine may lack them.

mod linear;
mod registers;
mod tiles;
mod turn;

pub(crate) use registers::Avx512;

use bytemuck::Pod;

use crate::kernel::instruction_set::{InstructionSet, Task};
use crate::kernel::micro::linear::{Epilogue, Inputs, Plain, Weights, run};
use crate::kernel::micro::patches::{self, Patches};
use crate::kernel::product::Product;
use crate::kernel::simd::{LANES, Line};

impl Avx512 {
    /// Runs a task compiled for these instructions.
    pub(crate) fn run<T: Task>(self, task: T) -> T::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
        #[target_feature(enable = "avx512vpopcntdq,avx512bitalg,avx512vnni,gfni")]
        fn enabled<T: Task>(task: T, s: Avx512) -> T::Output {
            task.run(s)
        }
        // SAFETY: `self` exists only where the machine has the instructions.
        unsafe { enabled(task, self) }
    }
}

impl InstructionSet for Avx512 {
    #[inline(always)]
    fn rows(self) -> usize {
        match self.product {
            Product::Plain => linear::PLAIN_ROWS,
            Product::Threes => linear::ROWS,
            Product::Tiles => tiles::ROWS,
        }
    }

    #[inline(always)]
    fn arrange_panel(self, words: &mut [[Line; 4]]) {
        match self.product {
            Product::Plain | Product::Tiles => {}
            Product::Threes => linear::arrange_panel(words),
        }
    }

    #[inline(always)]
    fn arranged(self, panel: &[[Line; 4]], word: usize, channel: usize) -> u32 {
        match self.product {
            Product::Plain | Product::Tiles => panel[word][channel / LANES].0[channel % LANES],
            Product::Threes => linear::arranged(panel, word, channel),
        }
    }

    #[inline(always)]
    fn linear<E: Epilogue>(self, inputs: Inputs<'_>, weights: Weights<'_>, epilogue: &mut E) {
        match self.product {
            Product::Plain => {
                run::<Self, Plain, E, { linear::PLAIN_ROWS }>(self, inputs, weights, epilogue);
            }
            Product::Threes => {
                run::<Self, linear::Threes, E, { linear::ROWS }>(self, inputs, weights, epilogue);
            }
            Product::Tiles => tiles::run(self, inputs, weights, epilogue),
        }
    }

    #[inline(always)]
    fn turn<T: Pod>(self, rows: [&[T]; LANES], lines: &mut [[T; LANES]]) -> usize {
        turn::turn(self, rows, lines)
    }

    #[inline(always)]
    fn patches(self, patches: Patches<'_>) {
        patches::run::<Self, 6, 4>(self, patches);
    }
}
