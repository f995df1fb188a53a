//! The attention of a block.

use std::sync::Arc;

use super::linear::{BitLayer, BitRows, BitWeight, FloatLayer, level_threshold};
use super::lines::lines;
use super::norm::fold;
use super::scratch::{Scratch, Sizes, most_candidates};
use super::{Stage, record};
use crate::config::guarded;
use crate::kernel::Kernels;
use crate::kernel::attended::{Attended, Products, ValuePlane};
use crate::kernel::attention::{
    Exponentials, FirstGroups, Groups, HeadAttention, HeadBits, LaterGroups,
};
use crate::kernel::linear::PANEL;
use crate::kernel::norm::{Norm, NormSigns};
use crate::kernel::simd::{LANES, Line};
use crate::kernel::value::{EXTRA_PLANES, ExtraPlanes, HeadValue, ValuePlanes, ValueShape, levels};
use crate::trace::BlockTrace;
use crate::{Attention, Config, LayerNorm, ThresholdScope};

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
    pub(super) fn new(
        norm: &LayerNorm,
        attention: Attention,
        config: &Config,
        kernels: Kernels,
    ) -> Self {
        let sizes = Sizes::of_config(config);
        let width = config.head_width();
        let qkv = attention.qkv;
        let signs = Arc::new(qkv.weight);
        let factor = factors(qkv.input_scale, qkv.weight_scale);
        let bias = |row: usize| qkv.bias[row];
        // Channel `at` of a section, its heads padded to whole words.
        let row = |section: usize, at: usize| {
            let (head, channel) = (at / sizes.padded, at % sizes.padded);
            (head < config.heads && channel < width)
                .then_some(section * config.width + head * width + channel)
        };
        let section = sizes.section * PANEL;
        let query_key = (0..2 * section)
            .map(|at| row(at / section, at % section))
            .collect();
        // Padding repeats a channel: it must not change an extremum.
        let first_of_head = |at: usize| row(2, at / sizes.padded * sizes.padded);
        let value = (0..section)
            .map(|at| row(2, at).or_else(|| first_of_head(at)))
            .collect();
        let weight = |rows| BitWeight::new(kernels, signs.clone(), config.width, rows, true);
        let (query_key, value) = (weight(query_key), weight(value));
        let shift = |row: usize| match row / config.width {
            0 => attention.query_shift[row],
            _ => attention.key_shift[row - config.width],
        };
        let value_rows = value.rows();
        let value_shift = lines(section, 0.0, |at| {
            value_rows[at].map_or(0.0, |row| attention.value_shift[row - 2 * config.width])
        });
        let by_row = config.scope == ThresholdScope::Row;
        let scales = |scales: &[f32]| scales.iter().copied().map(guarded).collect::<Vec<f32>>();
        let attention_scales = scales(&attention.attention_scales);
        let product = guarded(attention.query_scale) * guarded(attention.key_scale);
        let products = Products::new(
            &attention_scales,
            &scales(&attention.value_scales),
            sizes.tokens,
        );
        let output = attention.output;
        let threshold = |row: usize| -f64::from(output.input_shift[row]);
        let thresholds: Vec<f64> = (0..config.heads * sizes.padded)
            .map(|at| row(0, at).map_or(f64::INFINITY, threshold))
            .collect();
        let output_factor = factors(output.input_scale, output.weight_scale);
        let output_rows = (0..config.width).map(Some).collect();
        Self {
            norm: fold(norm, &qkv.input_shift, config),
            query_key: BitLayer::new(kernels, query_key, &factor, bias, shift, None),
            value: FloatLayer::new(value, &factor, bias),
            value_shift,
            shape: ValueShape {
                tokens: sizes.tokens,
                heads: config.heads,
                width,
                vectors: sizes.padded / LANES,
                stride: 4 * sizes.section,
                groups: config.value_groups,
                by_row,
            },
            groups: Groups {
                exponentials: Exponentials::new(width, product * (width as f32).sqrt().recip()),
                first: level_threshold(attention_scales[0]),
                count: config.attention_groups,
                by_row,
            },
            shift: by_blocks(&attention.attention_shift, sizes),
            limits: thresholds
                .iter()
                .map(|&threshold| products.limit(sizes.tokens, threshold))
                .collect(),
            thresholds,
            products,
            scales: attention_scales,
            output: FloatLayer::new(
                BitWeight::new(kernels, Arc::new(output.weight), width, output_rows, true),
                output_factor,
                |row| output.bias[row],
            ),
        }
    }

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
                let planes = if self.groups.count > 1 {
                    self.groups.count
                } else {
                    1
                };
                scratch.clock.lap(Stage::Attention);
                self.attended(
                    kernels,
                    scratch,
                    sizes,
                    head,
                    needed,
                    planes,
                    max,
                    trace.as_deref_mut(),
                );
                scratch.clock.lap(Stage::Attended);
            }
        }
        scratch.clock.lap(Stage::Attention);
        if !by_row {
            for head in 0..sizes.heads {
                let mut planes = 1;
                scratch.candidates[head].prune(max);
                if scratch.candidates[head].overflow {
                    planes = self.groups.count;
                    self.later_groups(kernels, scratch, sizes, head, needed_blocks, max);
                    scratch.clock.lap(Stage::Attention);
                }
                self.attended(
                    kernels,
                    scratch,
                    sizes,
                    head,
                    needed,
                    planes,
                    max,
                    trace.as_deref_mut(),
                );
                scratch.clock.lap(Stage::Attended);
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

    /// The attended value of the first `needed` tokens of a head, with so many planes of the attention.
    #[allow(clippy::too_many_arguments)]
    fn attended(
        &self,
        kernels: Kernels,
        scratch: &mut Scratch,
        sizes: Sizes,
        head: usize,
        needed: usize,
        attention_planes: usize,
        max: f32,
        trace: Option<&mut BlockTrace>,
    ) {
        let shape = self.shape;
        let entries = &scratch.entries[head];
        let vectors = shape.vectors;
        let value = HeadValue {
            shape,
            head,
            value: scratch.value.as_flattened(),
            bounds: &scratch.bounds,
        };
        let mut groups = [ValuePlane {
            lines: &scratch.value_plane[head * vectors..],
            stride: shape.stride,
        }; 3];
        let mut value_planes = 1;
        let mut nothing = None;
        if entries.overflow {
            let has_zero = kernels.run(ExtraPlanes {
                value,
                planes: &mut scratch.extra_planes,
            });
            let size = scratch.extra_planes.len() / EXTRA_PLANES;
            let plane = |extra: usize| ValuePlane {
                lines: &scratch.extra_planes[extra * size..],
                stride: vectors,
            };
            (groups[1], groups[2]) = (plane(0), plane(1));
            nothing = has_zero.then(|| plane(2));
            value_planes = shape.groups;
        }
        let entries = if entries.overflow {
            &[]
        } else {
            &entries.list[..]
        };
        let words = sizes.key_words;
        let first_group = &scratch.first_group[head * sizes.blocks * words..];
        let [second, third] = &scratch.later_groups;
        let mut candidates = match attention_planes {
            1 => &scratch.candidates[head].list[..],
            _ => &[],
        };
        let stride = sizes.attended_stride();
        let channels = head * sizes.padded..(head + 1) * sizes.padded;
        let thresholds = &self.thresholds[channels.clone()];
        let limits = self.limits.as_ref().map(|limits| &limits[channels]);
        let first_word = head * sizes.padded / 32;
        for block in 0..needed.div_ceil(LANES) {
            let lines = block * words..(block + 1) * words;
            let attention = [
                &first_group[lines.clone()],
                &second[lines.clone()],
                &third[lines],
            ];
            // They come block by block.
            let of_block =
                candidates.partition_point(|candidate| candidate.query as usize / LANES <= block);
            let (here, after) = candidates.split_at(of_block);
            candidates = after;
            kernels.run(Attended {
                products: &self.products,
                block,
                queries: LANES.min(needed - block * LANES),
                attention: &attention[..attention_planes],
                groups: &groups[..value_planes],
                nothing,
                entries,
                candidates: here,
                max,
                value,
                thresholds,
                limits,
                tile: &mut scratch.tile,
                counts: &mut scratch.counts,
                out: &mut scratch.bits[first_word..],
                stride,
                first_channel: head * sizes.padded,
                zeros: &mut scratch.zeros,
            });
        }
        if let Some(trace) = trace {
            let groups = [&first_group[..sizes.blocks * words], second, third];
            let groups = &groups[..attention_planes];
            trace
                .attention
                .extend(record::attention(groups, words, sizes.tokens));
        }
    }
}

/// The factor of each row of a linear layer.
pub(super) fn factors(input_scale: f32, weight_scale: Vec<f32>) -> impl Fn(usize) -> f32 {
    let input = guarded(input_scale);
    move |row| input * weight_scale[row % weight_scale.len()]
}

/// Attention shifts in the order of the kernels.
fn by_blocks(shift: &[f32], sizes: Sizes) -> Vec<Line<f32>> {
    let tokens = sizes.tokens;
    let nothing = Line([f32::NEG_INFINITY; LANES]);
    let mut out = vec![nothing; sizes.heads * sizes.blocks * tokens];
    let heads = shift.chunks_exact(tokens * tokens);
    for (head, out) in heads.zip(out.chunks_exact_mut(sizes.blocks * tokens)) {
        for (query, row) in head.chunks_exact(tokens).enumerate() {
            let lines = &mut out[query / LANES * tokens..][..tokens];
            for (line, &value) in lines.iter_mut().zip(row) {
                line.0[query % LANES] = value;
            }
        }
    }
    out
}
