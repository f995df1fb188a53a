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

/// A hidden value.
#[inline(always)]
fn hidden(x: f32) -> f32 {
    let y = gelu(x);
    let y = if y > HIDDEN_BOUND { HIDDEN_BOUND } else { y };
    if y < -HIDDEN_BOUND { -HIDDEN_BOUND } else { y }
}

/// Whether a shifted hidden value is above a level.
#[inline(always)]
fn is_level(sum: i32, factor: f32, bias: f32, shift: f32, level: f32) -> i8 {
    i8::from(hidden(sum as f32 * factor + bias) + shift > level)
}

/// The largest number whose quotient with a scale does not round to 1: beyond it, levels are 1.
pub(in crate::engine) fn level_threshold(scale: f32) -> f32 {
    quotient_threshold(scale, 0.5)
}

/// The largest number whose quotient with a scale is, in single precision, at most a bound.
pub(in crate::engine) fn quotient_threshold(scale: f32, bound: f32) -> f32 {
    let mut threshold = scale * bound;
    while threshold / scale > bound {
        threshold = threshold.next_down();
    }
    while threshold.next_up() / scale <= bound {
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
        let mut grid = grids(decisions.len());
        for (channel, row) in weight.rows.iter().enumerate() {
            if row.is_none() {
                continue;
            }
            let interval = kernels.run(Tabulate {
                rule: &rule,
                channel,
                base: weight.base(channel),
                grids: &mut grid,
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

/// Counts between two that are evaluated to tell what those between them decide.
const STEP: usize = 16;

/// Where the GELU stops to fall and begins to rise, in between.
const TURN: [f32; 2] = [-0.8, -0.7];

/// Many times what [`hidden`] is off the function that falls and rises: the error of its tail, 1e-5 of
/// it at most, and rounding.
const MARGIN: f32 = 1e-4;

/// The decision of every count, for signed inputs, and the interval that they are.
///
/// Sums fall with the count, and so do, or rise, the products with a factor and what is added, because
/// rounding keeps an order. Signs between two that are the same are the same. So are decisions about
/// hidden values between two that are [`MARGIN`] beyond the level on one side, unless the GELU turns
/// between them. The few others are evaluated.
struct Tabulate<'a> {
    rule: &'a Rule,
    channel: usize,
    base: i32,
    /// For values and what is hidden, at each [`STEP`] and the last count.
    grids: &'a mut [Vec<f32>; 2],
    out: &'a mut [i8],
}

/// Those of a number of counts.
fn grids(counts: usize) -> [Vec<f32>; 2] {
    let points = counts.div_ceil(STEP) + 1;
    [vec![0.0; points], vec![0.0; points]]
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
        let last = self.out.len() - 1;
        let [values, levels] = self.grids;
        for (index, value) in values.iter_mut().enumerate() {
            *value = sum((index * STEP).min(last)) as f32 * factor + bias;
        }
        // What is not finite is not ordered.
        let ordered = values.iter().all(|value| value.is_finite());
        let ends = |grid: &[f32], index: usize| [grid[index], grid[index + 1]];
        // Loops of a known length, which the compiler makes vectors of.
        match *level {
            None => {
                for (index, out) in self.out.chunks_mut(STEP).enumerate() {
                    let sign = |y: f32| i8::from(y > 0.0) - i8::from(y < 0.0);
                    let [first, last] = ends(values, index).map(|x| sign(x + shift));
                    if ordered && first == last {
                        out.fill(first);
                        continue;
                    }
                    for (at, out) in out.iter_mut().enumerate() {
                        *out = self::sign(sum(index * STEP + at), factor, bias, shift);
                    }
                }
            }
            Some(level) => {
                for (level, &value) in levels.iter_mut().zip(&*values) {
                    *level = hidden(value);
                }
                for (index, out) in self.out.chunks_mut(STEP).enumerate() {
                    let [a, b] = ends(values, index);
                    let turns = a.min(b) < TURN[1] && a.max(b) > TURN[0];
                    let [y, z] = ends(levels, index);
                    let lowest = y.min(z) - MARGIN + shift > level;
                    let highest = y.max(z) + MARGIN + shift > level;
                    if ordered && !turns && lowest == highest {
                        out.fill(i8::from(lowest));
                        continue;
                    }
                    for (at, out) in out.iter_mut().enumerate() {
                        *out = is_level(sum(index * STEP + at), factor, bias, shift, level);
                    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;
    use crate::kernel::Isa;
    use crate::kernel::choice::choose;

    /// Every decision as the rule makes it, of ordinary numbers and of those at the limits of floats.
    #[test]
    fn tables_hold_what_the_rule_decides() {
        let mut random = Random::new(1);
        let kernels = choose(Isa::available().next().unwrap()).unwrap();
        let cases = if cfg!(miri) { 20 } else { 20_000 };
        for case in 0..cases {
            let columns = 1 + random.below(if case % 9 == 0 { 1 } else { 200 });
            let mut number = |small: f32| {
                let size =
                    [small, 0.0, 1.0, 1e-3, 1e3, 1e30, 1e38][random.below(70).saturating_sub(63)];
                random.normal() * size
            };
            let rule = Rule {
                factor: vec![number(0.02)],
                bias: vec![number(0.5)],
                shift: vec![number(0.3)],
                level: (case % 2 == 0).then(|| level_threshold(0.1 + 0.01 * (case % 50) as f32)),
            };
            let (mut grids, mut out) = (grids(columns + 1), vec![0; columns + 1]);
            kernels.run(Tabulate {
                rule: &rule,
                channel: 0,
                base: columns as i32,
                grids: &mut grids,
                out: &mut out,
            });
            for (count, &found) in out.iter().enumerate() {
                let expected = rule.decide(0, columns as i32 - 2 * count as i32);
                assert_eq!(found, expected, "count {count} of {columns}, {rule:?}");
            }
        }
    }
}
