//! Linear layers whose outputs become floats.

use super::super::lines::{element, element_mut, lines};
use super::weight::{BitRows, BitWeight, Outcome, SumScratch};
use crate::engine::memory::BlockKernels;
use crate::kernel::linear::{Affine, ToFloats, ToResidual};
use crate::kernel::micro::linear::Epilogue;
use crate::kernel::simd::{Line, Simd};

/// A layer that makes floats.
#[derive(Debug)]
pub(in crate::engine) struct FloatLayer {
    weight: BitWeight,
    affine: Affine,
}

impl FloatLayer {
    /// With factor and bias of each row of the weight.
    pub(in crate::engine) fn new(
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
    pub(in crate::engine) fn apply(
        &self,
        with: BlockKernels<'_>,
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
            .apply(with, inputs, sums, &mut Floats { to, layer: self });
    }

    /// Adds to the residual stream: `[rows, panels]`.
    pub(in crate::engine) fn add(
        &self,
        with: BlockKernels<'_>,
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
            .apply(with, inputs, sums, &mut Residual { to, layer: self });
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
