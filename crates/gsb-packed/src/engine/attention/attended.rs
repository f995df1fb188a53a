//! The product of attention matrix and value.

use std::ops::Range;

use super::BinaryAttention;
use super::heads::{Attention, OfHead, Queries};
use crate::engine::{Stage, record};
use crate::kernel::attended::{Attended, Together, VALUE_PLANES};
use crate::kernel::micro::common::ValuePlane;
use crate::kernel::simd::LANES;
use crate::kernel::value::{EXTRA_PLANES, ExtraPlanes};

impl BinaryAttention {
    /// The attended value of queries of a head.
    pub(super) fn attended(
        &self,
        attention: &Attention<'_>,
        queries: &mut Queries<'_>,
        of_head: &OfHead,
        max: f32,
    ) {
        let Attention {
            kernels,
            sizes,
            needed,
            ..
        } = *attention;
        let head = of_head.head;
        let blocks = of_head.blocks(attention.needed_blocks());
        let lane = &mut queries.lanes[0];
        let candidates = &mut lane.candidates[of_head.index];
        candidates.prune(max);
        let overflow = candidates.overflow;
        let attention_planes = if overflow || self.groups.by_row {
            self.groups.count
        } else {
            1
        };
        if overflow {
            self.later_groups(attention, lane, head, blocks.clone(), max);
        }
        lane.clock.lap(Stage::Attention);
        let shape = self.shape;
        let entries = &attention.entries[head];
        let vectors = shape.vectors;
        let value = (attention.value)(head);
        let mut planes = [ValuePlane {
            lines: &attention.value_plane[head * sizes.value_plane()..],
            stride: vectors,
        }; VALUE_PLANES];
        let (mut groups, mut count) = (1, 1);
        if entries.overflow {
            let has_zero = kernels.run(ExtraPlanes {
                value,
                planes: &mut lane.extra_planes,
            });
            let size = lane.extra_planes.len() / EXTRA_PLANES;
            let plane = |extra: usize| ValuePlane {
                lines: &lane.extra_planes[extra * size..],
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
        let pair = of_head.place * sizes.plane_pair();
        let first_group = &queries.first_group[pair..];
        let [second, third] = &lane.later_groups;
        let mut candidates = match attention_planes {
            1 => &lane.candidates[of_head.index].list[..],
            _ => &[],
        };
        let channels = head * sizes.padded..(head + 1) * sizes.padded;
        let thresholds = &self.thresholds[channels.clone()];
        let limits = self.limits.as_ref().map(|limits| &limits[channels]);
        let planes = &planes[..count];
        let of_block = |block: usize| {
            let at = block - blocks.start;
            let lines = at * words..(at + 1) * words;
            [first_group, second, third].map(|plane| &plane[lines.clone()])
        };
        let out = &mut queries.attended[of_head.place * sizes.attended_pair()..];
        let of_blocks = out.chunks_exact_mut(sizes.attended_pair() / 2);
        for (block, out) in Range::clone(&blocks).zip(of_blocks) {
            let attention = of_block(block);
            if block % 2 == 0 {
                // A last one without another is counted with itself.
                let other = of_block((block + 1).min(blocks.end - 1));
                let both = std::array::from_fn::<_, 3, _>(|group| [attention[group], other[group]]);
                kernels.run(Together {
                    attention: &both[..attention_planes],
                    planes,
                    channels: sizes.padded,
                    out: &mut lane.together,
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
                together: &lane.together,
                attention: &attention[..attention_planes],
                planes,
                groups,
                entries,
                candidates: here,
                third: max * self.groups.later[1],
                value,
                thresholds,
                limits,
                tile: &mut lane.tile,
                counts: &mut lane.counts,
                out,
                first_channel: head * sizes.padded,
                zeros: &mut lane.zeros,
            });
        }
        if let Some(trace) = &mut queries.trace {
            let groups = [&first_group[..sizes.blocks * words], second, third];
            let groups = &groups[..attention_planes];
            trace.blocks[attention.block]
                .attention
                .extend(record::attention(groups, words, sizes.tokens));
        }
        lane.clock.lap(Stage::Attended);
    }
}
