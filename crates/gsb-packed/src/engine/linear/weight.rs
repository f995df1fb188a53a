//! The binary weight of a linear layer, and exact sums of its products.

use std::collections::HashSet;
use std::ops::Range;

use gsb_numerics::guarded;

use crate::SignMatrix;
use crate::engine::lines::element;
use crate::engine::memory::{BlockKernels, WeightMemory};
use crate::kernel::Kernels;
use crate::kernel::linear::{AddSigns, Arrange, Linear, ToCounts};
use crate::kernel::micro::linear::{Epilogue, Inputs, PANEL, Weights};
use crate::kernel::norm::Zero;
use crate::kernel::simd::Line;

/// The binary weight of a layer, arranged for the kernels.
///
/// Output channels may be padded, repeated and reordered; input columns come in segments that fill
/// whole words.
#[derive(Debug)]
pub(in crate::engine) struct BitWeight {
    /// Columns, and those of a segment.
    pub(super) columns: usize,
    segment: usize,
    /// The row of each output channel; padding has none.
    pub(super) rows: Vec<Option<usize>>,
    /// Where the words of the panels are among those of the block, and how many a panel has.
    place: Range<usize>,
    words: usize,
    /// Positions of zeros in the flattened matrix, ascending.
    zeros: Vec<u32>,
    /// How many bits of each output channel are set, if the inputs are 0 or 1.
    ones: Vec<u32>,
    /// Whether the inputs are signs rather than 0 or 1.
    signed: bool,
}

/// Rows of bits that enter a layer.
#[derive(Clone, Copy)]
pub(in crate::engine) struct BitRows<'a> {
    /// `[rows, stride]`, followed by padding.
    pub(in crate::engine) words: &'a [u32],
    pub(in crate::engine) stride: usize,
    pub(in crate::engine) rows: usize,
    /// Where a sign is 0, ordered by row.
    pub(in crate::engine) zeros: &'a [Zero],
}

/// What a layer's sums become.
pub(in crate::engine) trait Outcome: Epilogue {
    /// Whether counts do not tell all that is asked for.
    fn needs_sums(&self) -> bool {
        false
    }

    /// Takes the exact sums of a row, for each output channel.
    fn put_sums(&mut self, row: usize, sums: &[i32]);
}

impl BitWeight {
    pub(in crate::engine) fn new(
        kernels: Kernels,
        memory: &mut WeightMemory<'_>,
        signs: &SignMatrix,
        segment: usize,
        rows: Vec<Option<usize>>,
        signed: bool,
    ) -> Self {
        let words = signs.columns() / segment * segment.div_ceil(32);
        let (place, out) = memory.take(rows.len().div_ceil(PANEL) * words);
        kernels.run(Arrange {
            words,
            row: |channel: usize, out: &mut [u32]| match rows.get(channel).copied().flatten() {
                Some(row) => signs.row_words(row, segment, out),
                None => out.fill(0),
            },
            out,
        });
        let ones = |row: &Option<usize>| row.map_or(0, |row| signs.ones(row));
        Self {
            columns: signs.columns(),
            segment,
            place,
            words,
            zeros: of_rows(signs, &rows),
            ones: match signed {
                true => Vec::new(),
                false => rows.iter().map(ones).collect(),
            },
            rows,
            signed,
        }
    }

    /// The row of each output channel; padding has none.
    pub(in crate::engine) fn rows(&self) -> &[Option<usize>] {
        &self.rows
    }

    /// The sum of products of an output channel with inputs none of whose bits differ.
    pub(in crate::engine) fn base(&self, channel: usize) -> i32 {
        match self.rows.get(channel).copied().flatten() {
            Some(_) if !self.signed => self.ones[channel] as i32,
            Some(_) => self.columns as i32,
            None => 0,
        }
    }

    /// The sum of products with a number of different bits.
    fn sum(&self, base: i32, count: u32) -> i32 {
        base - self.unit() as i32 * count as i32
    }

    /// What a different bit changes a sum by.
    pub(super) fn unit(&self) -> f32 {
        if self.signed { 2.0 } else { 1.0 }
    }

    /// Multiplies rows: those without a 0 by the fast kernel, the others with exact sums.
    pub(in crate::engine) fn apply(
        &self,
        with: BlockKernels<'_>,
        inputs: BitRows<'_>,
        sums: &mut SumScratch,
        outcome: &mut impl Outcome,
    ) {
        let all = outcome.needs_sums() || !self.zeros.is_empty();
        let mut zeros = inputs.zeros;
        let mut first = 0;
        while first < inputs.rows {
            let zero = zeros
                .first()
                .map_or(inputs.rows, |zero| zero.0 as usize)
                .min(inputs.rows);
            let exact = if all { first } else { zero };
            self.counts(with, inputs, first..exact, outcome);
            if exact < inputs.rows {
                let of_row = zeros.partition_point(|zero| zero.0 as usize <= exact);
                let (here, after) = zeros.split_at(of_row);
                self.exact_row(with, inputs, exact, here, sums, outcome);
                zeros = after;
            }
            first = exact + 1;
        }
    }

    fn counts(
        &self,
        with: BlockKernels<'_>,
        inputs: BitRows<'_>,
        rows: std::ops::Range<usize>,
        epilogue: &mut impl Epilogue,
    ) {
        if !rows.is_empty() {
            with.kernels.run(Linear {
                inputs: Inputs::new(inputs.words, inputs.stride, rows),
                weights: self.weights(with),
                epilogue,
            });
        }
    }

    fn weights<'a>(&self, with: BlockKernels<'a>) -> Weights<'a> {
        Weights {
            panels: &with.weights[self.place.clone()],
            words: self.words,
        }
    }

    fn exact_row(
        &self,
        with: BlockKernels<'_>,
        inputs: BitRows<'_>,
        row: usize,
        zeros: &[Zero],
        scratch: &mut SumScratch,
        outcome: &mut impl Outcome,
    ) {
        let channels = self.rows.len();
        let SumScratch { counts, sums } = scratch;
        counts.resize_with(channels.div_ceil(PANEL), Default::default);
        self.counts(with, inputs, row..row + 1, &mut ToCounts(counts));
        sums.clear();
        sums.extend(
            (0..channels).map(|channel| self.sum(self.base(channel), element(counts, channel))),
        );
        let padded = self.segment.next_multiple_of(32);
        for &(_, position) in zeros {
            // It counted as -1 times the sign of the weight's bit.
            with.kernels.run(AddSigns {
                weights: self.weights(with),
                position: position as usize,
                sums,
            });
        }
        let words = &inputs.words[row * inputs.stride..][..self.words];
        let columns = self.columns;
        for (sum, row) in sums.iter_mut().zip(&self.rows) {
            let Some(row) = row else { continue };
            let first = self
                .zeros
                .partition_point(|&zero| (zero as usize) < row * columns);
            let of_row = self.zeros[first..]
                .iter()
                .map(|&zero| zero as usize - row * columns);
            for column in of_row.take_while(|&column| column < columns) {
                let position = column / self.segment * padded + column % self.segment;
                if zeros
                    .binary_search_by_key(&position, |zero| zero.1 as usize)
                    .is_err()
                {
                    let bit = words[position / 32] >> (position % 32) & 1 == 1;
                    // It counted as -1 times the input.
                    *sum += if bit { 1 } else { -i32::from(self.signed) };
                }
            }
        }
        outcome.put_sums(row, sums);
    }
}

/// Positions of zeros of a matrix that are in some rows.
fn of_rows(signs: &SignMatrix, rows: &[Option<usize>]) -> Vec<u32> {
    if signs.zeros().is_empty() {
        return Vec::new();
    }
    let rows: HashSet<usize> = rows.iter().copied().flatten().collect();
    let zeros = signs.zeros().iter().copied();
    let is_here = |&zero: &u32| rows.contains(&(zero as usize / signs.columns()));
    zeros.filter(is_here).collect()
}

/// The factor of each row of a linear layer.
pub(in crate::engine) fn factors(
    input_scale: f32,
    weight_scale: Vec<f32>,
) -> impl Fn(usize) -> f32 {
    let input = guarded(input_scale);
    move |row| input * weight_scale[row % weight_scale.len()]
}

/// Memory for exact sums.
#[derive(Debug)]
pub(in crate::engine) struct SumScratch {
    counts: Vec<[Line; 4]>,
    sums: Vec<i32>,
}

impl SumScratch {
    /// Bytes for each panel.
    pub(in crate::engine) const BYTES: usize = size_of::<[Line; 4]>() + PANEL * size_of::<i32>();

    /// For rows of a number of panels.
    pub(in crate::engine) fn new(panels: usize) -> Self {
        Self {
            counts: Vec::with_capacity(panels),
            sums: Vec::with_capacity(panels * PANEL),
        }
    }
}
