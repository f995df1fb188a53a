//! What differs between instruction sets beyond their vectors: the products, for which each has a
//! fastest way.

use bytemuck::Pod;

use super::micro::common::{Halves, ValuePlane};
use super::micro::linear::{Epilogue, Inputs, Weights};
use super::micro::patches::Patches;
use super::simd::{LANES, Line, Simd};

/// Work that is compiled once for each instruction set.
pub(crate) trait Task {
    /// What it gives.
    type Output;

    /// Does it. Implementations are `#[inline(always)]`, as is all they call on vectors: the
    /// instructions are only at hand inside the function that enables them.
    fn run<S: InstructionSet>(self, s: S) -> Self::Output;
}

/// Asks for [`InstructionSet::rows`].
pub(super) struct Rows;

impl Task for Rows {
    type Output = usize;

    #[inline(always)]
    fn run<S: InstructionSet>(self, s: S) -> usize {
        s.rows()
    }
}

/// An instruction set.
pub(crate) trait InstructionSet: Simd {
    /// Whether [`count_together`](Self::count_together) counts what attention and value have in common.
    const TOGETHER: bool = false;

    /// Rows that [`linear`](Self::linear) multiplies at once.
    #[inline(always)]
    fn rows(self) -> usize {
        1
    }

    /// A word of 64 channels in the order that [`linear`](Self::linear) reads.
    #[inline(always)]
    fn arrange(words: &[u32; 64]) -> [Line; 4] {
        let (lines, _) = words.as_chunks::<LANES>();
        std::array::from_fn(|line| Line(lines[line]))
    }

    /// Arranges the words of a panel, once each of them is, in the order that [`linear`](Self::linear)
    /// reads.
    #[inline(always)]
    fn arrange_panel(self, _words: &mut [[Line; 4]]) {}

    /// A word of a channel, as it was before the panel was arranged.
    #[inline(always)]
    fn arranged(self, panel: &[[Line; 4]], word: usize, channel: usize) -> u32 {
        panel[word][channel / LANES].0[channel % LANES]
    }

    /// Multiplies rows of bits by a binary weight, see [`linear::run`](super::micro::linear::run).
    fn linear<E: Epilogue>(self, inputs: Inputs<'_>, weights: Weights<'_>, epilogue: &mut E);

    /// Multiplies patches by their weight, see [`patches::run`](super::micro::patches::run).
    fn patches(self, patches: Patches<'_>);

    /// `lines[column][row] = rows[row][column]` for some of the first columns: gives how many.
    #[inline(always)]
    fn turn<T: Pod>(self, _rows: [&[T]; LANES], _lines: &mut [[T; LANES]]) -> usize {
        0
    }

    /// A word of 16 channels of the value in the order that [`count_together`](Self::count_together)
    /// reads.
    #[inline(always)]
    fn pair_channels(self, x: Self::U) -> Self::U {
        x
    }

    /// Counts, of two blocks of queries, the ones they have in common with each channel of some planes:
    /// `[planes, channels]`. See [`TOGETHER`](Self::TOGETHER).
    #[inline(always)]
    fn count_together(
        self,
        _keys: [&[Line]; 2],
        _planes: &[ValuePlane<'_>],
        _channels: usize,
        _out: &mut [Halves],
    ) {
    }
}
