//! Linear layers whose outputs become bits.

use super::super::lines::{element_mut, lines};
use super::decisions::DecideAll;
use super::rule::Rule;
use super::weight::{BitRows, BitWeight, Outcome, SumScratch};
use crate::engine::memory::BlockKernels;
use crate::kernel::Kernels;
use crate::kernel::linear::{Intervals, ToBits};
use crate::kernel::micro::linear::Epilogue;
use crate::kernel::norm::Zero;
use crate::kernel::simd::Simd;

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
        let columns = weight.columns;
        let real = weight
            .rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row.is_some());
        let channels: Vec<(usize, i32)> = real
            .map(|(channel, _)| (channel, weight.base(channel)))
            .collect();
        let decisions = kernels.run(DecideAll {
            rule: &rule,
            channels: &channels,
            columns,
        });
        for ((channel, base), decisions) in channels.into_iter().zip(decisions) {
            ties |= decisions.ties;
            match decisions.interval {
                Some((low, width)) => {
                    *element_mut(&mut intervals.low, channel) = low;
                    *element_mut(&mut intervals.width, channel) = width;
                }
                None => {
                    let bit = |count| rule.decide(channel, base - 2 * count as i32) > 0;
                    intervals
                        .tables
                        .push((channel, (0..=columns).map(bit).collect()));
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
        with: BlockKernels<'_>,
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
        self.weight.apply(with, inputs, sums, &mut outcome);
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
