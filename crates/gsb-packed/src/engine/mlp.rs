//! The MLP of a block.

use super::linear::{BitLayer, BitRows, BitWeight, FloatLayer, factors, level_threshold};
use super::memory::{BlockKernels, WeightMemory};
use super::norm::fold;
use super::tokens::Tokens;
use super::{Stage, record};
use gsb_numerics::guarded;

use crate::kernel::Kernels;
use crate::kernel::norm::{Norm, NormSigns, Zero};
use crate::{BinaryLinear, LayerNorm, PackedConfig, SignMatrix};

/// A binary MLP.
#[derive(Debug)]
pub(super) struct BinaryMlp {
    norm: Norm,
    fc1: BitLayer,
    fc2: FloatLayer,
    hidden: usize,
}

impl BinaryMlp {
    pub(super) fn new(
        norm: &LayerNorm,
        fc1: BinaryLinear,
        fc2: BinaryLinear,
        config: &PackedConfig,
        kernels: Kernels,
        memory: &mut WeightMemory<'_>,
    ) -> Self {
        let mut weight = |signs: &SignMatrix, signed| {
            let rows = (0..signs.rows()).map(Some).collect();
            BitWeight::new(kernels, memory, signs, signs.columns(), rows, signed)
        };
        let level = level_threshold(guarded(fc2.input_scale));
        Self {
            norm: fold(norm, &fc1.input_shift, config),
            fc1: BitLayer::new(
                kernels,
                weight(&fc1.weight, true),
                factors(fc1.input_scale, fc1.weight_scale),
                |row| fc1.bias[row],
                |row| fc2.input_shift[row],
                Some(level),
            ),
            fc2: FloatLayer::new(
                weight(&fc2.weight, false),
                factors(fc2.input_scale, fc2.weight_scale),
                |row| fc2.bias[row],
            ),
            hidden: config.mlp_width,
        }
    }

    /// Adds the MLP of the first `needed` tokens. Records it in the trace of a block.
    pub(super) fn add(
        &self,
        with: BlockKernels<'_>,
        tokens: &mut Tokens<'_>,
        needed: usize,
        block: usize,
    ) {
        let panels = self.norm.gamma.len();
        let stride = 2 * panels;
        let rows = tokens.needed(needed);
        let lane = &mut tokens.lanes[0];
        lane.zeros.clear();
        with.kernels.run(NormSigns {
            norm: &self.norm,
            stream: &tokens.stream[..rows * panels],
            out: &mut lane.bits,
            zeros: &mut lane.zeros,
        });
        lane.clock.lap(Stage::Norms);
        let inputs = BitRows {
            words: &lane.bits,
            stride,
            rows,
            zeros: &lane.zeros,
        };
        let hidden_stride = 2 * self.hidden.div_ceil(64);
        let mut none: Vec<Zero> = Vec::new();
        self.fc1.apply(
            with,
            inputs,
            &mut lane.sums,
            &mut lane.hidden,
            hidden_stride,
            &mut none,
        );
        lane.clock.lap(Stage::Fc1);
        if let Some(trace) = &mut tokens.trace {
            let trace = &mut trace.blocks[block];
            let width = self.norm.width;
            let signs = record::signs(&lane.bits, stride, rows, &lane.zeros);
            trace.fc1_input = record::unpad(&signs, stride * 32, width, width, 1);
            let signs = record::signs(&lane.hidden, hidden_stride, rows, &[]);
            let signs = record::unpad(&signs, hidden_stride * 32, self.hidden, self.hidden, 1);
            trace.fc2_input = signs.into_iter().map(|sign| i8::from(sign > 0)).collect();
        }
        let inputs = BitRows {
            words: &lane.hidden,
            stride: hidden_stride,
            rows,
            zeros: &[],
        };
        self.fc2.add(with, inputs, &mut lane.sums, tokens.stream);
        lane.clock.lap(Stage::Fc2);
    }
}
