//! Arranging and folding the parts of an attention.

use super::BinaryAttention;
use gsb_numerics::guarded;

use crate::engine::linear::{BitLayer, BitWeight, FloatLayer, factors, quotient_threshold};
use crate::engine::lines::lines;
use crate::engine::memory::WeightMemory;
use crate::engine::norm::fold;
use crate::engine::scratch::Sizes;
use crate::kernel::Kernels;
use crate::kernel::attention::{Exponentials, Groups};
use crate::kernel::micro::linear::PANEL;
use crate::kernel::simd::LANES;
use crate::kernel::value::ValueShape;
use crate::products::Products;
use crate::{
    ATTENTION_THRESHOLDS, Attention, BinaryLinear, LayerNorm, PackedConfig, ThresholdScope,
};

/// Channels of query, key and value in sections, the heads of which are padded to whole words.
struct Sections<'a> {
    config: &'a PackedConfig,
    sizes: Sizes,
}

impl Sections<'_> {
    /// Channels of a section.
    fn channels(&self) -> usize {
        self.sizes.section * PANEL
    }

    /// The output of the layer that a channel of a section is; padding is none.
    fn row(&self, section: usize, channel: usize) -> Option<usize> {
        let (width, padded) = (self.config.head_width(), self.sizes.padded);
        let (head, channel) = (channel / padded, channel % padded);
        (head < self.config.heads && channel < width)
            .then_some(section * self.config.width + head * width + channel)
    }

    /// The outputs of query and key.
    fn query_key(&self) -> Vec<Option<usize>> {
        let section = self.channels();
        (0..2 * section)
            .map(|at| self.row(at / section, at % section))
            .collect()
    }

    /// Those of the value. Padding repeats a channel: it must not change an extremum.
    fn value(&self) -> Vec<Option<usize>> {
        let padded = self.sizes.padded;
        let first_of_head = |at: usize| self.row(2, at / padded * padded);
        (0..self.channels())
            .map(|at| self.row(2, at).or_else(|| first_of_head(at)))
            .collect()
    }
}

impl BinaryAttention {
    /// An attention, but for its shifts, which are kept together with those of other blocks.
    pub(in crate::engine) fn new(
        norm: &LayerNorm,
        attention: Attention,
        config: &PackedConfig,
        kernels: Kernels,
        memory: &mut WeightMemory<'_>,
    ) -> Self {
        let sizes = Sizes::of_config(config);
        let sections = Sections { config, sizes };
        let attention_scales = attention.plane_scales(config);
        let qkv = attention.qkv;
        let factor = factors(qkv.input_scale, qkv.weight_scale);
        let bias = |row: usize| qkv.bias[row];
        let mut weight =
            |rows| BitWeight::new(kernels, memory, &qkv.weight, config.width, rows, true);
        let (query_key, value) = (weight(sections.query_key()), weight(sections.value()));
        let shift = |row: usize| match row / config.width {
            0 => attention.query_shift[row],
            _ => attention.key_shift[row - config.width],
        };
        let value_rows = value.rows();
        let value_shift = lines(sections.channels(), 0.0, |at| {
            value_rows[at].map_or(0.0, |row| attention.value_shift[row - 2 * config.width])
        });
        let value_scales = attention.value_scales.iter().copied().map(guarded);
        let value_scales: Vec<f32> = value_scales.collect();
        let product = guarded(attention.query_scale) * guarded(attention.key_scale);
        let products = Products::new(&attention_scales, &value_scales, sizes.tokens);
        let threshold = |row: usize| -f64::from(attention.output.input_shift[row]);
        let thresholds: Vec<f64> = (0..config.heads * sizes.padded)
            .map(|at| sections.row(0, at).map_or(f64::INFINITY, threshold))
            .collect();
        Self {
            norm: fold(norm, &qkv.input_shift, config),
            query_key: BitLayer::new(kernels, query_key, &factor, bias, shift, None),
            value: FloatLayer::new(value, &factor, bias),
            value_shift,
            shape: value_shape(config, sizes),
            rows: kernels.rows(),
            groups: groups(config, product, attention_scales[0]),
            limits: thresholds
                .iter()
                .map(|&threshold| products.limit(sizes.tokens, threshold))
                .collect(),
            thresholds,
            products,
            scales: attention_scales,
            output: output_layer(attention.output, config, kernels, memory),
        }
    }
}

/// The shape of a value whose heads are padded.
fn value_shape(config: &PackedConfig, sizes: Sizes) -> ValueShape {
    ValueShape {
        tokens: sizes.tokens,
        heads: config.heads,
        width: config.head_width(),
        vectors: sizes.padded / LANES,
        stride: 4 * sizes.section,
        groups: config.value_groups,
        by_row: config.scope == ThresholdScope::Row,
    }
}

/// The groups of attention matrices, given the product of the scales of query and key, and the scale of the first
/// group.
fn groups(config: &PackedConfig, product: f32, first_scale: f32) -> Groups {
    let width = config.head_width();
    let [first, second, third] = ATTENTION_THRESHOLDS;
    let of_levels = config.attention_bits > 1;
    Groups {
        exponentials: Exponentials::new(width, product * (width as f32).sqrt().recip()),
        first: quotient_threshold(first_scale, first),
        later: match of_levels {
            true => level_thresholds(first_scale),
            false => [second, third],
        },
        of_levels,
        count: config.attention_planes(),
        by_row: of_levels || config.scope == ThresholdScope::Row,
    }
}

/// The largest numbers whose quotients with a step round to less than 2 and less than 3. Halves round to even: 1.5 to 2,
/// and 2.5 as well.
fn level_thresholds(step: f32) -> [f32; 2] {
    [1.5f32.next_down(), 2.5].map(|bound| quotient_threshold(step, bound))
}

/// The layer that follows the attended value, the heads of which fill whole words.
fn output_layer(
    output: BinaryLinear,
    config: &PackedConfig,
    kernels: Kernels,
    memory: &mut WeightMemory<'_>,
) -> FloatLayer {
    let factor = factors(output.input_scale, output.weight_scale);
    let (width, rows) = (config.head_width(), (0..config.width).map(Some).collect());
    let weight = BitWeight::new(kernels, memory, &output.weight, width, rows, true);
    FloatLayer::new(weight, factor, |row| output.bias[row])
}

impl BinaryAttention {
    /// Takes other thresholds of the groups, as [`PackedModel::set_attention_thresholds`] says.
    pub(in crate::engine) fn set_thresholds(&mut self, [first, second, third]: [f32; 3]) {
        self.groups.first = quotient_threshold(self.scales[0], first);
        self.groups.later = [second, third];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every float near a threshold is on the side that rounding its quotient says, halves to even.
    #[test]
    fn levels_are_rounded_quotients() {
        for step in [1e-5, 0.055, 1.0 / 3.0, 0.25, 1.0, 7.3] {
            let [second, third] = level_thresholds(step);
            let first = quotient_threshold(step, ATTENTION_THRESHOLDS[0]);
            for (level, threshold) in [(1.0, first), (2.0, second), (3.0, third)] {
                let mut x = step * (level - 0.5);
                (0..8).for_each(|_| x = x.next_down());
                for _ in 0..16 {
                    let reaches = (x / step).round_ties_even() >= level;
                    assert_eq!(x > threshold, reaches, "{x} in steps of {step}");
                    x = x.next_up();
                }
            }
        }
    }
}
