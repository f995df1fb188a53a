//! The product of attention matrix and value, and the bits of its sign.
//!
//! Both are superpositions, so the product is a sum of counts times [products of scales](crate::products),
//! all sums of which are exact: the order of additions, and whether a group is multiplied as a plane or
//! element by element, makes no difference at all.

use super::attention::Candidate;
use super::instruction_set::{InstructionSet, Task};
use super::micro::common::{Halves, ValuePlane};
use super::norm::Zero;
use super::simd::{LANES, Line};
use super::value::{Entry, HeadValue};
use crate::products::{Products, limit_offset};

/// The most planes of the value that are counted: its groups, and where it is 0.
pub(crate) const VALUE_PLANES: usize = 4;

/// The most planes of the attention and the value together.
pub(crate) const PAIRS_OF_PLANES: usize = 3 * VALUE_PLANES;

/// Counts for [`Attended`] of two blocks, for machines that count two together.
pub(crate) struct Together<'a> {
    /// For each plane of the attention, `[key words]` of both blocks.
    pub(crate) attention: &'a [[&'a [Line]; 2]],
    /// Those of [`Attended`].
    pub(crate) planes: &'a [ValuePlane<'a>],
    /// Channels of a head, padded.
    pub(crate) channels: usize,
    /// `[planes of the attention, VALUE_PLANES, channels]`.
    pub(crate) out: &'a mut [Halves],
}

impl Task for Together<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: InstructionSet>(self, s: S) {
        if S::TOGETHER {
            let out = self.out.chunks_exact_mut(VALUE_PLANES * self.channels);
            for (keys, out) in self.attention.iter().zip(out) {
                s.count_together(*keys, self.planes, self.channels, out);
            }
        }
    }
}

/// The attended value of a block of 16 queries of a head.
pub(crate) struct Attended<'a> {
    pub(crate) products: &'a Products,
    pub(crate) block: usize,
    /// Queries of the block that there are.
    pub(crate) queries: usize,
    /// The counts of [`Together`], of which the block's are the even or odd ones.
    pub(crate) together: &'a [Halves],
    /// Planes of the attention's groups, `[key words]` each.
    pub(crate) attention: &'a [&'a [Line]],
    /// A plane for each group of the value, that of the first being the signs: of the others, entries
    /// may hold the members. Then where the value is 0, if it is somewhere and no entries say so.
    pub(crate) planes: &'a [ValuePlane<'a>],
    /// How many planes are those of groups.
    pub(crate) groups: usize,
    /// Elements of the value that planes do not hold, ordered by channel.
    pub(crate) entries: &'a [Entry],
    /// Elements of the attention matrix that planes do not hold, all of the second group.
    pub(crate) candidates: &'a [Candidate],
    /// What candidates must exceed to belong to the third group as well.
    pub(crate) third: f32,
    pub(crate) value: HeadValue<'a>,
    /// What a channel's sum must exceed: the negative shift; infinity for padding. `[padded head width]`.
    pub(crate) thresholds: &'a [f64],
    /// What the sum of signs must exceed, see [`Products::limit`], if it never is the threshold.
    pub(crate) limits: Option<&'a [u32]>,
    /// Sums of channels, `[padded head width]`.
    pub(crate) tile: &'a mut [Line64],
    /// Sums of the signs of a word's channels.
    pub(crate) counts: &'a mut [Line; 32],
    /// `[queries, words of a head]`.
    pub(crate) out: &'a mut [u32],
    /// Channels before the head's.
    pub(crate) first_channel: usize,
    pub(crate) zeros: &'a mut Vec<Zero>,
}

/// 16 double precision floats.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
pub(crate) struct Line64(pub(crate) [f64; LANES]);

/// Channels that are counted at once, sharing the keys.
const CHANNELS: usize = 4;

impl Task for Attended<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: InstructionSet>(mut self, s: S) {
        let mut ones = [s.splat_u(0); 3];
        for (ones, keys) in ones.iter_mut().zip(self.attention) {
            for line in *keys {
                *ones = s.add_u(*ones, s.widen(s.count(s.splat_u(0), s.load_u(&line.0))));
            }
        }
        match (self.limits, self.attention, self.planes) {
            (Some(limits), [_], [_]) if self.candidates.is_empty() => {
                self.decide_counts(s, limits, ones[0]);
            }
            _ => {
                if !self.candidates.is_empty() {
                    self.add_candidates(s);
                }
                self.add_planes(s, ones);
                self.add_entries(s);
                self.decide_sums(s);
            }
        }
    }
}

impl Attended<'_> {
    /// Bits where there is a plane of the attention and one of the value, which is usual: of counts, and
    /// of sums where entries add something.
    #[inline(always)]
    fn decide_counts<S: InstructionSet>(&mut self, s: S, limits: &[u32], ones: S::U) {
        let offset = s.splat_u(limit_offset(self.value.shape.tokens));
        let base = s.sub_u(ones, offset);
        let worth = s.splat_d(self.products.groups[0][0]);
        let mut entries = self.entries;
        for (word, limits) in limits.chunks_exact(32).enumerate() {
            let mut bits = s.splat_u(0);
            let mut bit = s.splat_u(1);
            for (index, limits) in limits.chunks_exact(CHANNELS).enumerate() {
                let counts = self.counts::<S, CHANNELS>(s, 0, 0, word * 32 + index * CHANNELS);
                let out = &mut self.counts[index * CHANNELS..][..CHANNELS];
                for c in 0..CHANNELS {
                    let sum = s.sub_u(s.add_u(counts[c], counts[c]), base);
                    s.store_u(sum, &mut out[c].0);
                    let above = s.gt_u(sum, s.splat_u(limits[c]));
                    bits = s.or(bits, s.select_u(above, bit));
                    bit = s.add_u(bit, bit);
                }
            }
            while let Some(channel) = entries.first().map(|entry| entry.channel)
                && channel as usize / 32 == word
            {
                let sum = s.sub_u(s.load_u(&self.counts[channel as usize % 32].0), offset);
                let mut sum = s.mul_d(s.to_d(sum), worth);
                while let [entry, after @ ..] = entries
                    && entry.channel == channel
                {
                    sum = s.add_d(sum, self.entry(s, entry));
                    entries = after;
                }
                let threshold = s.splat_d(self.thresholds[channel as usize]);
                let bit = 1 << (channel % 32);
                let others = s.and(bits, s.splat_u(!bit));
                bits = s.or(others, s.select_u(s.gt_d(sum, threshold), s.splat_u(bit)));
                let ties = s.mask_bits(s.eq_d(sum, threshold));
                if ties != 0 {
                    self.list_ties(channel as usize, ties);
                }
            }
            self.put(s, word, bits);
        }
    }

    /// Adds planes to what candidates add, if there are some.
    #[inline(always)]
    fn add_planes<S: InstructionSet>(&mut self, s: S, ones: [S::U; 3]) {
        if S::TOGETHER {
            // Counts are there already: channels share nothing, and the sums of one fit registers.
            self.add_planes_to::<S, 1>(s, ones);
        } else {
            self.add_planes_to::<S, CHANNELS>(s, ones);
        }
    }

    #[inline(always)]
    fn add_planes_to<S: InstructionSet, const C: usize>(&mut self, s: S, ones: [S::U; 3]) {
        for first in (0..self.tile.len()).step_by(C) {
            let sums = self.sums::<S, C>(s, first, ones);
            for c in 0..C {
                s.store_d(sums[c], &mut self.tile[first + c].0);
            }
        }
    }

    /// Adds elements of the value times the planes of the attention.
    #[inline(always)]
    fn add_entries<S: InstructionSet>(&mut self, s: S) {
        for entry in self.entries {
            let sum = self.entry(s, entry);
            let tile = &mut self.tile[entry.channel as usize].0;
            s.store_d(s.add_d(s.load_d(tile), sum), tile);
        }
    }

    /// Bits of the sums.
    #[inline(always)]
    fn decide_sums<S: InstructionSet>(&mut self, s: S) {
        let thresholds = self.thresholds;
        for (word, thresholds) in thresholds.chunks_exact(32).enumerate() {
            let mut bits = s.splat_u(0);
            let mut bit = s.splat_u(1);
            for (c, &threshold) in thresholds.iter().enumerate() {
                let sum = s.load_d(&self.tile[word * 32 + c].0);
                let threshold = s.splat_d(threshold);
                bits = s.or(bits, s.select_u(s.gt_d(sum, threshold), bit));
                bit = s.add_u(bit, bit);
                let ties = s.mask_bits(s.eq_d(sum, threshold));
                if ties != 0 {
                    self.list_ties(word * 32 + c, ties);
                }
            }
            self.put(s, word, bits);
        }
    }

    /// Puts bits, 32 channels of each query.
    #[inline(always)]
    fn put<S: InstructionSet>(&mut self, s: S, word: usize, bits: S::U) {
        let mut lanes = [0; LANES];
        s.store_u(bits, &mut lanes);
        let words = self.thresholds.len() / 32;
        for (lane, bits) in lanes.into_iter().enumerate().take(self.queries) {
            self.out[lane * words + word] = bits;
        }
    }

    /// The sums of some channels over planes and candidates.
    ///
    /// A later group's plane has a one where its members are positive and where others are not: with the
    /// ones of the signs, positive members count 2, negative ones 0 and others 1.
    #[inline(always)]
    fn sums<S: InstructionSet, const C: usize>(
        &self,
        s: S,
        first: usize,
        ones: [S::U; 3],
    ) -> [S::D; C] {
        let mut sums = [s.splat_d(0.0); C];
        if !self.candidates.is_empty() {
            for c in 0..C {
                sums[c] = s.load_d(&self.tile[first + c].0);
            }
        }
        for attention in 0..self.attention.len() {
            let worth = self.products.groups[attention].map(|worth| s.splat_d(worth));
            let mut signs = [s.splat_u(0); C];
            for group in 0..self.groups {
                let counts = self.counts(s, attention, group, first);
                let mut extra = counts;
                if group == 0 {
                    signs = counts;
                    if self.planes.len() > self.groups {
                        let zeros: [_; C] = self.counts(s, attention, self.groups, first);
                        for c in 0..C {
                            extra[c] = s.add_u(counts[c], zeros[c]);
                        }
                    }
                }
                for c in 0..C {
                    let sum = s.sub_u(s.add_u(signs[c], extra[c]), ones[attention]);
                    sums[c] = s.add_d(sums[c], s.mul_d(s.to_d(sum), worth[group]));
                }
            }
        }
        sums
    }

    /// How many ones of some channels of a plane of the value are at ones of one of the attention.
    #[inline(always)]
    fn counts<S: InstructionSet, const C: usize>(
        &self,
        s: S,
        attention: usize,
        plane: usize,
        first: usize,
    ) -> [S::U; C] {
        if S::TOGETHER {
            let at = (attention * VALUE_PLANES + plane) * self.thresholds.len() + first;
            let mut counts = [s.splat_u(0); C];
            for (counts, pair) in counts.iter_mut().zip(&self.together[at..][..C]) {
                *counts = s.load_halves(&pair.0[self.block % 2]);
            }
            return counts;
        }
        let keys = self.attention[attention];
        let plane = self.planes[plane];
        let (vector, lane) = (first / LANES, first % LANES);
        let mut totals = [s.splat_u(0); C];
        let mut at = vector;
        for keys in keys.chunks(S::COUNTS) {
            let mut counts = [s.splat_u(0); C];
            for keys in keys {
                let x = s.load_u(&keys.0);
                let words = &plane.lines[at].0[lane..][..C];
                at += plane.stride;
                for c in 0..C {
                    counts[c] = s.count(counts[c], s.and(x, s.splat_u(words[c])));
                }
            }
            for c in 0..C {
                totals[c] = s.add_u(totals[c], s.widen(counts[c]));
            }
        }
        totals
    }

    /// An element of the value times the planes of the attention.
    #[inline(always)]
    fn entry<S: InstructionSet>(&self, s: S, entry: &Entry) -> S::D {
        let mut sum = s.splat_d(0.0);
        let bit = s.splat_u(1 << (entry.token % 32));
        for (group, keys) in self.attention.iter().enumerate() {
            let worth = s.splat_d(self.products.correction(group, entry.level));
            let member = s.test(s.load_u(&keys[entry.token as usize / 32].0), bit);
            sum = s.add_d(sum, s.select_d(member, worth));
        }
        sum
    }

    /// Elements of the attention matrix times all of the value.
    #[inline(always)]
    fn add_candidates<S: InstructionSet>(&mut self, s: S) {
        self.tile.fill(Line64::default());
        let [_, of_second, of_third] = self.products.groups;
        for candidate in self.candidates {
            let worth = if candidate.value > self.third {
                std::array::from_fn(|group| of_second[group] + of_third[group])
            } else {
                of_second
            };
            let lane = candidate.query as usize % LANES;
            let (lines, bounds) = self.value.token(candidate.key as usize);
            for (tile, line) in self.tile.chunks_exact_mut(LANES).zip(lines) {
                let mut row = [0.0; LANES];
                s.store_d(bounds.worth(s, s.load_f(&line.0), worth), &mut row);
                for (tile, row) in tile.iter_mut().zip(row) {
                    tile.0[lane] += row;
                }
            }
        }
    }

    /// Lists sums that are their channel's threshold.
    fn list_ties(&mut self, channel: usize, ties: u16) {
        for lane in (0..self.queries).filter(|lane| ties >> lane & 1 == 1) {
            let query = self.block * LANES + lane;
            self.zeros
                .push((query as u32, (self.first_channel + channel) as u32));
        }
    }
}
