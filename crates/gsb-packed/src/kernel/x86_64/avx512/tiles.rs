//! Products of binary matrices by the tiles of AMX, which multiply 16 rows of 64 bytes by 16 channels in 16 cycles.
//!
//! Bits become bytes: those of the rows 1 and -1, those of the weight -1 for a one and 0 for a zero. The sum of their
//! products is the number of ones of the weight where the row has a zero, less that where it has a one; with the ones of
//! the row added, it is the number of bits that differ. Padding of the weight is 0, so that of a row counts for nothing.
//!
//! The products of a network take about as long as by counting where a thread has a core for itself, and 1.7 times as long
//! where another thread shares the core: so a process uses tiles only if it is told to.

mod registers;
mod workspace;

use gsb_amx::{Amx, Operands};

use super::registers::Avx512;
use crate::kernel::micro::linear::{Epilogue, Inputs, PANEL, Weights};
use crate::kernel::simd::{LANES, Simd};
use registers::Tiles;
use workspace::Workspace;

/// Rows of a tile.
pub(super) const ROWS: usize = 16;

/// Words of a row in a tile.
const WORDS: usize = 2;

/// Registers of memory that a tile fills.
const LINES: usize = 16;

/// Tiles of a panel side by side.
const ACROSS: usize = PANEL / LANES;

/// Rows that are bytes at a time: few enough for the second cache.
const BLOCK: usize = 16 * ROWS;

/// Whether the machine has tiles of bytes and the system lets this process use them.
pub(super) fn available() -> bool {
    Amx::new(Operands::Bytes).is_ok()
}

/// Multiplies rows of bits by a binary weight.
#[inline(always)]
pub(super) fn run<E: Epilogue>(
    s: Avx512,
    inputs: Inputs<'_>,
    weights: Weights<'_>,
    epilogue: &mut E,
) {
    let mut workspace = Workspace::take();
    let tiles = Tiles::new();
    for (first, rows) in inputs.tiles::<BLOCK>() {
        workspace.set_rows(s, inputs, first, rows, weights.words);
        for (index, panel) in weights.panels.chunks_exact(weights.words).enumerate() {
            workspace.set_panel(s, panel);
            for start in (0..rows).step_by(2 * ROWS) {
                let pair = start..rows.min(start + 2 * ROWS);
                for (row, (ones, counts)) in pair.clone().zip(workspace.multiply(&tiles, pair)) {
                    let ones = s.splat_u(ones);
                    let mut sums = [ones; ACROSS];
                    for v in 0..ACROSS {
                        sums[v] = s.add_u(ones, s.load_u(&counts[v].0));
                    }
                    epilogue.put(s, first + row, index, sums);
                }
            }
        }
    }
    drop(tiles);
    workspace.give_back();
}
