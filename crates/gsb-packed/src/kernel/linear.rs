//! Binary linear layers: arranging their weights, products, and what is made of the counts.

use super::instruction_set::{InstructionSet, Task};
use super::micro::linear::{Epilogue, Inputs, PANEL, Weights};
use super::simd::{LANES, Line, Simd};

/// A product and its epilogue.
pub(crate) struct Linear<'a, E> {
    pub(crate) inputs: Inputs<'a>,
    pub(crate) weights: Weights<'a>,
    pub(crate) epilogue: &'a mut E,
}

impl<E: Epilogue> Task for Linear<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: InstructionSet>(self, s: S) {
        s.linear(self.inputs, self.weights, self.epilogue);
    }
}

/// The set of counts that make a bit 1: all but an interval. `[channels]`, padded to panels.
#[derive(Debug, Default)]
pub(crate) struct Intervals {
    /// The first count of the interval.
    pub(crate) low: Vec<[Line; 4]>,
    /// The last less the first.
    pub(crate) width: Vec<[Line; 4]>,
    /// Channels whose set is no such, ascending, with a bit for each count.
    pub(crate) tables: Vec<(usize, Vec<bool>)>,
}

/// Makes bits, 64 of a panel.
pub(crate) struct ToBits<'a> {
    pub(crate) intervals: &'a Intervals,
    /// `[rows, stride]`.
    pub(crate) out: &'a mut [u32],
    pub(crate) stride: usize,
}

impl Epilogue for ToBits<'_> {
    #[inline(always)]
    fn put<S: Simd>(&mut self, s: S, row: usize, panel: usize, counts: [S::U; 4]) {
        let (low, width) = (&self.intervals.low[panel], &self.intervals.width[panel]);
        let mut bits = 0u64;
        for v in 0..4 {
            let beyond = s.sub_u(counts[v], s.load_u(&low[v].0));
            let mask = s.gt_u(beyond, s.load_u(&width[v].0));
            bits |= u64::from(s.mask_bits(mask)) << (LANES * v);
        }
        if !self.intervals.tables.is_empty() {
            bits = self.look_up(s, panel, counts, bits);
        }
        let out = &mut self.out[row * self.stride + 2 * panel..][..2];
        out[0] = bits as u32;
        out[1] = (bits >> 32) as u32;
    }
}

impl ToBits<'_> {
    #[inline(always)]
    fn look_up<S: Simd>(&self, s: S, panel: usize, counts: [S::U; 4], mut bits: u64) -> u64 {
        let mut lines = [[0; LANES]; 4];
        for v in 0..4 {
            s.store_u(counts[v], &mut lines[v]);
        }
        for (channel, table) in &self.intervals.tables {
            if channel / PANEL == panel {
                let at = channel % PANEL;
                let count = lines[at / LANES][at % LANES] as usize;
                bits = bits & !(1 << at) | u64::from(table[count]) << at;
            }
        }
        bits
    }
}

/// `(base - count) * factor + bias`, what a linear layer gives, `[channels]`, padded to panels.
#[derive(Debug, Default)]
pub(crate) struct Affine {
    /// The sum of products where no bits differ, in units of what a different bit changes.
    pub(crate) base: Vec<[Line<f32>; 4]>,
    /// What such a unit is worth.
    pub(crate) factor: Vec<[Line<f32>; 4]>,
    pub(crate) bias: Vec<[Line<f32>; 4]>,
}

impl Affine {
    #[inline(always)]
    fn value<S: Simd>(&self, s: S, panel: usize, v: usize, counts: S::U) -> S::F {
        let units = s.sub(s.load_f(&self.base[panel][v].0), s.to_f(counts));
        let scaled = s.mul(units, s.load_f(&self.factor[panel][v].0));
        s.add(scaled, s.load_f(&self.bias[panel][v].0))
    }
}

/// Makes floats, and adds a shift.
pub(crate) struct ToFloats<'a> {
    pub(crate) affine: &'a Affine,
    pub(crate) shift: &'a [[Line<f32>; 4]],
    /// `[rows, stride]`, a stride being whole panels.
    pub(crate) out: &'a mut [[Line<f32>; 4]],
    pub(crate) panels: usize,
}

impl Epilogue for ToFloats<'_> {
    #[inline(always)]
    fn put<S: Simd>(&mut self, s: S, row: usize, panel: usize, counts: [S::U; 4]) {
        let out = &mut self.out[row * self.panels + panel];
        for v in 0..4 {
            let value = self.affine.value(s, panel, v, counts[v]);
            s.store_f(
                s.add(value, s.load_f(&self.shift[panel][v].0)),
                &mut out[v].0,
            );
        }
    }
}

/// Adds to the residual stream.
pub(crate) struct ToResidual<'a> {
    pub(crate) affine: &'a Affine,
    /// `[rows, panels]`.
    pub(crate) stream: &'a mut [[Line<f32>; 4]],
    pub(crate) panels: usize,
}

impl Epilogue for ToResidual<'_> {
    #[inline(always)]
    fn put<S: Simd>(&mut self, s: S, row: usize, panel: usize, counts: [S::U; 4]) {
        let stream = &mut self.stream[row * self.panels + panel];
        for v in 0..4 {
            let value = self.affine.value(s, panel, v, counts[v]);
            s.store_f(s.add(s.load_f(&stream[v].0), value), &mut stream[v].0);
        }
    }
}

/// Stores the counts of one row.
pub(crate) struct ToCounts<'a>(pub(crate) &'a mut [[Line; 4]]);

impl Epilogue for ToCounts<'_> {
    #[inline(always)]
    fn put<S: Simd>(&mut self, s: S, _row: usize, panel: usize, counts: [S::U; 4]) {
        for v in 0..4 {
            s.store_u(counts[v], &mut self.0[panel][v].0);
        }
    }
}

/// Arranges the bits of a weight in panels: `row(channel, out)` gives a row's words.
pub(crate) struct Arrange<'a, F> {
    /// Words of a row.
    pub(crate) words: usize,
    pub(crate) row: F,
    /// `[panels, words]`.
    pub(crate) out: &'a mut [[Line; 4]],
}

impl<F: FnMut(usize, &mut [u32])> Task for Arrange<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: InstructionSet>(mut self, s: S) {
        let mut rows = vec![0u32; PANEL * self.words];
        for (panel, out) in self.out.chunks_exact_mut(self.words).enumerate() {
            for (channel, row) in rows.chunks_exact_mut(self.words).enumerate() {
                (self.row)(panel * PANEL + channel, row);
            }
            for (word, out) in out.iter_mut().enumerate() {
                let mut column = [0; PANEL];
                for (out, row) in column.iter_mut().zip(rows.chunks_exact(self.words)) {
                    *out = row[word];
                }
                *out = S::arrange(&column);
            }
            s.arrange_panel(out);
        }
    }
}

/// Adds to sums, for each channel of an arranged weight, 1 where the bit at a position is set and -1 where it is not.
pub(crate) struct AddSigns<'a> {
    pub(crate) weights: Weights<'a>,
    pub(crate) position: usize,
    pub(crate) sums: &'a mut [i32],
}

impl Task for AddSigns<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: InstructionSet>(self, s: S) {
        let Weights { panels, words } = self.weights;
        let (word, bit) = (self.position / 32, self.position % 32);
        for (sums, panel) in self.sums.chunks_mut(PANEL).zip(panels.chunks_exact(words)) {
            for (channel, sum) in sums.iter_mut().enumerate() {
                let set = s.arranged(panel, word, channel) >> bit & 1 == 1;
                *sum += if set { 1 } else { -1 };
            }
        }
    }
}
