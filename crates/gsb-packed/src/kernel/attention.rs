//! From query and key bits to the groups of the attention matrix.
//!
//! Lanes are queries, 16 a block, so that a softmax is a sum of vectors. The products of a query with a
//! key take `head width + 1` values, so the exponential is looked up. The superposition's second and
//! third group need the largest element of the whole image, which is known last: elements above the
//! second group's part of the largest so far are kept as candidates, a superset of the two groups. They are few, or so
//! many that the groups are better computed again as planes. Where a query's groups depend on no other query, as those of
//! levels do, they are planes at once.

mod scores;
mod shift;

use std::ops::Range;

use super::instruction_set::{InstructionSet, Task};
use super::simd::{LANES, Line, Simd};
pub(crate) use scores::{Exponentials, Groups, HeadAttention, HeadBits};
pub(crate) use shift::HeadShift;

/// Keys of a word of a plane.
pub(crate) const KEYS: usize = 32;

/// An element that may belong to the second group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) query: u32,
    pub(crate) key: u32,
    pub(crate) value: f32,
}

/// Words of a plane for a number of keys.
pub(crate) fn key_words(keys: usize) -> usize {
    keys.div_ceil(KEYS)
}

/// The first group of a head, and what is known of the others.
pub(crate) struct FirstGroups<'a> {
    pub(crate) head: HeadAttention<'a>,
    /// Some blocks of queries.
    pub(crate) blocks: Range<usize>,
    pub(crate) scores: &'a mut [Line<f32>],
    /// Memory for the shifts of a block, `[keys]`.
    pub(crate) shifts: &'a mut [[f32; LANES]],
    /// `[some blocks, key words]`.
    pub(crate) plane: &'a mut [Line],
    pub(crate) candidates: &'a mut Candidates,
    /// The other groups' planes, likewise, if those of a query depend on no other.
    pub(crate) later: [&'a mut [Line]; 2],
}

impl Task for FirstGroups<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: InstructionSet>(self, s: S) {
        let Self {
            head,
            scores,
            shifts,
            ..
        } = self;
        let words = key_words(head.tokens);
        let [second, third] = self.later;
        for (at, block) in self.blocks.enumerate() {
            let shift = head.shift.of_block(s, block, head.tokens, shifts);
            let sum = head.scores(s, block, shift, scores);
            let lines = at * words..(at + 1) * words;
            let first = FirstGroup {
                groups: head.groups,
                block,
                scores,
                shift,
                plane: &mut self.plane[lines.clone()],
                candidates: self.candidates,
            };
            let largest = first.run(s, sum);
            if head.groups.by_row && head.groups.count > 1 {
                let planes = GroupPlanes {
                    scores,
                    shift,
                    planes: [&mut second[lines.clone()], &mut third[lines]],
                };
                let whole = match head.groups.of_levels {
                    true => s.splat_f(1.0),
                    false => largest,
                };
                planes.run(s, sum, whole, head.groups.later);
            }
        }
    }
}

/// The second and third group of a head, once the largest element is known.
pub(crate) struct LaterGroups<'a> {
    pub(crate) head: HeadAttention<'a>,
    /// Some blocks of queries.
    pub(crate) blocks: Range<usize>,
    pub(crate) scores: &'a mut [Line<f32>],
    /// Memory for the shifts of a block, `[keys]`.
    pub(crate) shifts: &'a mut [[f32; LANES]],
    /// `[some blocks, key words]` each.
    pub(crate) planes: [&'a mut [Line]; 2],
    pub(crate) max: f32,
}

impl Task for LaterGroups<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: InstructionSet>(self, s: S) {
        let Self {
            head,
            scores,
            shifts,
            ..
        } = self;
        let words = key_words(head.tokens);
        let [second, third] = self.planes;
        for (at, block) in self.blocks.enumerate() {
            let shift = head.shift.of_block(s, block, head.tokens, shifts);
            let sum = head.scores(s, block, shift, scores);
            let lines = at * words..(at + 1) * words;
            let planes = GroupPlanes {
                scores,
                shift,
                planes: [&mut second[lines.clone()], &mut third[lines]],
            };
            planes.run(s, sum, s.splat_f(self.max), head.groups.later);
        }
    }
}

/// The first group of a block of queries, and candidates of the others.
struct FirstGroup<'a> {
    pub(crate) groups: &'a Groups,
    pub(crate) block: usize,
    pub(crate) scores: &'a [Line<f32>],
    /// `[keys]`, queries beyond the last minus infinity.
    pub(crate) shift: &'a [[f32; LANES]],
    /// A word for 32 keys: `[key words]`.
    pub(crate) plane: &'a mut [Line],
    pub(crate) candidates: &'a mut Candidates,
}

/// Elements that may belong to the second group of a head, as long as they are few.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    pub(crate) list: Vec<Candidate>,
    /// Whether there were more than the list may hold.
    pub(crate) overflow: bool,
    /// The most it may hold.
    pub(crate) most: usize,
    /// The largest element so far, of this head and those before.
    pub(crate) max: f32,
    /// Elements above this part of the largest belong to the second group.
    pub(crate) second: f32,
}

impl FirstGroup<'_> {
    /// The largest element of each query.
    #[inline(always)]
    fn run<S: Simd>(self, s: S, sum: S::F) -> S::F {
        let reciprocal = s.div(s.splat_f(1.0), sum);
        let first = s.splat_f(self.groups.first);
        let search = self.groups.count > 1 && !self.groups.by_row;
        let mut largest = s.splat_f(f32::NEG_INFINITY);
        let keys = self.scores.chunks(KEYS).zip(self.shift.chunks(KEYS));
        for (word, ((scores, shift), plane)) in keys.zip(self.plane.iter_mut()).enumerate() {
            let mut bits = s.splat_u(0);
            let mut bit = s.splat_u(1);
            let mut largest_here = s.splat_f(f32::NEG_INFINITY);
            for (score, shift) in scores.iter().zip(shift) {
                let p = element(s, score, reciprocal, shift);
                largest_here = s.max(largest_here, p);
                bits = s.or(bits, s.select_u(s.gt(p, first), bit));
                bit = s.add_u(bit, bit);
            }
            s.store_u(bits, &mut plane.0);
            largest = s.max(largest, largest_here);
            if search {
                let bound = s.splat_f(self.candidates.max * self.candidates.second);
                if s.mask_bits(s.gt(largest_here, bound)) != 0 {
                    let first = word * KEYS;
                    self.candidates.search(
                        s,
                        self.block,
                        first,
                        scores,
                        shift,
                        reciprocal,
                        largest_here,
                    );
                }
            }
        }
        largest
    }
}

/// An element of the shifted attention matrix.
#[inline(always)]
fn element<S: Simd>(s: S, score: &Line<f32>, reciprocal: S::F, shift: &[f32; LANES]) -> S::F {
    s.add(s.mul(s.load_f(&score.0), reciprocal), s.load_f(shift))
}

impl Candidates {
    /// Forgets those that do not belong to the second group of a largest element.
    pub(crate) fn prune(&mut self, max: f32) {
        let bound = max * self.second;
        self.list.retain(|candidate| candidate.value > bound);
    }

    /// Raises the maximum to that of a block of queries and some keys, and lists what is near it.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn search<S: Simd>(
        &mut self,
        s: S,
        block: usize,
        first_key: usize,
        scores: &[Line<f32>],
        shift: &[[f32; LANES]],
        reciprocal: S::F,
        largest: S::F,
    ) {
        let mut lanes = [0.0; LANES];
        s.store_f(largest, &mut lanes);
        self.max = lanes.into_iter().fold(self.max, f32::max);
        if self.overflow {
            return;
        }
        let bound = s.splat_f(self.max * self.second);
        for (key, (score, shift)) in scores.iter().zip(shift).enumerate() {
            let p = element(s, score, reciprocal, shift);
            let mut near = s.mask_bits(s.gt(p, bound));
            if near == 0 {
                continue;
            }
            s.store_f(p, &mut lanes);
            while near != 0 {
                let lane = near.trailing_zeros() as usize;
                near &= near - 1;
                if self.list.len() == self.most {
                    self.overflow = true;
                    return;
                }
                self.list.push(Candidate {
                    query: (block * LANES + lane) as u32,
                    key: (first_key + key) as u32,
                    value: lanes[lane],
                });
            }
        }
    }
}

/// The second and third group of a block of queries.
struct GroupPlanes<'a> {
    pub(crate) scores: &'a [Line<f32>],
    pub(crate) shift: &'a [[f32; LANES]],
    /// A plane for each group after the first: `[key words]`.
    pub(crate) planes: [&'a mut [Line]; 2],
}

impl GroupPlanes<'_> {
    /// With the largest element that each query is compared with, and the parts of it that the groups
    /// are above.
    #[inline(always)]
    fn run<S: Simd>(self, s: S, sum: S::F, max: S::F, later: [f32; 2]) {
        let reciprocal = s.div(s.splat_f(1.0), sum);
        let bounds = later.map(|threshold| s.mul(max, s.splat_f(threshold)));
        let keys = self.scores.chunks(KEYS).zip(self.shift.chunks(KEYS));
        let [second, third] = self.planes;
        for ((scores, shift), planes) in keys.zip(second.iter_mut().zip(third)) {
            let mut bits = [s.splat_u(0); 2];
            let mut bit = s.splat_u(1);
            for (score, shift) in scores.iter().zip(shift) {
                let p = element(s, score, reciprocal, shift);
                for group in 0..2 {
                    let member = s.select_u(s.gt(p, bounds[group]), bit);
                    bits[group] = s.or(bits[group], member);
                }
                bit = s.add_u(bit, bit);
            }
            s.store_u(bits[0], &mut planes.0.0);
            s.store_u(bits[1], &mut planes.1.0);
        }
    }
}
