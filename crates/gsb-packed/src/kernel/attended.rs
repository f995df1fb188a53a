//! The product of attention matrix and value, and the bits of its sign.
//!
//! Both are superpositions, so the product is a sum of counts times products of scales. Those are
//! rounded to a common quantum, so small that no rounding of it can be seen in single precision, and
//! so large that every sum of them is exact in double precision. So the order of additions, and whether
//! a group is multiplied as a plane or element by element, makes no difference at all.

use super::attention::Candidate;
use super::norm::Zero;
use super::simd::{LANES, Line, Simd, Task};
use super::value::Entry;
use crate::GROUP_THRESHOLDS;

/// Products of the scales of the attention's groups (outer) and the value's.
#[derive(Debug, Clone)]
pub(crate) struct Products {
    /// For each group of the attention, that of each group of the value.
    groups: [[f64; 3]; 3],
    /// For each group of the attention, what each [`correction`] adds to that of the value's bit.
    corrections: [[f64; 7]; 3],
}

/// The place of a level among corrections.
fn correction(level: i8) -> usize {
    (level + 3) as usize
}

impl Products {
    /// Those of a number of keys; groups that there are not have a scale of 0.
    pub(crate) fn new(attention: &[f32], value: &[f32], keys: usize) -> Self {
        let sum = |scales: &[f32]| scales.iter().copied().map(f64::from).sum::<f64>();
        // Everything that is ever added up stays below this, in quanta below 2^52.
        let most = 4.0 * sum(attention) * sum(value) * keys as f64;
        // A power of two by its exponent: logarithms and powers are not exact everywhere, and sums
        // must be.
        let exponent = (most.to_bits() >> 52) + 1;
        let quantum = f64::from_bits((exponent - 52) << 52);
        let scale =
            |scales: &[f32], group: usize| scales.get(group).copied().map_or(0.0, f64::from);
        let groups: [[f64; 3]; 3] = std::array::from_fn(|a| {
            std::array::from_fn(|v| {
                let product = scale(attention, a) * scale(value, v);
                (product / quantum).round_ties_even() * quantum
            })
        });
        let corrections = groups.map(|[first, second, third]| {
            let mut worth = [0.0; 7];
            worth[correction(0)] = first;
            for sign in [-1, 1] {
                worth[correction(2 * sign)] = f64::from(sign) * second;
                worth[correction(3 * sign)] = f64::from(sign) * (second + third);
            }
            worth
        });
        Self {
            groups,
            corrections,
        }
    }

    /// What a one of a plane of the value is worth to a group of the attention.
    #[inline(always)]
    fn worth(&self, group: usize, weights: [f64; 3]) -> f64 {
        let row = &self.groups[group];
        weights[0] * row[0] + weights[1] * row[1] + weights[2] * row[2]
    }
}

/// The most planes of the value.
pub(crate) const VALUE_PLANES: usize = 6;

/// A plane of the value's bits of a head.
#[derive(Clone, Copy, Default)]
pub(crate) struct ValuePlane<'a> {
    /// `[token words, stride]`, from the head's first vector on.
    pub(crate) lines: &'a [Line],
    pub(crate) stride: usize,
    /// What a one is worth, times the attention group's product with each value group.
    pub(crate) weights: [f64; 3],
}

/// The attended value of a block of 16 queries of a head.
pub(crate) struct Attended<'a> {
    pub(crate) products: &'a Products,
    pub(crate) block: usize,
    /// Queries of the block that there are.
    pub(crate) queries: usize,
    /// Planes of the attention's groups, `[key words]` each.
    pub(crate) attention: &'a [&'a [Line]],
    /// Planes of the value: the first is that of the signs.
    pub(crate) value: &'a [ValuePlane<'a>],
    /// Elements of the value that planes do not hold.
    pub(crate) entries: &'a [Entry],
    /// Elements of the attention matrix that planes do not hold.
    pub(crate) candidates: &'a [Candidate],
    /// The largest element that candidates are compared with.
    pub(crate) max: f32,
    /// What a channel's sum must exceed: the negative shift, `[head width]`.
    pub(crate) thresholds: &'a [f64],
    /// `[padded head width]`.
    pub(crate) tile: &'a mut [Line64],
    /// Sum of each channel of a row, `[padded head width]`.
    pub(crate) row: &'a mut [[f64; LANES]],
    /// `[queries of the image, stride]`, from the head's first word on.
    pub(crate) out: &'a mut [u32],
    pub(crate) stride: usize,
    /// Channels before the head's.
    pub(crate) first_channel: usize,
    pub(crate) zeros: &'a mut Vec<Zero>,
}

/// 16 double precision floats.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
pub(crate) struct Line64(pub(crate) [f64; LANES]);

/// Channels whose counts are kept in registers.
const CHANNELS: usize = 8;

impl Task for Attended<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        self.planes(s);
        self.add_entries(s);
        self.add_candidates(s);
        self.signs(s);
    }
}

impl Attended<'_> {
    /// The sum over planes.
    #[inline(always)]
    fn planes<S: Simd>(&mut self, s: S) {
        for (group, keys) in self.attention.iter().enumerate() {
            let mut ones = s.splat_u(0);
            for line in *keys {
                ones = s.add_u(ones, s.widen(s.count(s.splat_u(0), s.load_u(&line.0))));
            }
            let worth = -self.products.groups[group][0];
            let base = s.mul_d(s.to_d(ones), s.splat_d(worth));
            for (index, plane) in self.value.iter().enumerate() {
                let worth = self.products.worth(group, plane.weights);
                let start = if index == 0 { base } else { s.splat_d(0.0) };
                self.plane(s, keys, plane, s.splat_d(worth), start, group + index > 0);
            }
        }
    }

    #[inline(always)]
    fn plane<S: Simd>(
        &mut self,
        s: S,
        keys: &[Line],
        plane: &ValuePlane<'_>,
        worth: S::D,
        start: S::D,
        add: bool,
    ) {
        for (index, tile) in self.tile.chunks_exact_mut(CHANNELS).enumerate() {
            let (vector, lane) = (index * CHANNELS / LANES, index * CHANNELS % LANES);
            let mut totals = [s.splat_u(0); CHANNELS];
            let mut words = plane.lines[vector..].iter().step_by(plane.stride);
            for keys in keys.chunks(S::COUNTS) {
                let mut counts = [s.splat_u(0); CHANNELS];
                for (keys, words) in keys.iter().zip(&mut words) {
                    let x = s.load_u(&keys.0);
                    let words = &words.0[lane..lane + CHANNELS];
                    for c in 0..CHANNELS {
                        counts[c] = s.count(counts[c], s.and(x, s.splat_u(words[c])));
                    }
                }
                for c in 0..CHANNELS {
                    totals[c] = s.add_u(totals[c], s.widen(counts[c]));
                }
            }
            for c in 0..CHANNELS {
                let mut sum = s.add_d(s.mul_d(s.to_d(totals[c]), worth), start);
                if add {
                    sum = s.add_d(sum, s.load_d(&tile[c].0));
                }
                s.store_d(sum, &mut tile[c].0);
            }
        }
    }

    /// Elements of the value times the planes of the attention.
    #[inline(always)]
    fn add_entries<S: Simd>(&mut self, s: S) {
        for entry in self.entries {
            let tile = &mut self.tile[entry.channel as usize].0;
            let mut sum = s.load_d(tile);
            let bit = s.splat_u(1 << (entry.token % 32));
            for (group, keys) in self.attention.iter().enumerate() {
                let worth = s.splat_d(self.products.corrections[group][correction(entry.level)]);
                let member = s.test(s.load_u(&keys[entry.token as usize / 32].0), bit);
                sum = s.add_d(sum, s.select_d(member, worth));
            }
            s.store_d(sum, tile);
        }
    }

    /// Elements of the attention matrix times all of the value. Entries are ordered by token.
    #[inline(always)]
    fn add_candidates<S: Simd>(&mut self, s: S) {
        let [second, third] = GROUP_THRESHOLDS.map(|threshold| self.max * threshold);
        for candidate in self.candidates {
            let groups = match candidate.value {
                p if p > third => 1..3,
                p if p > second => 1..2,
                _ => continue,
            };
            let token = candidate.key;
            let lane = candidate.query as usize % LANES;
            for group in groups {
                self.value_row(s, token, group);
                for (tile, row) in self.tile.iter_mut().zip(self.row.as_flattened()) {
                    tile.0[lane] += row;
                }
                let start = self.entries.partition_point(|entry| entry.token < token);
                for entry in self.entries[start..]
                    .iter()
                    .take_while(|entry| entry.token == token)
                {
                    let worth = self.products.corrections[group][correction(entry.level)];
                    self.tile[entry.channel as usize].0[lane] += worth;
                }
            }
        }
    }

    /// A token's value times the scale of an attention group, as far as planes hold it.
    #[inline(always)]
    fn value_row<S: Simd>(&mut self, s: S, token: u32, group: usize) {
        let base = -self.products.groups[group][0];
        let bit = s.splat_u(1 << (token % 32));
        for (v, out) in self.row.iter_mut().enumerate() {
            let mut sum = s.splat_d(base);
            for plane in self.value {
                let worth = self.products.worth(group, plane.weights);
                let line = &plane.lines[token as usize / 32 * plane.stride + v];
                let member = s.test(s.load_u(&line.0), bit);
                sum = s.add_d(sum, s.select_d(member, s.splat_d(worth)));
            }
            s.store_d(sum, out);
        }
    }

    /// The bits of the shifted sums.
    #[inline(always)]
    fn signs<S: Simd>(&mut self, s: S) {
        for (word, thresholds) in self.thresholds.chunks(32).enumerate() {
            let mut bits = s.splat_u(0);
            let mut ties = s.splat_u(0);
            let mut bit = s.splat_u(1);
            for (tile, &threshold) in self.tile[word * 32..].iter().zip(thresholds) {
                let sum = s.load_d(&tile.0);
                let threshold = s.splat_d(threshold);
                bits = s.or(bits, s.select_u(s.gt_d(sum, threshold), bit));
                ties = s.or(ties, s.select_u(s.eq_d(sum, threshold), bit));
                bit = s.add_u(bit, bit);
            }
            if s.mask_bits(s.gt_u(ties, s.splat_u(0))) != 0 {
                let mut lanes = [0; LANES];
                s.store_u(ties, &mut lanes);
                for (lane, mut ties) in lanes.into_iter().enumerate().take(self.queries) {
                    while ties != 0 {
                        let channel =
                            self.first_channel + word * 32 + ties.trailing_zeros() as usize;
                        self.zeros
                            .push(((self.block * LANES + lane) as u32, channel as u32));
                        ties &= ties - 1;
                    }
                }
            }
            let mut lanes = [0; LANES];
            s.store_u(bits, &mut lanes);
            for (lane, bits) in lanes.into_iter().enumerate().take(self.queries) {
                self.out[(self.block * LANES + lane) * self.stride + word] = bits;
            }
        }
    }
}
