//! The product of attention matrix and value.

use super::BinaryAttention;
use crate::engine::scratch::Scratch;
use crate::engine::{Stage, record};
use crate::kernel::Kernels;
use crate::kernel::attended::{Attended, Together, VALUE_PLANES};
use crate::kernel::micro::common::ValuePlane;
use crate::kernel::simd::LANES;
use crate::kernel::value::{EXTRA_PLANES, ExtraPlanes, HeadValue};
use crate::trace::BlockTrace;

impl BinaryAttention {
    /// The attended value of the first `needed` tokens of a head.
    pub(super) fn attended(
        &self,
        kernels: Kernels,
        scratch: &mut Scratch,
        head: usize,
        needed: usize,
        max: f32,
        trace: Option<&mut BlockTrace>,
    ) {
        let sizes = self.sizes();
        let candidates = &mut scratch.candidates[head];
        candidates.prune(max);
        let attention_planes = if candidates.overflow || self.groups.by_row {
            self.groups.count
        } else {
            1
        };
        if candidates.overflow {
            self.later_groups(kernels, scratch, sizes, head, needed.div_ceil(LANES), max);
        }
        scratch.clock.lap(Stage::Attention);
        let shape = self.shape;
        let entries = &scratch.entries[head];
        let vectors = shape.vectors;
        let value = HeadValue {
            shape,
            head,
            value: scratch.value.as_flattened(),
            bounds: &scratch.bounds,
        };
        let mut planes = [ValuePlane {
            lines: &scratch.value_plane[head * vectors..],
            stride: shape.stride,
        }; VALUE_PLANES];
        let (mut groups, mut count) = (1, 1);
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
            groups = shape.groups;
            (planes[1], planes[2]) = (plane(0), plane(1));
            count = groups;
            if has_zero {
                planes[count] = plane(2);
                count += 1;
            }
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
        let planes = &planes[..count];
        let blocks = needed.div_ceil(LANES);
        let of_block = |block: usize| {
            let lines = block * words..(block + 1) * words;
            [first_group, second, third].map(|plane| &plane[lines.clone()])
        };
        for block in 0..blocks {
            let attention = of_block(block);
            if block % 2 == 0 {
                // A last one without another is counted with itself.
                let other = of_block((block + 1).min(blocks - 1));
                let both = std::array::from_fn::<_, 3, _>(|group| [attention[group], other[group]]);
                kernels.run(Together {
                    attention: &both[..attention_planes],
                    planes,
                    channels: sizes.padded,
                    out: &mut scratch.together,
                });
            }
            // They come block by block.
            let count =
                candidates.partition_point(|candidate| candidate.query as usize / LANES <= block);
            let (here, after) = candidates.split_at(count);
            candidates = after;
            kernels.run(Attended {
                products: &self.products,
                block,
                queries: LANES.min(needed - block * LANES),
                together: &scratch.together,
                attention: &attention[..attention_planes],
                planes,
                groups,
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
        scratch.clock.lap(Stage::Attended);
    }
}
