//! The heads: normalization, quantized input, quantized weight.

use super::norm::fold;
use gsb_numerics::guarded;

use crate::kernel::Kernels;
use crate::kernel::instruction_set::{InstructionSet, Task};
use crate::kernel::norm::Norm;
use crate::kernel::scalar::Scalar;
use crate::kernel::simd::{LANES, Line};
use crate::levels::level_range;
use crate::{Head, LayerNorm, PackedConfig};

/// The normalization of the last tokens, without shift.
pub(super) fn last_norm(norm: &LayerNorm, config: &PackedConfig) -> Norm {
    fold(norm, &vec![0.0; config.width], config)
}

/// A head.
#[derive(Debug)]
pub(super) struct QuantizedHead {
    /// `[classes, width]`.
    weight: Vec<i8>,
    shift: Vec<f32>,
    input_scale: f32,
    /// Product of the scales of weight and input.
    factor: f32,
    bias: Vec<f32>,
    range: (f32, f32),
    is_sign: bool,
}

impl QuantizedHead {
    pub(super) fn new(head: Head, config: &PackedConfig) -> Self {
        let (low, high) = level_range(config.head_bits);
        let input_scale = guarded(head.input_scale);
        Self {
            weight: head.weight,
            shift: head.input_shift,
            input_scale,
            factor: input_scale * guarded(head.weight_scale),
            bias: head.bias,
            range: (low.into(), high.into()),
            is_sign: config.head_bits == 1,
        }
    }

    /// The logits of a token.
    pub(super) fn logits(
        &self,
        kernels: Kernels,
        norm: &Norm,
        token: &[[Line<f32>; 4]],
        levels: &mut [i16],
        logits: &mut [f32],
    ) {
        let [(mean, reciprocal)] = norm.statistics(Scalar, &[token]);
        let lines = token.as_flattened().iter().zip(norm.gamma.as_flattened());
        let values = lines
            .zip(norm.offset.as_flattened())
            .flat_map(|((x, gamma), offset)| {
                let value =
                    move |i: usize| (x.0[i] - mean) * (reciprocal * gamma.0[i]) + offset.0[i];
                (0..LANES).map(value)
            });
        for ((level, x), shift) in levels.iter_mut().zip(values).zip(&self.shift) {
            *level = self.level(x + shift);
        }
        kernels.run(Logits {
            head: self,
            levels,
            logits,
        });
    }

    fn level(&self, x: f32) -> i16 {
        if self.is_sign {
            return i16::from(x > 0.0) - i16::from(x < 0.0);
        }
        let (low, high) = self.range;
        (x / self.input_scale).round_ties_even().clamp(low, high) as i16
    }
}

struct Logits<'a> {
    head: &'a QuantizedHead,
    levels: &'a [i16],
    logits: &'a mut [f32],
}

impl Task for Logits<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: InstructionSet>(self, _: S) {
        let QuantizedHead {
            weight,
            factor,
            bias,
            ..
        } = self.head;
        let rows = weight.chunks_exact(self.levels.len()).zip(bias);
        for (logit, (row, bias)) in self.logits.iter_mut().zip(rows) {
            let mut sum = 0i32;
            for (&level, &weight) in self.levels.iter().zip(row) {
                sum += i32::from(level) * i32::from(weight);
            }
            *logit = sum as f32 * factor + bias;
        }
    }
}
