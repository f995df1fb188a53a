//! The product of attention matrix and value.

use std::ops::Range;

use super::BinaryAttention;
use super::heads::{Attention, OfHead, Queries};
use crate::engine::scratch::Lane;
use crate::engine::{Stage, record};
use crate::kernel::attended::{Attended, Together, VALUE_PLANES};
use crate::kernel::attention::Candidate;
use crate::kernel::micro::common::ValuePlane;
use crate::kernel::simd::{LANES, Line};
use crate::kernel::value::{EXTRA_PLANES, Entry, ExtraPlanes, HeadValue};

/// The attention matrix of queries of a head as a factor.
struct MatrixFactor<'a> {
    /// Blocks of the queries.
    blocks: Range<usize>,
    /// Of each group, `[blocks, words]`.
    planes: [&'a [Line]; 3],
    words: usize,
    /// Elements that planes do not hold, of blocks to come.
    candidates: &'a [Candidate],
}

impl<'a> MatrixFactor<'a> {
    /// The planes of a block.
    fn block(&self, block: usize) -> [&'a [Line]; 3] {
        let at = block - self.blocks.start;
        let lines = at * self.words..(at + 1) * self.words;
        self.planes.map(|plane| &plane[lines.clone()])
    }

    /// The planes of a block and the next. A last one without another is counted with itself.
    fn pair(&self, block: usize) -> [[&'a [Line]; 2]; 3] {
        let first = self.block(block);
        let other = self.block((block + 1).min(self.blocks.end - 1));
        std::array::from_fn(|group| [first[group], other[group]])
    }

    /// The candidates of a block, of which those before have had theirs.
    fn next_candidates(&mut self, block: usize) -> &'a [Candidate] {
        let of_block = |candidate: &Candidate| candidate.query as usize / LANES <= block;
        let count = self.candidates.partition_point(of_block);
        let (here, after) = self.candidates.split_at(count);
        self.candidates = after;
        here
    }
}

/// The value of a head as a factor: what [`Attended`] wants of it.
struct ValueFactor<'a> {
    value: HeadValue<'a>,
    planes: [ValuePlane<'a>; VALUE_PLANES],
    /// How many planes there are.
    count: usize,
    /// How many of them are those of groups.
    groups: usize,
    entries: &'a [Entry],
}

impl BinaryAttention {
    /// The attended value of queries of a head.
    pub(super) fn attended(
        &self,
        attention: &Attention<'_>,
        queries: &mut Queries<'_>,
        of_head: &OfHead,
        max: f32,
    ) {
        let (kernels, sizes) = (attention.kernels, attention.sizes);
        let blocks = of_head.blocks(attention.needed_blocks());
        let lane = &mut queries.lanes[0];
        let count = self.matrix_planes(attention, lane, of_head, blocks.clone(), max);
        lane.clock.lap(Stage::Attention);
        let value = self.value_factor(attention, of_head.head, &mut lane.extra_planes);
        let value_planes = &value.planes[..value.count];
        let [second, third] = &lane.later_groups;
        let first = &queries.first_group[of_head.place * sizes.plane_pair()..];
        let mut matrix = MatrixFactor {
            blocks: blocks.clone(),
            planes: [first, second, third],
            words: sizes.key_words,
            candidates: match count {
                1 => &lane.candidates[of_head.index].list[..],
                _ => &[],
            },
        };
        let channels = of_head.head * sizes.padded..(of_head.head + 1) * sizes.padded;
        let thresholds = &self.thresholds[channels.clone()];
        let limits = self.limits.as_ref();
        let limits = limits.map(|limits| &limits[channels.clone()]);
        let out = &mut queries.attended[of_head.place * sizes.attended_pair()..];
        let of_blocks = out.chunks_exact_mut(sizes.attended_pair() / 2);
        for (block, out) in blocks.zip(of_blocks) {
            if block % 2 == 0 {
                kernels.run(Together {
                    attention: &matrix.pair(block)[..count],
                    planes: value_planes,
                    channels: sizes.padded,
                    out: &mut lane.together,
                });
            }
            kernels.run(Attended {
                products: &self.products,
                block,
                queries: LANES.min(attention.needed - block * LANES),
                together: &lane.together,
                attention: &matrix.block(block)[..count],
                planes: value_planes,
                groups: value.groups,
                entries: value.entries,
                candidates: matrix.next_candidates(block),
                third: max * self.groups.later[1],
                value: value.value,
                thresholds,
                limits,
                tile: &mut lane.tile,
                counts: &mut lane.counts,
                out,
                first_channel: channels.start,
                zeros: &mut lane.zeros,
            });
        }
        if let Some(trace) = &mut queries.trace {
            let groups = record::attention(&matrix.planes[..count], sizes.key_words, sizes.tokens);
            trace.blocks[attention.block].attention.extend(groups);
        }
        lane.clock.lap(Stage::Attended);
    }

    /// How many groups of the attention matrix are planes: all, which are made if there were too many candidates,
    /// or the first.
    fn matrix_planes(
        &self,
        attention: &Attention<'_>,
        lane: &mut Lane,
        of_head: &OfHead,
        blocks: Range<usize>,
        max: f32,
    ) -> usize {
        let candidates = &mut lane.candidates[of_head.index];
        candidates.prune(max);
        let overflow = candidates.overflow;
        if overflow {
            self.later_groups(attention, lane, of_head.head, blocks, max);
        }
        if overflow || self.groups.by_row {
            self.groups.count
        } else {
            1
        }
    }

    /// The value of a head: where its entries overflow, as planes that are put in `extra`.
    fn value_factor<'a>(
        &self,
        attention: &Attention<'a>,
        head: usize,
        extra: &'a mut [Line],
    ) -> ValueFactor<'a> {
        let value = self.head_value(head, attention.value, attention.bounds);
        let plane = |lines: &'a [Line]| ValuePlane {
            lines,
            stride: self.shape.vectors,
        };
        let signs = &attention.value_plane[head * attention.sizes.value_plane()..];
        let mut planes = [plane(signs); VALUE_PLANES];
        let entries = &attention.entries[head];
        if !entries.overflow {
            return ValueFactor {
                value,
                planes,
                count: 1,
                groups: 1,
                entries: &entries.list,
            };
        }
        let has_zero = attention.kernels.run(ExtraPlanes {
            value,
            planes: &mut *extra,
        });
        let extra: &'a [Line] = extra;
        let size = extra.len() / EXTRA_PLANES;
        let of_extra = |index: usize| plane(&extra[index * size..]);
        let groups = self.shape.groups;
        let mut count = groups;
        (planes[1], planes[2]) = (of_extra(0), of_extra(1));
        if has_zero {
            planes[count] = of_extra(2);
            count += 1;
        }
        ValueFactor {
            value,
            planes,
            count,
            groups,
            entries: &[],
        }
    }
}
