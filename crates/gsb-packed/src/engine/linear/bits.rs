//! Linear layers whose outputs become bits.

use super::super::lines::{element_mut, lines};
use super::weight::{BitRows, BitWeight, Outcome, SumScratch};
use crate::kernel::Kernels;
use crate::kernel::instruction_set::{InstructionSet, Task};
use crate::kernel::linear::{Intervals, ToBits};
use crate::kernel::micro::linear::Epilogue;
use crate::kernel::norm::Zero;
use crate::kernel::simd::Simd;
use gsb_numerics::gelu;

/// What turns a sum into a bit.
#[derive(Debug)]
pub(in crate::engine) struct Rule {
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
pub(in crate::engine) fn level_threshold(scale: f32) -> f32 {
    let mut threshold = scale / 2.0;
    while threshold.next_up() / scale <= 0.5 {
        threshold = threshold.next_up();
    }
    threshold
}

/// A layer that makes bits.
#[derive(Debug)]
pub(in crate::engine) struct BitLayer {
    pub(in crate::engine) weight: BitWeight,
    rule: Rule,
    intervals: Intervals,
    /// Whether a sign can be 0.
    ties: bool,
}

impl BitLayer {
    /// With factor, bias and shift of each row of the weight, and the level above which a hidden value
    /// is 1 after the GELU (without: the sign counts).
    pub(in crate::engine) fn new(
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
            let interval = kernels.run(Tabulate {
                rule: &rule,
                channel,
                base: weight.base(channel),
                out: &mut decisions,
            });
            ties |= level.is_none() && decisions.contains(&0);
            match interval {
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
    pub(in crate::engine) fn apply(
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
#[inline(always)]
fn interval(decisions: &[i8]) -> Option<(u32, u32)> {
    let is_zero = |decision: &i8| *decision <= 0;
    // Without early exits and in bytes, for the compiler to make vectors of it.
    let few = |part: &[i8]| part.iter().map(|d| u8::from(is_zero(d))).sum::<u8>();
    let zeros = |decisions: &[i8]| -> usize {
        let parts = decisions.chunks(64);
        parts.map(|part| usize::from(few(part))).sum()
    };
    let skipped = decisions.chunks(64).take_while(|part| few(part) == 0);
    let start: usize = skipped.map(<[i8]>::len).sum();
    let Some(first) = decisions[start..].iter().position(is_zero) else {
        // No count equals this one.
        return Some((u32::MAX, 0));
    };
    let first = start + first;
    let count = zeros(&decisions[first..]);
    let whole = zeros(&decisions[first..first + count]) == count;
    whole.then_some((first as u32, count as u32 - 1))
}

/// The decision of every count, for signed inputs, and the interval that they are.
struct Tabulate<'a> {
    rule: &'a Rule,
    channel: usize,
    base: i32,
    out: &'a mut [i8],
}

impl Task for Tabulate<'_> {
    type Output = Option<(u32, u32)>;

    #[inline(always)]
    fn run<S: InstructionSet>(self, _: S) -> Option<(u32, u32)> {
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
        interval(self.out)
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
