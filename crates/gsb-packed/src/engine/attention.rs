//! The attention of a block.

mod attended;
mod build;
mod heads;

use std::ops::Range;

use super::linear::{BitLayer, BitRows, FloatLayer};
use super::memory::{BlockKernels, BlockShifts};
use super::scratch::{Lane, Scratch, Sizes, most_candidates};
use super::share::{Span, share};
use super::tokens::Tokens;
use super::{Stage, record};
use crate::kernel::Kernels;
use crate::kernel::attention::{FirstGroups, Groups, HeadAttention, HeadBits, LaterGroups};
use crate::kernel::micro::linear::PANEL;
use crate::kernel::norm::{Norm, NormSigns, Zero};
use crate::kernel::simd::Line;
use crate::kernel::value::{
    Bounds, Extrema, HeadValue, NO_EXTREMA, RowBounds, ValueBits, ValueShape, both_extrema, levels,
};
use crate::products::Products;
use crate::trace::Trace;
use heads::{Attention, OfHead, Queries, Values};

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
    products: Products,
    /// What an attended value must exceed, `[heads, padded head width]`.
    thresholds: Vec<f64>,
    /// The same of sums of signs, if they decide.
    limits: Option<Vec<u32>>,
    output: FloatLayer,
    /// Rows that products take at once.
    rows: usize,
}

impl BinaryAttention {
    /// Query, key and value of tokens.
    pub(super) fn project(&self, with: BlockKernels<'_>, tokens: &mut Tokens<'_>) {
        let rows = tokens.span.range().len();
        let Tokens {
            lanes,
            stream,
            query_key,
            value,
            bounds,
            ..
        } = tokens;
        let lane = &mut lanes[0];
        let stride = 2 * self.norm.gamma.len();
        lane.zeros.clear();
        with.kernels.run(NormSigns {
            norm: &self.norm,
            stream,
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
        self.query_key.apply(
            with,
            inputs,
            &mut lane.sums,
            query_key,
            self.sizes().query_key_stride(),
            &mut lane.query_key_zeros,
        );
        self.value
            .apply(with, inputs, &mut lane.sums, &self.value_shift, value);
        lane.clock.lap(Stage::Qkv);
        let (shape, value) = (self.shape, value.as_flattened());
        if shape.groups > 1 && shape.by_row {
            with.kernels.run(RowBounds {
                shape,
                value,
                out: bounds,
            });
        } else if shape.groups > 1 {
            lane.extrema = with.kernels.run(Extrema { shape, value });
        }
        lane.clock.lap(Stage::Value);
    }

    /// The attended value of the first `needed` queries, once all tokens are projected. Records it in the
    /// trace of a block.
    pub(super) fn attend(
        &self,
        kernels: Kernels,
        shifts: BlockShifts<'_>,
        scratch: &mut Scratch,
        needed: usize,
        mut trace: Option<(&mut Trace, usize)>,
    ) {
        scratch.clock.start();
        self.gather(scratch);
        if let Some((trace, block)) = &mut trace {
            self.record(scratch, trace, *block);
        }
        scratch.clock.lap(Stage::Value);
        self.binarize_value(kernels, scratch);
        let sizes = self.sizes();
        let (block, trace) = trace.map_or((0, None), |(trace, block)| (block, Some(trace)));
        let Scratch {
            lanes,
            query_key,
            valid,
            value,
            bounds,
            value_plane,
            entries,
            first_group,
            attended,
            zeros,
            ..
        } = scratch;
        let attention = Attention {
            kernels,
            sizes,
            needed,
            block,
            shifts,
            value,
            bounds,
            value_plane,
            entries,
            query_key,
            valid: (!valid.is_empty()).then_some(valid),
        };
        let mut queries = Queries {
            span: Span::new(sizes.heads * sizes.pairs, 1, lanes.len()),
            lanes,
            first_group,
            attended,
            trace,
        };
        self.first_pass(&attention, queries.reborrow());
        if !self.groups.by_row {
            self.second_pass(&attention, queries);
        }
        zeros.clear();
        for lane in lanes {
            zeros.append(&mut lane.zeros);
        }
        zeros.sort_unstable();
    }

    /// The value of each head as bits, and what deviates from them.
    fn binarize_value(&self, kernels: Kernels, scratch: &mut Scratch) {
        let sizes = self.sizes();
        let Scratch {
            lanes,
            value,
            bounds,
            value_plane,
            entries,
            ..
        } = scratch;
        let values = Values {
            span: Span::new(sizes.heads, 1, lanes.len()),
            lanes,
            plane: value_plane,
            entries,
        };
        share(values, &|values: Values<'_>| {
            let clock = &mut values.lanes[0].clock;
            clock.start();
            let planes = values.plane.chunks_exact_mut(sizes.value_plane());
            let heads = values.span.range().zip(planes).zip(values.entries);
            for ((head, plane), entries) in heads {
                kernels.run(ValueBits {
                    value: self.head_value(head, value, bounds),
                    plane,
                    entries,
                });
            }
            clock.lap(Stage::Value);
        });
    }

    /// The value of a head, among those of all.
    fn head_value<'a>(
        &self,
        head: usize,
        value: &'a [[Line<f32>; 4]],
        bounds: &'a [Bounds],
    ) -> HeadValue<'a> {
        HeadValue {
            shape: self.shape,
            head,
            value: value.as_flattened(),
            bounds,
        }
    }

    /// The first group of queries, and the largest element of each lane. Where each query has thresholds of
    /// its own, all groups are known by then: the attended value as well.
    fn first_pass(&self, attention: &Attention<'_>, queries: Queries<'_>) {
        share(queries, &|mut queries: Queries<'_>| {
            queries.lanes[0].clock.start();
            queries.lanes[0].zeros.clear();
            let mut max = f32::NEG_INFINITY;
            for of_head in queries.heads(attention.sizes.pairs) {
                max = self.first_groups(attention, &mut queries, &of_head, max);
                queries.lanes[0].clock.lap(Stage::Attention);
                if self.groups.by_row {
                    self.attended(attention, &mut queries, &of_head, max);
                }
            }
            queries.lanes[0].largest = max;
        });
    }

    /// The attended value of queries whose later groups depend on the largest element of all lanes.
    fn second_pass(&self, attention: &Attention<'_>, queries: Queries<'_>) {
        let largest = queries.lanes.iter().map(|lane| lane.largest);
        let max = largest.fold(f32::NEG_INFINITY, f32::max);
        share(queries, &|mut queries: Queries<'_>| {
            queries.lanes[0].clock.start();
            for of_head in queries.heads(attention.sizes.pairs) {
                self.attended(attention, &mut queries, &of_head, max);
            }
        });
    }

    /// Adds the output of the attended value to the first `needed` tokens.
    pub(super) fn add(
        &self,
        with: BlockKernels<'_>,
        tokens: &mut Tokens<'_>,
        attended: &[u32],
        zeros: &[Zero],
        needed: usize,
        block: usize,
    ) {
        let sizes = self.sizes();
        let (rows, first) = (tokens.needed(needed), tokens.span.range().start);
        let stride = sizes.attended_stride();
        let of_head = sizes.padded / 32;
        let lane = &mut tokens.lanes[0];
        for (row, bits) in (first..first + rows).zip(lane.bits.chunks_exact_mut(stride)) {
            let heads = attended.chunks_exact(sizes.pairs * sizes.attended_pair());
            for (bits, words) in bits.chunks_exact_mut(of_head).zip(heads) {
                bits.copy_from_slice(&words[row * of_head..][..of_head]);
            }
        }
        lane.zeros.clear();
        let here = zeros.iter().map(|&(row, channel)| (row as usize, channel));
        let here = here.filter(|(row, _)| (first..first + rows).contains(row));
        lane.zeros
            .extend(here.map(|(row, channel)| ((row - first) as u32, channel)));
        if let Some(trace) = &mut tokens.trace {
            let signs = record::signs(&lane.bits, stride, rows, &lane.zeros);
            trace.blocks[block].output_input = record::unpad(
                &signs,
                stride * 32,
                sizes.padded,
                self.shape.width,
                sizes.heads,
            );
        }
        let inputs = BitRows {
            words: &lane.bits,
            stride,
            rows,
            zeros: &lane.zeros,
        };
        self.output.add(with, inputs, &mut lane.sums, tokens.stream);
        lane.clock.lap(Stage::Output);
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

    /// What is known of all tokens once each is projected: bounds of the value, and which bits of query
    /// and key are 0, if some are.
    fn gather(&self, scratch: &mut Scratch) {
        let sizes = self.sizes();
        if !self.shape.by_row {
            let extrema = scratch.lanes.iter().map(|lane| lane.extrema);
            let extrema = extrema.fold(NO_EXTREMA, both_extrema);
            scratch.bounds[0] = Bounds::new(extrema, self.shape.groups);
        } else if self.shape.groups == 1 {
            scratch.bounds.fill(Bounds::new(NO_EXTREMA, 1));
        }
        scratch.valid.clear();
        if scratch
            .lanes
            .iter()
            .all(|lane| lane.query_key_zeros.is_empty())
        {
            return;
        }
        let stride = sizes.query_key_stride();
        scratch.valid.resize(scratch.query_key.len(), u32::MAX);
        let span = Span::new(sizes.tokens, self.rows, scratch.lanes.len());
        for (index, lane) in scratch.lanes.iter().enumerate() {
            let first = span.of_lane(index).range().start;
            for &(row, channel) in &lane.query_key_zeros {
                let word = (first + row as usize) * stride + channel as usize / 32;
                scratch.valid[word] &= !(1 << (channel % 32));
            }
        }
        // Padding counts for nothing.
        for (at, word) in scratch.valid.iter_mut().enumerate() {
            let first = at % (2 * sizes.section) * 32 % sizes.padded;
            let count = self.shape.width.saturating_sub(first).min(32);
            *word &= ((1u64 << count) - 1) as u32;
        }
    }

    /// Records what is projected.
    fn record(&self, scratch: &Scratch, trace: &mut Trace, block: usize) {
        let sizes = self.sizes();
        let [lane] = &scratch.lanes[..] else {
            unreachable!("a trace is recorded by one lane")
        };
        let trace = &mut trace.blocks[block];
        let width = self.shape.width;
        let section = sizes.section * PANEL;
        let stride = 2 * self.norm.gamma.len();
        let signs = record::signs(&lane.bits, stride, sizes.tokens, &lane.zeros);
        trace.qkv_input = record::unpad(&signs, 32 * stride, self.norm.width, self.norm.width, 1);
        let both = record::signs(
            &scratch.query_key,
            sizes.query_key_stride(),
            sizes.tokens,
            &lane.query_key_zeros,
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

    /// Queries and keys of a head.
    fn head<'a>(&'a self, attention: &'a Attention<'_>, head: usize) -> HeadAttention<'a> {
        let Attention {
            sizes,
            shifts,
            query_key,
            valid,
            ..
        } = *attention;
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
            shift: shifts.of_head(head, lines),
            tokens: sizes.tokens,
        }
    }

    /// The first group of queries of a head, and candidates of the others. Gives the largest element so
    /// far, from that before on.
    fn first_groups(
        &self,
        attention: &Attention<'_>,
        queries: &mut Queries<'_>,
        of_head: &OfHead,
        max: f32,
    ) -> f32 {
        let sizes = attention.sizes;
        // Other blocks matter only for the largest element.
        let blocks = if self.groups.count > 1 && !self.groups.by_row {
            sizes.blocks
        } else {
            attention.needed_blocks()
        };
        // A trace wants planes.
        let most = match queries.trace {
            Some(_) => 0,
            None => most_candidates(sizes.tokens),
        };
        let lane = &mut queries.lanes[0];
        let candidates = &mut lane.candidates[of_head.index];
        candidates.list.clear();
        let [second, third] = self.groups.later;
        // Those of the third group are looked for among those of the second.
        candidates.overflow = third < second && !self.groups.by_row;
        candidates.most = most;
        candidates.max = max;
        candidates.second = second;
        let [second, third] = &mut lane.later_groups;
        attention.kernels.run(FirstGroups {
            head: self.head(attention, of_head.head),
            blocks: of_head.blocks(blocks),
            scores: &mut lane.scores,
            shifts: &mut lane.shifts,
            plane: &mut queries.first_group[of_head.place * sizes.plane_pair()..],
            candidates,
            later: [second, third],
        });
        candidates.max
    }

    /// The other groups of queries of a head as planes.
    fn later_groups(
        &self,
        attention: &Attention<'_>,
        lane: &mut Lane,
        head: usize,
        blocks: Range<usize>,
        max: f32,
    ) {
        let [second, third] = &mut lane.later_groups;
        attention.kernels.run(LaterGroups {
            head: self.head(attention, head),
            blocks,
            scores: &mut lane.scores,
            shifts: &mut lane.shifts,
            planes: [second, third],
            max,
        });
    }
}
