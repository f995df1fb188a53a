//! From the value to bits and what deviates from them.
//!
//! The first group of the value's superposition is a bit for each element. Elements of the second and
//! third group, and elements that are 0 and count as neither sign, are listed; where they are many,
//! they become planes of bits as well.

use super::attention::KEYS;
use super::instruction_set::{InstructionSet, Task};
use super::simd::{LANES, Line, Simd};
use crate::GROUP_THRESHOLDS;

/// Shape of a layer's value, `[tokens, heads, padded width of a head]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ValueShape {
    pub(crate) tokens: usize,
    pub(crate) heads: usize,
    /// Channels of a head.
    pub(crate) width: usize,
    /// Vectors of a head, the last filled up with copies of a channel.
    pub(crate) vectors: usize,
    /// Vectors of a token.
    pub(crate) stride: usize,
    /// Number of groups.
    pub(crate) groups: usize,
    /// Whether each token of each head has thresholds of its own.
    pub(crate) by_row: bool,
}

impl ValueShape {
    fn vector(&self, token: usize, head: usize, v: usize) -> usize {
        token * self.stride + head * self.vectors + v
    }

    /// The lanes of a head's vector that hold channels.
    fn valid(&self, v: usize) -> u16 {
        match self.width.saturating_sub(v * LANES) {
            LANES.. => u16::MAX,
            count => (1 << count) - 1,
        }
    }

    fn row(&self, token: usize, head: usize) -> usize {
        if self.by_row {
            token * self.heads + head
        } else {
            0
        }
    }
}

/// Beyond which values the second and third group begin.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bounds {
    above: [f32; 2],
    below: [f32; 2],
}

impl Bounds {
    /// Those of extrema; groups that there are not have no members.
    pub(crate) fn new([max, min]: [f32; 2], groups: usize) -> Self {
        let mut bounds = Self {
            above: [f32::INFINITY; 2],
            below: [f32::NEG_INFINITY; 2],
        };
        for group in 0..groups - 1 {
            bounds.above[group] = max * GROUP_THRESHOLDS[group];
            bounds.below[group] = min * GROUP_THRESHOLDS[group];
        }
        bounds
    }

    /// Sign and group: `sign * (1 + groups after the first)`.
    fn level(&self, x: f32) -> i8 {
        let member = |group: usize| i8::from(x > self.above[group] || x < self.below[group]);
        let sign = i8::from(x > 0.0) - i8::from(x < 0.0);
        sign * (1 + member(0) + member(1))
    }

    /// What values are worth, given what each group is.
    #[inline(always)]
    pub(crate) fn worth<S: Simd>(&self, s: S, x: S::F, groups: [f64; 3]) -> S::D {
        let mut sum = s.splat_d(0.0);
        let above = [0.0, self.above[0], self.above[1]];
        let below = [0.0, self.below[0], self.below[1]];
        for group in 0..3 {
            let positive = s.gt(x, s.splat_f(above[group]));
            let negative = s.gt(s.splat_f(below[group]), x);
            sum = s.add_d(sum, s.select_d(positive, s.splat_d(groups[group])));
            sum = s.add_d(sum, s.select_d(negative, s.splat_d(-groups[group])));
        }
        sum
    }
}

/// The value of a head.
#[derive(Clone, Copy)]
pub(crate) struct HeadValue<'a> {
    pub(crate) shape: ValueShape,
    pub(crate) head: usize,
    /// `[tokens, stride]`.
    pub(crate) value: &'a [Line<f32>],
    pub(crate) bounds: &'a [Bounds],
}

impl<'a> HeadValue<'a> {
    /// The vectors of a token.
    #[inline(always)]
    pub(crate) fn token(&self, token: usize) -> (&'a [Line<f32>], &'a Bounds) {
        let shape = &self.shape;
        (
            &self.value[shape.vector(token, self.head, 0)..][..shape.vectors],
            &self.bounds[shape.row(token, self.head)],
        )
    }
}

/// An element that is not its bit alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) token: u32,
    /// Channel of the head.
    pub(crate) channel: u32,
    /// Sign times number of groups, or 0.
    pub(crate) level: i8,
}

/// The elements of a head that deviate, as long as they are few.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub(crate) list: Vec<Entry>,
    /// Whether there were more than the list may hold.
    pub(crate) overflow: bool,
    /// The most it may hold.
    pub(crate) most: usize,
}

/// Binarizes the value of a head.
pub(crate) struct ValueBits<'a> {
    pub(crate) value: HeadValue<'a>,
    /// Bits of the first group, a word for 32 tokens: `[token words, vectors of a head]`, see
    /// [`InstructionSet::pair_channels`].
    pub(crate) plane: &'a mut [Line],
    pub(crate) entries: &'a mut Entries,
}

impl Task for ValueBits<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: InstructionSet>(self, s: S) {
        let Self {
            value,
            plane,
            entries,
        } = self;
        let HeadValue { shape, head, .. } = value;
        entries.list.clear();
        entries.overflow = false;
        let nothing = s.splat_f(0.0);
        let words = plane.chunks_exact_mut(shape.vectors);
        for (first, plane) in (0..shape.tokens).step_by(KEYS).zip(words) {
            let tokens = first..shape.tokens.min(first + KEYS);
            for (v, plane) in plane.iter_mut().enumerate() {
                let mut bits = s.splat_u(0);
                let mut deviating = s.splat_u(0);
                let mut bit = s.splat_u(1);
                let mut bounds = value.bounds[0];
                for token in tokens.clone() {
                    if shape.by_row {
                        bounds = value.bounds[shape.row(token, head)];
                    }
                    let x = s.load_f(&value.value[shape.vector(token, head, v)].0);
                    bits = s.or(bits, s.select_u(s.gt(x, nothing), bit));
                    let above = s.gt(x, s.splat_f(bounds.above[0]));
                    let below = s.gt(s.splat_f(bounds.below[0]), x);
                    let deviates = s.or_m(s.or_m(above, below), s.eq(x, nothing));
                    deviating = s.or(deviating, s.select_u(deviates, bit));
                    bit = s.add_u(bit, bit);
                }
                s.store_u(s.pair_channels(bits), &mut plane.0);
                let lanes = s.mask_bits(s.gt_u(deviating, s.splat_u(0))) & shape.valid(v);
                if lanes != 0 {
                    let mut tokens = [0; LANES];
                    s.store_u(deviating, &mut tokens);
                    entries.extend(&value, first, v, lanes, &tokens);
                }
            }
        }
        if !entries.overflow {
            let order = |entry: &Entry| (entry.channel, entry.token);
            entries.list.sort_unstable_by_key(order);
        }
    }
}

impl Entries {
    /// Adds the elements of a vector of channels: some lanes, and of each a bit for each token.
    fn extend(
        &mut self,
        value: &HeadValue<'_>,
        first_token: usize,
        v: usize,
        mut lanes: u16,
        tokens: &[u32; LANES],
    ) {
        while lanes != 0 && !self.overflow {
            let lane = lanes.trailing_zeros() as usize;
            lanes &= lanes - 1;
            let mut tokens = tokens[lane];
            while tokens != 0 && !self.overflow {
                let token = first_token + tokens.trailing_zeros() as usize;
                tokens &= tokens - 1;
                if self.list.len() == self.most {
                    self.overflow = true;
                } else {
                    let (lines, bounds) = value.token(token);
                    self.list.push(Entry {
                        token: token as u32,
                        channel: (v * LANES + lane) as u32,
                        level: bounds.level(lines[v].0[lane]),
                    });
                }
            }
        }
    }
}

/// The largest and the smallest of no values.
pub(crate) const NO_EXTREMA: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

/// The larger and the smaller of two pairs of extrema.
pub(crate) fn both_extrema(a: [f32; 2], b: [f32; 2]) -> [f32; 2] {
    [a[0].max(b[0]), a[1].min(b[1])]
}

/// The largest and the smallest value of some tokens.
pub(crate) struct Extrema<'a> {
    pub(crate) shape: ValueShape,
    /// `[some tokens, stride]`.
    pub(crate) value: &'a [Line<f32>],
}

impl Task for Extrema<'_> {
    type Output = [f32; 2];

    #[inline(always)]
    fn run<S: InstructionSet>(self, s: S) -> [f32; 2] {
        let heads = self.shape.heads * self.shape.vectors;
        let tokens = self.value.chunks_exact(self.shape.stride);
        extrema(s, tokens.map(|token| &token[..heads]))
    }
}

/// The bounds of each head of some tokens.
pub(crate) struct RowBounds<'a> {
    pub(crate) shape: ValueShape,
    /// `[some tokens, stride]`.
    pub(crate) value: &'a [Line<f32>],
    /// `[some tokens, heads]`.
    pub(crate) out: &'a mut [Bounds],
}

impl Task for RowBounds<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: InstructionSet>(self, s: S) {
        let shape = self.shape;
        let tokens = self.value.chunks_exact(shape.stride);
        for (token, out) in tokens.zip(self.out.chunks_exact_mut(shape.heads)) {
            for (head, out) in token.chunks_exact(shape.vectors).zip(out) {
                *out = Bounds::new(extrema(s, std::iter::once(head)), shape.groups);
            }
        }
    }
}

#[inline(always)]
fn extrema<'a, S: Simd>(s: S, lines: impl Iterator<Item = &'a [Line<f32>]>) -> [f32; 2] {
    // Two of each, because one has to wait for the one before.
    let mut max = [s.splat_f(f32::NEG_INFINITY); 2];
    let mut min = [s.splat_f(f32::INFINITY); 2];
    for lines in lines {
        for pair in lines.chunks(2) {
            for (i, line) in pair.iter().enumerate() {
                // In this order what is not a number is skipped, wherever it stands.
                let x = s.load_f(&line.0);
                max[i] = s.max(x, max[i]);
                min[i] = s.min(x, min[i]);
            }
        }
    }
    let (mut highest, mut lowest) = ([0.0; LANES], [0.0; LANES]);
    s.store_f(s.max(max[0], max[1]), &mut highest);
    s.store_f(s.min(min[0], min[1]), &mut lowest);
    [
        highest.into_iter().fold(f32::NEG_INFINITY, f32::max),
        lowest.into_iter().fold(f32::INFINITY, f32::min),
    ]
}

/// Planes of a head whose entries overflow: second group, third group, 0.
pub(crate) const EXTRA_PLANES: usize = 3;

/// Fills the extra planes of a head. Those of groups are as [`Attended`] wants them: ones where members
/// are positive, and where others are not.
///
/// [`Attended`]: super::attended::Attended
pub(crate) struct ExtraPlanes<'a> {
    pub(crate) value: HeadValue<'a>,
    /// `[EXTRA_PLANES, token words, vectors of a head]`, see [`InstructionSet::pair_channels`].
    pub(crate) planes: &'a mut [Line],
}

impl Task for ExtraPlanes<'_> {
    /// Whether a value is 0.
    type Output = bool;

    #[inline(always)]
    fn run<S: InstructionSet>(self, s: S) -> bool {
        let HeadValue { shape, .. } = self.value;
        let nothing = s.splat_f(0.0);
        let size = self.planes.len() / EXTRA_PLANES;
        let mut any = s.splat_u(0);
        for first in (0..shape.tokens).step_by(KEYS) {
            let tokens = first..shape.tokens.min(first + KEYS);
            for v in 0..shape.vectors {
                let mut signs = s.splat_u(0);
                let mut members = [s.splat_u(0); 2];
                let mut zeros = s.splat_u(0);
                let mut bit = s.splat_u(1);
                for token in tokens.clone() {
                    let (lines, bounds) = self.value.token(token);
                    let x = s.load_f(&lines[v].0);
                    signs = s.or(signs, s.select_u(s.gt(x, nothing), bit));
                    zeros = s.or(zeros, s.select_u(s.eq(x, nothing), bit));
                    for group in 0..2 {
                        let above = s.gt(x, s.splat_f(bounds.above[group]));
                        let below = s.gt(s.splat_f(bounds.below[group]), x);
                        let member = s.select_u(s.or_m(above, below), bit);
                        members[group] = s.or(members[group], member);
                    }
                    bit = s.add_u(bit, bit);
                }
                any = s.or(any, zeros);
                let unlike = members.map(|members| s.xor(members, signs));
                let planes = [
                    s.xor(unlike[0], s.splat_u(u32::MAX)),
                    s.xor(unlike[1], s.splat_u(u32::MAX)),
                    zeros,
                ];
                for (plane, bits) in planes.into_iter().enumerate() {
                    let at = plane * size + first / KEYS * shape.vectors + v;
                    s.store_u(s.pair_channels(bits), &mut self.planes[at].0);
                }
            }
        }
        s.mask_bits(s.gt_u(any, s.splat_u(0))) != 0
    }
}

/// The level of every element of a head, for a trace: `[tokens, width]`.
pub(crate) fn levels(
    shape: ValueShape,
    head: usize,
    value: &[Line<f32>],
    bounds: &[Bounds],
) -> Vec<i8> {
    let mut levels = Vec::with_capacity(shape.tokens * shape.width);
    for token in 0..shape.tokens {
        let bounds = &bounds[shape.row(token, head)];
        let line = |channel: usize| &value[shape.vector(token, head, channel / LANES)].0;
        levels.extend((0..shape.width).map(|channel| bounds.level(line(channel)[channel % LANES])));
    }
    levels
}
