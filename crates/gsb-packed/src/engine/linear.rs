//! Binary linear layers with what follows them folded in.

use std::sync::Arc;

use super::lines::{element, element_mut, lines};
use crate::SignMatrix;
use crate::gelu::gelu;
use crate::kernel::Kernels;
use crate::kernel::linear::{
    Affine, Arrange, Epilogue, Inputs, Intervals, Linear, PANEL, ToBits, ToCounts, ToFloats,
    ToResidual, Weights,
};
use crate::kernel::norm::Zero;
use crate::kernel::simd::{Line, Simd, Task};

/// The binary weight of a layer, arranged for the kernels.
///
/// Output channels may be padded, repeated and reordered; input columns come in segments that fill
/// whole words.
#[derive(Debug)]
pub(super) struct BitWeight {
    signs: Arc<SignMatrix>,
    /// Columns of a segment.
    segment: usize,
    /// The row of each output channel; padding has none.
    rows: Vec<Option<usize>>,
    panels: Vec<[Line; 4]>,
    words: usize,
    /// Whether the inputs are signs rather than 0 or 1.
    signed: bool,
}

/// Rows of bits that enter a layer.
#[derive(Clone, Copy)]
pub(super) struct BitRows<'a> {
    /// `[rows, stride]`, followed by padding.
    pub(super) words: &'a [u32],
    pub(super) stride: usize,
    pub(super) rows: usize,
    /// Where a sign is 0, ordered by row.
    pub(super) zeros: &'a [Zero],
}

/// What a layer's sums become.
pub(super) trait Outcome: Epilogue {
    /// Whether counts do not tell all that is asked for.
    fn needs_sums(&self) -> bool {
        false
    }

    /// Takes the exact sums of a row, for each output channel.
    fn put_sums(&mut self, row: usize, sums: &[i32]);
}

impl BitWeight {
    pub(super) fn new(
        kernels: Kernels,
        signs: Arc<SignMatrix>,
        segment: usize,
        rows: Vec<Option<usize>>,
        signed: bool,
    ) -> Self {
        let words = signs.columns() / segment * segment.div_ceil(32);
        let panels = kernels.run(Arrange {
            channels: rows.len().next_multiple_of(PANEL),
            words,
            row: |channel: usize, out: &mut [u32]| match rows.get(channel).copied().flatten() {
                Some(row) => signs.row_words(row, segment, out),
                None => out.fill(0),
            },
        });
        Self {
            signs,
            segment,
            rows,
            panels,
            words,
            signed,
        }
    }

    /// The row of each output channel; padding has none.
    pub(super) fn rows(&self) -> &[Option<usize>] {
        &self.rows
    }

    /// The sum of products of an output channel with inputs none of whose bits differ.
    pub(super) fn base(&self, channel: usize) -> i32 {
        match self.rows.get(channel).copied().flatten() {
            Some(row) if !self.signed => self.signs.ones(row) as i32,
            Some(_) => self.signs.columns() as i32,
            None => 0,
        }
    }

    /// The sum of products with a number of different bits.
    fn sum(&self, base: i32, count: u32) -> i32 {
        base - self.unit() as i32 * count as i32
    }

    /// What a different bit changes a sum by.
    fn unit(&self) -> f32 {
        if self.signed { 2.0 } else { 1.0 }
    }

    /// Multiplies rows: those without a 0 by the fast kernel, the others with exact sums.
    pub(super) fn apply(
        &self,
        kernels: Kernels,
        inputs: BitRows<'_>,
        sums: &mut SumScratch,
        outcome: &mut impl Outcome,
    ) {
        let all = outcome.needs_sums() || !self.signs.zeros().is_empty();
        let mut zeros = inputs.zeros;
        let mut first = 0;
        while first < inputs.rows {
            let zero = zeros
                .first()
                .map_or(inputs.rows, |zero| zero.0 as usize)
                .min(inputs.rows);
            let exact = if all { first } else { zero };
            self.counts(kernels, inputs, first..exact, outcome);
            if exact < inputs.rows {
                let of_row = zeros.partition_point(|zero| zero.0 as usize <= exact);
                let (here, after) = zeros.split_at(of_row);
                self.exact_row(kernels, inputs, exact, here, sums, outcome);
                zeros = after;
            }
            first = exact + 1;
        }
    }

    fn counts(
        &self,
        kernels: Kernels,
        inputs: BitRows<'_>,
        rows: std::ops::Range<usize>,
        epilogue: &mut impl Epilogue,
    ) {
        if !rows.is_empty() {
            kernels.run(Linear {
                inputs: Inputs::new(inputs.words, inputs.stride, rows),
                weights: Weights {
                    panels: &self.panels,
                    words: self.words,
                },
                epilogue,
            });
        }
    }

    fn exact_row(
        &self,
        kernels: Kernels,
        inputs: BitRows<'_>,
        row: usize,
        zeros: &[Zero],
        scratch: &mut SumScratch,
        outcome: &mut impl Outcome,
    ) {
        let channels = self.rows.len();
        let SumScratch { counts, sums } = scratch;
        counts.resize_with(self.panels.len() / self.words, Default::default);
        self.counts(kernels, inputs, row..row + 1, &mut ToCounts(counts));
        sums.clear();
        sums.extend(
            (0..channels).map(|channel| self.sum(self.base(channel), element(counts, channel))),
        );
        let padded = self.segment.next_multiple_of(32);
        let column = |position: usize| position / padded * self.segment + position % padded;
        for &(_, position) in zeros {
            let column = column(position as usize);
            for (sum, row) in sums.iter_mut().zip(&self.rows) {
                // It counted as -1 times the sign of the weight's bit.
                *sum += row.map_or(0, |row| if self.signs.bit(row, column) { 1 } else { -1 });
            }
        }
        let words = &inputs.words[row * inputs.stride..][..self.words];
        let columns = self.signs.columns();
        for (sum, row) in sums.iter_mut().zip(&self.rows) {
            let Some(row) = row else { continue };
            let first = self
                .signs
                .zeros()
                .partition_point(|&zero| (zero as usize) < row * columns);
            let of_row = self.signs.zeros()[first..]
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

/// Memory for exact sums.
#[derive(Debug, Default)]
pub(super) struct SumScratch {
    counts: Vec<[Line; 4]>,
    sums: Vec<i32>,
}

/// What turns a sum into a bit.
#[derive(Debug)]
pub(super) struct Rule {
    factor: Vec<f32>,
    bias: Vec<f32>,
    shift: Vec<f32>,
    /// Compared after the GELU; without, the sign counts.
    level: Option<f32>,
}

/// What a hidden value is clamped to after the GELU.
const HIDDEN_BOUND: f32 = 10.0;

impl Rule {
    /// The sign of a sum, or 0, or whether its level is 1.
    fn decide(&self, channel: usize, sum: i32) -> i8 {
        let (factor, bias, shift) = (
            self.factor[channel],
            self.bias[channel],
            self.shift[channel],
        );
        match self.level {
            None => sign(sum, factor, bias, shift),
            Some(level) => is_level(sum, factor, bias, shift, level),
        }
    }
}

/// The sign of a shifted output.
#[inline(always)]
fn sign(sum: i32, factor: f32, bias: f32, shift: f32) -> i8 {
    let y = sum as f32 * factor + bias + shift;
    i8::from(y > 0.0) - i8::from(y < 0.0)
}

/// Whether a shifted hidden value is above a level.
#[inline(always)]
fn is_level(sum: i32, factor: f32, bias: f32, shift: f32, level: f32) -> i8 {
    let y = gelu(sum as f32 * factor + bias);
    let y = if y > HIDDEN_BOUND { HIDDEN_BOUND } else { y };
    let y = if y < -HIDDEN_BOUND { -HIDDEN_BOUND } else { y };
    i8::from(y + shift > level)
}

/// The largest number whose quotient with a scale does not round to 1: beyond it, levels are 1.
pub(super) fn level_threshold(scale: f32) -> f32 {
    let mut threshold = scale / 2.0;
    while threshold.next_up() / scale <= 0.5 {
        threshold = threshold.next_up();
    }
    threshold
}

/// A layer that makes bits.
#[derive(Debug)]
pub(super) struct BitLayer {
    pub(super) weight: BitWeight,
    rule: Rule,
    intervals: Intervals,
    /// Whether a sign can be 0.
    ties: bool,
}

impl BitLayer {
    /// With factor, bias and shift of each row of the weight, and the level above which a hidden value
    /// is 1 after the GELU (without: the sign counts).
    pub(super) fn new(
        kernels: Kernels,
        weight: BitWeight,
        factor: impl Fn(usize) -> f32,
        bias: impl Fn(usize) -> f32,
        shift: impl Fn(usize) -> f32,
        level: Option<f32>,
    ) -> Self {
        let of_channels = |value: &dyn Fn(usize) -> f32| {
            let rows = weight.rows.iter();
            rows.map(|row| row.map_or(0.0, value)).collect::<Vec<f32>>()
        };
        let rule = Rule {
            factor: of_channels(&factor),
            bias: of_channels(&bias),
            shift: of_channels(&shift),
            level,
        };
        let mut intervals = Intervals {
            // No count is beyond this width: padding gives 0.
            low: lines(weight.rows.len(), 0, |_| 0),
            width: lines(weight.rows.len(), u32::MAX, |_| u32::MAX),
            tables: Vec::new(),
        };
        let mut ties = false;
        let mut decisions = vec![0; weight.signs.columns() + 1];
        for (channel, row) in weight.rows.iter().enumerate() {
            if row.is_none() {
                continue;
            }
            kernels.run(Tabulate {
                rule: &rule,
                channel,
                base: weight.base(channel),
                out: &mut decisions,
            });
            ties |= level.is_none() && decisions.contains(&0);
            match interval(&decisions) {
                Some((low, width)) => {
                    *element_mut(&mut intervals.low, channel) = low;
                    *element_mut(&mut intervals.width, channel) = width;
                }
                None => {
                    let table = decisions.iter().map(|&decision| decision > 0).collect();
                    intervals.tables.push((channel, table));
                }
            }
        }
        Self {
            weight,
            rule,
            intervals,
            ties,
        }
    }

    /// Makes bits of rows, and lists where a sign is 0.
    pub(super) fn apply(
        &self,
        kernels: Kernels,
        inputs: BitRows<'_>,
        sums: &mut SumScratch,
        out: &mut [u32],
        stride: usize,
        zeros: &mut Vec<Zero>,
    ) {
        zeros.clear();
        let mut outcome = Bits {
            to_bits: ToBits {
                intervals: &self.intervals,
                out,
                stride,
            },
            layer: self,
            zeros,
        };
        self.weight.apply(kernels, inputs, sums, &mut outcome);
    }
}

/// The counts that give 0, as first and length less one, if they are an interval: counts minus the
/// first are then at most that length.
fn interval(decisions: &[i8]) -> Option<(u32, u32)> {
    let is_zero = |decision: &i8| *decision <= 0;
    let Some(first) = decisions.iter().position(is_zero) else {
        // No count equals this one.
        return Some((u32::MAX, 0));
    };
    let last = decisions.iter().rposition(is_zero).unwrap_or(first);
    let whole = decisions[first..=last].iter().all(is_zero);
    whole.then_some((first as u32, (last - first) as u32))
}

/// The decision of every count, for signed inputs.
struct Tabulate<'a> {
    rule: &'a Rule,
    channel: usize,
    base: i32,
    out: &'a mut [i8],
}

impl Task for Tabulate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Rule {
            factor,
            bias,
            shift,
            level,
        } = self.rule;
        let (factor, bias, shift) = (
            factor[self.channel],
            bias[self.channel],
            shift[self.channel],
        );
        let sum = |count: usize| self.base - 2 * count as i32;
        // A loop for each, which the compiler makes vectors of.
        match *level {
            None => {
                for (count, out) in self.out.iter_mut().enumerate() {
                    *out = sign(sum(count), factor, bias, shift);
                }
            }
            Some(level) => {
                for (count, out) in self.out.iter_mut().enumerate() {
                    *out = is_level(sum(count), factor, bias, shift, level);
                }
            }
        }
    }
}

struct Bits<'a> {
    to_bits: ToBits<'a>,
    layer: &'a BitLayer,
    zeros: &'a mut Vec<Zero>,
}

impl Epilogue for Bits<'_> {
    #[inline(always)]
    fn put<S: Simd>(&mut self, s: S, row: usize, panel: usize, counts: [S::U; 4]) {
        self.to_bits.put(s, row, panel, counts);
    }
}

impl Outcome for Bits<'_> {
    fn needs_sums(&self) -> bool {
        self.layer.ties
    }

    fn put_sums(&mut self, row: usize, sums: &[i32]) {
        let stride = self.to_bits.stride;
        let words = &mut self.to_bits.out[row * stride..][..stride];
        words.fill(0);
        for (channel, (&sum, real)) in sums.iter().zip(self.layer.weight.rows()).enumerate() {
            if real.is_none() {
                continue;
            }
            match self.layer.rule.decide(channel, sum) {
                1 => words[channel / 32] |= 1 << (channel % 32),
                0 if self.layer.rule.level.is_none() => {
                    self.zeros.push((row as u32, channel as u32))
                }
                _ => {}
            }
        }
    }
}

/// A layer that makes floats.
#[derive(Debug)]
pub(super) struct FloatLayer {
    weight: BitWeight,
    affine: Affine,
}

impl FloatLayer {
    /// With factor and bias of each row of the weight.
    pub(super) fn new(
        weight: BitWeight,
        factor: impl Fn(usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Self {
        let channels = weight.rows.len();
        let of_row = |value: &dyn Fn(usize) -> f32| {
            lines(channels, 0.0, |channel| {
                weight.rows[channel].map_or(0.0, value)
            })
        };
        // A power of two, so that units change no rounding.
        let unit = weight.unit();
        let affine = Affine {
            base: lines(channels, 0.0, |channel| weight.base(channel) as f32 / unit),
            factor: of_row(&|row| factor(row) * unit),
            bias: of_row(&bias),
        };
        Self { weight, affine }
    }

    fn value(&self, channel: usize, sum: i32) -> f32 {
        let units = sum as f32 / self.weight.unit();
        units * element(&self.affine.factor, channel) + element(&self.affine.bias, channel)
    }

    /// Shifted floats: `[rows, panels]`.
    pub(super) fn apply(
        &self,
        kernels: Kernels,
        inputs: BitRows<'_>,
        sums: &mut SumScratch,
        shift: &[[Line<f32>; 4]],
        out: &mut [[Line<f32>; 4]],
    ) {
        let to = ToFloats {
            affine: &self.affine,
            shift,
            out,
            panels: shift.len(),
        };
        self.weight
            .apply(kernels, inputs, sums, &mut Floats { to, layer: self });
    }

    /// Adds to the residual stream: `[rows, panels]`.
    pub(super) fn add(
        &self,
        kernels: Kernels,
        inputs: BitRows<'_>,
        sums: &mut SumScratch,
        stream: &mut [[Line<f32>; 4]],
    ) {
        let to = ToResidual {
            affine: &self.affine,
            stream,
            panels: self.affine.bias.len(),
        };
        self.weight
            .apply(kernels, inputs, sums, &mut Residual { to, layer: self });
    }
}

struct Floats<'a> {
    to: ToFloats<'a>,
    layer: &'a FloatLayer,
}

impl Epilogue for Floats<'_> {
    #[inline(always)]
    fn put<S: Simd>(&mut self, s: S, row: usize, panel: usize, counts: [S::U; 4]) {
        self.to.put(s, row, panel, counts);
    }
}

impl Outcome for Floats<'_> {
    fn put_sums(&mut self, row: usize, sums: &[i32]) {
        let panels = self.to.panels;
        let out = &mut self.to.out[row * panels..][..panels];
        for (channel, &sum) in sums.iter().enumerate() {
            let value = self.layer.value(channel, sum) + element(self.to.shift, channel);
            *element_mut(out, channel) = value;
        }
    }
}

struct Residual<'a> {
    to: ToResidual<'a>,
    layer: &'a FloatLayer,
}

impl Epilogue for Residual<'_> {
    #[inline(always)]
    fn put<S: Simd>(&mut self, s: S, row: usize, panel: usize, counts: [S::U; 4]) {
        self.to.put(s, row, panel, counts);
    }
}

impl Outcome for Residual<'_> {
    fn put_sums(&mut self, row: usize, sums: &[i32]) {
        let panels = self.to.panels;
        let stream = &mut self.to.stream[row * panels..][..panels];
        for (channel, &sum) in sums.iter().enumerate() {
            *element_mut(stream, channel) += self.layer.value(channel, sum);
        }
    }
}
