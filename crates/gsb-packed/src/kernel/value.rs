//! From the value to bits and what deviates from them.
//!
//! The first group of the value's superposition is a bit for each element. Elements of the second and
//! third group, and elements that are 0 and count as neither sign, are listed; where they are many,
//! they become planes of bits as well.

use super::attention::KEYS;
use super::simd::{LANES, Line, Simd, Task};
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
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    above: [f32; 2],
    below: [f32; 2],
}

impl Bounds {
    /// Those of extrema; groups that there are not have no members.
    fn new(max: f32, min: f32, groups: usize) -> Self {
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
    /// In no order.
    pub(crate) list: Vec<Entry>,
    /// Whether there were more than the list may hold.
    pub(crate) overflow: bool,
    /// The most it may hold.
    pub(crate) most: usize,
}

/// Binarizes the value of an image.
pub(crate) struct ValuePlanes<'a> {
    pub(crate) shape: ValueShape,
    /// `[tokens, stride]`.
    pub(crate) value: &'a [Line<f32>],
    /// One for all or one for each token of each head.
    pub(crate) bounds: &'a mut Vec<Bounds>,
    /// Bits of the first group, a word for 32 tokens: `[token words, stride]`.
    pub(crate) plane: &'a mut [Line],
    /// For each head.
    pub(crate) entries: &'a mut [Entries],
}

impl Task for ValuePlanes<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let shape = self.shape;
        bounds(s, shape, self.value, self.bounds);
        for entries in self.entries.iter_mut() {
            entries.list.clear();
            entries.overflow = false;
        }
        let nothing = s.splat_f(0.0);
        for first in (0..shape.tokens).step_by(KEYS) {
            let tokens = first..shape.tokens.min(first + KEYS);
            for head in 0..shape.heads {
                let entries = &mut self.entries[head];
                for v in 0..shape.vectors {
                    let lines = self.value[shape.vector(first, head, v)..]
                        .iter()
                        .step_by(shape.stride);
                    let mut bits = s.splat_u(0);
                    let mut bit = s.splat_u(1);
                    let mut bounds = &self.bounds[0];
                    let mut above = s.splat_f(bounds.above[0]);
                    let mut below = s.splat_f(bounds.below[0]);
                    for (token, line) in tokens.clone().zip(lines) {
                        if shape.by_row {
                            bounds = &self.bounds[shape.row(token, head)];
                            above = s.splat_f(bounds.above[0]);
                            below = s.splat_f(bounds.below[0]);
                        }
                        let x = s.load_f(&line.0);
                        bits = s.or(bits, s.select_u(s.gt(x, nothing), bit));
                        bit = s.add_u(bit, bit);
                        let beyond = s.or_m(s.gt(x, above), s.gt(below, x));
                        let lanes = s.mask_bits(s.or_m(beyond, s.eq(x, nothing)));
                        if lanes != 0 {
                            entries.extend(token, v, lanes & shape.valid(v), &line.0, bounds);
                        }
                    }
                    s.store_u(bits, &mut self.plane[shape.vector(first / KEYS, head, v)].0);
                }
            }
        }
    }
}

impl Entries {
    fn extend(
        &mut self,
        token: usize,
        v: usize,
        mut lanes: u16,
        values: &[f32; LANES],
        bounds: &Bounds,
    ) {
        while lanes != 0 && !self.overflow {
            let lane = lanes.trailing_zeros() as usize;
            lanes &= lanes - 1;
            if self.list.len() == self.most {
                self.overflow = true;
            } else {
                self.list.push(Entry {
                    token: token as u32,
                    channel: (v * LANES + lane) as u32,
                    level: bounds.level(values[lane]),
                });
            }
        }
    }
}

/// The bounds of each scope.
#[inline(always)]
fn bounds<S: Simd>(s: S, shape: ValueShape, value: &[Line<f32>], out: &mut Vec<Bounds>) {
    out.clear();
    let heads = shape.heads * shape.vectors;
    if shape.groups == 1 {
        let rows = if shape.by_row {
            shape.tokens * shape.heads
        } else {
            1
        };
        out.resize(rows, Bounds::new(0.0, 0.0, 1));
    } else if shape.by_row {
        for token in value.chunks_exact(shape.stride) {
            for head in token[..heads].chunks_exact(shape.vectors) {
                let (max, min) = extrema(s, head);
                out.push(Bounds::new(max, min, shape.groups));
            }
        }
    } else {
        let (mut max, mut min) = (f32::NEG_INFINITY, f32::INFINITY);
        for token in value.chunks_exact(shape.stride) {
            let ends = extrema(s, &token[..heads]);
            (max, min) = (max.max(ends.0), min.min(ends.1));
        }
        out.push(Bounds::new(max, min, shape.groups));
    }
}

#[inline(always)]
fn extrema<S: Simd>(s: S, lines: &[Line<f32>]) -> (f32, f32) {
    // Two of each, because one has to wait for the one before.
    let mut max = [s.splat_f(f32::NEG_INFINITY); 2];
    let mut min = [s.splat_f(f32::INFINITY); 2];
    for pair in lines.chunks(2) {
        for (i, line) in pair.iter().enumerate() {
            let x = s.load_f(&line.0);
            max[i] = s.max(max[i], x);
            min[i] = s.min(min[i], x);
        }
    }
    let (mut highest, mut lowest) = ([0.0; LANES], [0.0; LANES]);
    s.store_f(s.max(max[0], max[1]), &mut highest);
    s.store_f(s.min(min[0], min[1]), &mut lowest);
    (
        highest.into_iter().fold(f32::NEG_INFINITY, f32::max),
        lowest.into_iter().fold(f32::INFINITY, f32::min),
    )
}

/// Planes of a head whose entries overflow: 0, second group positive and negative, third positive
/// and negative.
pub(crate) const EXTRA_PLANES: usize = 5;

/// Fills the extra planes of a head.
pub(crate) struct ExtraPlanes<'a> {
    pub(crate) shape: ValueShape,
    pub(crate) head: usize,
    pub(crate) value: &'a [Line<f32>],
    pub(crate) bounds: &'a [Bounds],
    /// `[EXTRA_PLANES, token words, vectors of a head]`.
    pub(crate) planes: &'a mut [Line],
}

impl Task for ExtraPlanes<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { shape, head, .. } = self;
        let nothing = s.splat_f(0.0);
        let size = self.planes.len() / EXTRA_PLANES;
        for first in (0..shape.tokens).step_by(KEYS) {
            let tokens = KEYS.min(shape.tokens - first);
            for v in 0..shape.vectors {
                let mut bits = [s.splat_u(0); EXTRA_PLANES];
                let mut bit = s.splat_u(1);
                for token in first..first + tokens {
                    let bounds = &self.bounds[shape.row(token, head)];
                    let x = s.load_f(&self.value[shape.vector(token, head, v)].0);
                    let masks = [
                        s.eq(x, nothing),
                        s.gt(x, s.splat_f(bounds.above[0])),
                        s.gt(s.splat_f(bounds.below[0]), x),
                        s.gt(x, s.splat_f(bounds.above[1])),
                        s.gt(s.splat_f(bounds.below[1]), x),
                    ];
                    for (bits, mask) in bits.iter_mut().zip(masks) {
                        *bits = s.or(*bits, s.select_u(mask, bit));
                    }
                    bit = s.add_u(bit, bit);
                }
                for (plane, bits) in bits.into_iter().enumerate() {
                    let at = plane * size + first / KEYS * shape.vectors + v;
                    s.store_u(bits, &mut self.planes[at].0);
                }
            }
        }
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
