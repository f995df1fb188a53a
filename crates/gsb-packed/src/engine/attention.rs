//! The attention of a block.

mod attended;
mod build;

use super::linear::{BitLayer, BitRows, FloatLayer};
use super::scratch::{Scratch, Sizes, most_candidates};
use super::{Stage, record};
use crate::kernel::Kernels;
use crate::kernel::attention::{FirstGroups, Groups, HeadAttention, HeadBits, LaterGroups};
use crate::kernel::micro::linear::PANEL;
use crate::kernel::norm::{Norm, NormSigns};
use crate::kernel::simd::{LANES, Line};
use crate::kernel::value::{ValuePlanes, ValueShape, levels};
use crate::products::Products;
use crate::trace::BlockTrace;

/// A binary attention.
#[derive(Debug)]
pub(super) struct BinaryAttention {
    norm: Norm,
    query_key: BitLayer,
    value: FloatLayer,
    value_shift: Vec<[Line<f32>; 4]>,
    shape: ValueShape,
    groups: Groups,
    /// Scales of the attention matrix's groups.
    scales: Vec<f32>,
    /// `[heads, blocks, keys]`, 16 queries a line.
    shift: Vec<Line<f32>>,
    products: Products,
    /// What an attended value must exceed, `[heads, padded head width]`.
    thresholds: Vec<f64>,
    /// The same of sums of signs, if they decide.
    limits: Option<Vec<u32>>,
    output: FloatLayer,
}

impl BinaryAttention {
    /// Adds the attention of all tokens to the first `needed`.
    pub(super) fn add(
        &self,
        kernels: Kernels,
        scratch: &mut Scratch,
        needed: usize,
        mut trace: Option<&mut BlockTrace>,
    ) {
        let sizes = self.sizes();
        self.binarize(kernels, scratch, sizes, trace.as_deref_mut());
        let by_row = self.groups.by_row;
        // Other blocks matter only for the largest element.
        let needed_blocks = needed.div_ceil(LANES);
        let blocks = if self.groups.count > 1 && !by_row {
            sizes.blocks
        } else {
            needed_blocks
        };
        scratch.zeros.clear();
        let mut max = f32::NEG_INFINITY;
        for head in 0..sizes.heads {
            // A trace wants planes.
            let most = if trace.is_some() {
                0
            } else {
                most_candidates(sizes.tokens)
            };
            max = self.first_groups(kernels, scratch, sizes, head, blocks, most, max);
            if by_row {
                self.attended(kernels, scratch, head, needed, max, trace.as_deref_mut());
            }
        }
        if !by_row {
            for head in 0..sizes.heads {
                self.attended(kernels, scratch, head, needed, max, trace.as_deref_mut());
            }
        }
        scratch.zeros.sort_unstable();
        let stride = sizes.attended_stride();
        if let Some(trace) = trace {
            let signs = record::signs(&scratch.bits, stride, needed, &scratch.zeros);
            trace.output_input = record::unpad(
                &signs,
                stride * 32,
                sizes.padded,
                self.shape.width,
                sizes.heads,
            );
        }
        let inputs = BitRows {
            words: &scratch.bits,
            stride,
            rows: needed,
            zeros: &scratch.zeros,
        };
        self.output
            .add(kernels, inputs, &mut scratch.sums, &mut scratch.stream);
        scratch.clock.lap(Stage::Output);
    }

    /// The attention matrix of the groups of its elements.
    pub(super) fn matrix(&self, groups: &[u8]) -> Vec<f32> {
        let value = |groups: u8| {
            let scales = self.scales.iter().enumerate();
            let members = scales.filter(|(group, _)| groups >> group & 1 == 1);
            members.fold(0.0, |sum, (_, scale)| sum + scale)
        };
        let values: [f32; 8] = std::array::from_fn(|groups| value(groups as u8));
        groups
            .iter()
            .map(|&groups| values[usize::from(groups)])
            .collect()
    }

    fn sizes(&self) -> Sizes {
        let shape = &self.shape;
        Sizes::of(shape.tokens, shape.heads, shape.width)
    }

    /// Query, key and value as bits.
    fn binarize(
        &self,
        kernels: Kernels,
        scratch: &mut Scratch,
        sizes: Sizes,
        trace: Option<&mut BlockTrace>,
    ) {
        let stride = 2 * self.norm.gamma.len();
        scratch.zeros.clear();
        kernels.run(NormSigns {
            norm: &self.norm,
            stream: &scratch.stream,
            out: &mut scratch.bits,
            zeros: &mut scratch.zeros,
        });
        scratch.clock.lap(Stage::Norms);
        let inputs = BitRows {
            words: &scratch.bits,
            stride,
            rows: sizes.tokens,
            zeros: &scratch.zeros,
        };
        let query_key_stride = sizes.query_key_stride();
        self.query_key.apply(
            kernels,
            inputs,
            &mut scratch.sums,
            &mut scratch.query_key,
            query_key_stride,
            &mut scratch.query_key_zeros,
        );
        self.value.apply(
            kernels,
            inputs,
            &mut scratch.sums,
            &self.value_shift,
            &mut scratch.value,
        );
        scratch.clock.lap(Stage::Qkv);
        kernels.run(ValuePlanes {
            shape: self.shape,
            value: scratch.value.as_flattened(),
            bounds: &mut scratch.bounds,
            plane: &mut scratch.value_plane,
            entries: &mut scratch.entries,
        });
        if !scratch.query_key_zeros.is_empty() {
            scratch.valid.clear();
            scratch.valid.resize(scratch.query_key.len(), u32::MAX);
            for &(row, channel) in &scratch.query_key_zeros {
                let word = row as usize * query_key_stride + channel as usize / 32;
                scratch.valid[word] &= !(1 << (channel % 32));
            }
            // Padding counts for nothing.
            for (at, word) in scratch.valid.iter_mut().enumerate() {
                let first = at % (2 * sizes.section) * 32 % sizes.padded;
                let count = self.shape.width.saturating_sub(first).min(32);
                *word &= ((1u64 << count) - 1) as u32;
            }
        }
        scratch.clock.lap(Stage::Value);
        if let Some(trace) = trace {
            let width = self.shape.width;
            let section = sizes.section * PANEL;
            trace.qkv_input = record::signs(&scratch.bits, stride, sizes.tokens, &scratch.zeros);
            trace.qkv_input = record::unpad(
                &trace.qkv_input,
                32 * stride,
                self.norm.width,
                self.norm.width,
                1,
            );
            let both = record::signs(
                &scratch.query_key,
                query_key_stride,
                sizes.tokens,
                &scratch.query_key_zeros,
            );
            let part = |first: usize| {
                let rows = both
                    .chunks_exact(2 * section)
                    .flat_map(|row| &row[first..first + section]);
                let rows: Vec<i8> = rows.copied().collect();
                record::unpad(&rows, section, sizes.padded, width, sizes.heads)
            };
            (trace.query, trace.key) = (part(0), part(section));
            let values = scratch.value.as_flattened();
            trace.value = (0..sizes.heads)
                .flat_map(|head| levels(self.shape, head, values, &scratch.bounds))
                .collect();
            trace.attention.clear();
        }
    }

    fn head<'a>(
        &'a self,
        sizes: Sizes,
        head: usize,
        query_key: &'a [u32],
        valid: Option<&'a [u32]>,
    ) -> HeadAttention<'a> {
        let stride = sizes.query_key_stride();
        let first = head * sizes.padded / 32;
        let bits = |words: &'a [u32]| {
            [first, 2 * sizes.section + first].map(|first| HeadBits {
                words: &words[first..],
                stride,
            })
        };
        let lines = sizes.blocks * sizes.tokens;
        HeadAttention {
            groups: &self.groups,
            bits: bits(query_key),
            valid: valid.map(bits),
            width: self.shape.width,
            shift: &self.shift[head * lines..][..lines],
            tokens: sizes.tokens,
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn first_groups(
        &self,
        kernels: Kernels,
        scratch: &mut Scratch,
        sizes: Sizes,
        head: usize,
        blocks: usize,
        most: usize,
        max: f32,
    ) -> f32 {
        let valid = (!scratch.query_key_zeros.is_empty()).then_some(&scratch.valid[..]);
        let candidates = &mut scratch.candidates[head];
        candidates.list.clear();
        candidates.overflow = false;
        candidates.most = most;
        candidates.max = max;
        let lines = sizes.blocks * sizes.key_words;
        let [second, third] = &mut scratch.later_groups;
        kernels.run(FirstGroups {
            head: self.head(sizes, head, &scratch.query_key, valid),
            blocks,
            scores: &mut scratch.scores,
            plane: &mut scratch.first_group[head * lines..][..lines],
            candidates,
            later: [second, third],
        });
        candidates.max
    }

    fn later_groups(
        &self,
        kernels: Kernels,
        scratch: &mut Scratch,
        sizes: Sizes,
        head: usize,
        blocks: usize,
        max: f32,
    ) {
        let valid = (!scratch.query_key_zeros.is_empty()).then_some(&scratch.valid[..]);
        let [second, third] = &mut scratch.later_groups;
        kernels.run(LaterGroups {
            head: self.head(sizes, head, &scratch.query_key, valid),
            blocks,
            scores: &mut scratch.scores,
            planes: [second, third],
            max,
        });
    }
}
