//! From query and key bits to the exponentials of their products.

use super::shift::HeadShift;
use crate::kernel::simd::{LANES, Line, Simd};

/// The exponential of the scores, by the number of different bits of query and key.
#[derive(Debug, Clone)]
pub(crate) struct Exponentials {
    /// `exp(-step i)`.
    pub(crate) low: [f32; LANES],
    /// `exp(-step 16 i)`.
    pub(crate) high: [f32; LANES],
    /// `exp(-step / 2)`, for a product that is odd because a bit counts as 0.
    pub(crate) half: f32,
    /// Whether the scores of a query are so far apart that they must be relative to its largest.
    pub(crate) relative: bool,
}

impl Exponentials {
    /// Those of a head width and `score = scale * product`.
    pub(crate) fn new(width: usize, scale: f32) -> Self {
        let step = 2.0 * f64::from(scale);
        let power = |count: usize| (-step * count as f64).exp() as f32;
        Self {
            low: std::array::from_fn(power),
            high: std::array::from_fn(|i| power(16 * i)),
            half: (-step / 2.0).exp() as f32,
            // The smallest stays a normal float, and so does the sum of its reciprocals.
            relative: step * width as f64 > 80.0,
        }
    }

    /// That of half-steps: twice the number of different bits.
    fn of_halves(&self, halves: usize) -> f32 {
        let steps = halves / 2;
        let value = self.low[steps % LANES] * self.high[steps / LANES];
        if halves.is_multiple_of(2) {
            value
        } else {
            value * self.half
        }
    }
}

/// What the groups of a layer's attention matrices depend on.
#[derive(Debug)]
pub(crate) struct Groups {
    pub(crate) exponentials: Exponentials,
    /// Elements above belong to the first group.
    pub(crate) first: f32,
    /// Elements above these parts of the largest belong to the second and third group.
    pub(crate) later: [f32; 2],
    /// Whether they are no parts, but numbers: the groups are those of levels.
    pub(crate) of_levels: bool,
    /// Number of groups.
    pub(crate) count: usize,
    /// Whether the groups of a query depend on no other query.
    pub(crate) by_row: bool,
}

/// Bits of the queries or keys of a head.
#[derive(Clone, Copy)]
pub(crate) struct HeadBits<'a> {
    /// `[tokens, stride]`, from the head's first word on.
    pub(crate) words: &'a [u32],
    pub(crate) stride: usize,
}

impl HeadBits<'_> {
    fn word(&self, token: usize, word: usize) -> u32 {
        self.words[token * self.stride + word]
    }
}

/// Exponentials of the scores of a block of queries, `[keys]`, and their sum.
type Scores<'a> = &'a mut [Line<f32>];

/// The scores of a block of queries with all keys.
#[inline(always)]
fn scores<S: Simd>(
    s: S,
    head: &HeadAttention<'_>,
    block: usize,
    shift: &[[f32; LANES]],
    out: Scores<'_>,
) -> S::F {
    match head.width.div_ceil(32) {
        1 => scores_of::<S, 1>(s, head, block, shift, out),
        2 => scores_of::<S, 2>(s, head, block, shift, out),
        3 => scores_of::<S, 3>(s, head, block, shift, out),
        4 => scores_of::<S, 4>(s, head, block, shift, out),
        5 => scores_of::<S, 5>(s, head, block, shift, out),
        6 => scores_of::<S, 6>(s, head, block, shift, out),
        7 => scores_of::<S, 7>(s, head, block, shift, out),
        _ => scores_of::<S, 8>(s, head, block, shift, out),
    }
}

#[inline(always)]
fn scores_of<S: Simd, const W: usize>(
    s: S,
    head: &HeadAttention<'_>,
    block: usize,
    shift: &[[f32; LANES]],
    out: Scores<'_>,
) -> S::F {
    let exponentials = &head.groups.exponentials;
    let [queries, keys] = head.bits;
    let mut lanes = [[0; LANES]; W];
    for lane in 0..LANES {
        let at = (block * LANES + lane) * queries.stride;
        if let Some(words) = queries.words.get(at..at + W) {
            for w in 0..W {
                lanes[w][lane] = words[w];
            }
        }
    }
    let mut q = [s.splat_u(0); W];
    for w in 0..W {
        q[w] = s.load_u(&lanes[w]);
    }
    let low = s.table(&exponentials.low);
    let high = s.table(&exponentials.high);
    let mut fewest = s.splat_u(0);
    if exponentials.relative {
        fewest = s.splat_u(u32::MAX >> 1);
        for (_, words) in out.iter().zip(keys.words.chunks(keys.stride)) {
            fewest = s.min_u(fewest, different(s, &q, words));
        }
    }
    let mut sums = [s.splat_f(0.0); 2];
    let lines = out.iter_mut().zip(shift);
    for ((out, shift), words) in lines.zip(keys.words.chunks(keys.stride)) {
        // If they are kept as floats, the shifts are most of a model and come from far away.
        s.prefetch(shift);
        let mut count = different(s, &q, words);
        if exponentials.relative {
            count = s.sub_u(count, fewest);
        }
        let value = s.mul(s.lookup(low, count), s.lookup(high, s.shift_right_4(count)));
        s.store_f(value, &mut out.0);
        // Two sums, because an addition has to wait for the one before.
        let [even, odd] = sums;
        sums = [odd, s.add(even, value)];
    }
    if !out.len().is_multiple_of(2) {
        sums = [sums[1], sums[0]];
    }
    s.add(sums[0], sums[1])
}

/// How many bits of each query differ from those of a key.
#[inline(always)]
fn different<S: Simd, const W: usize>(s: S, queries: &[S::U; W], words: &[u32]) -> S::U {
    let words = &words[..W];
    let mut counts = s.splat_u(0);
    for w in 0..W {
        counts = s.count(counts, s.xor(queries[w], s.splat_u(words[w])));
    }
    s.widen(counts)
}

/// [`scores`] where bits of the queries or keys are 0 and count as neither sign: `valid` has a one for
/// each bit that counts.
fn masked_scores(
    exponentials: &Exponentials,
    [queries, keys]: [HeadBits<'_>; 2],
    [valid_queries, valid_keys]: [HeadBits<'_>; 2],
    block: usize,
    width: usize,
    out: Scores<'_>,
) -> [f32; LANES] {
    let words = width.div_ceil(32);
    let tokens = out.len();
    let mut sums = [0.0; LANES];
    for lane in 0..LANES {
        let query = block * LANES + lane;
        if query >= tokens {
            // Its shift makes it count for nothing.
            out.iter_mut().for_each(|line| line.0[lane] = 0.0);
            sums[lane] = 1.0;
            continue;
        }
        let halves = |key: usize| {
            let (mut different, mut common) = (0, 0);
            for w in 0..words {
                let valid = valid_queries.word(query, w) & valid_keys.word(key, w);
                different += ((queries.word(query, w) ^ keys.word(key, w)) & valid).count_ones();
                common += valid.count_ones();
            }
            width + 2 * different as usize - common as usize
        };
        let fewest = match exponentials.relative {
            true => (0..tokens).map(halves).min().unwrap_or(0),
            false => 0,
        };
        let mut pair = [0.0; 2];
        for (key, line) in out.iter_mut().enumerate() {
            let value = exponentials.of_halves(halves(key) - fewest);
            line.0[lane] = value;
            pair[key % 2] += value;
        }
        sums[lane] = pair[0] + pair[1];
    }
    sums
}

/// Where the attention of a head comes from.
#[derive(Clone, Copy)]
pub(crate) struct HeadAttention<'a> {
    pub(crate) groups: &'a Groups,
    /// Bits of queries and keys.
    pub(crate) bits: [HeadBits<'a>; 2],
    /// Ones for bits that count, if some do not.
    pub(crate) valid: Option<[HeadBits<'a>; 2]>,
    /// Channels of the head.
    pub(crate) width: usize,
    pub(crate) shift: HeadShift<'a>,
    /// Number of keys.
    pub(crate) tokens: usize,
}

impl HeadAttention<'_> {
    #[inline(always)]
    pub(super) fn scores<S: Simd>(
        &self,
        s: S,
        block: usize,
        shift: &[[f32; LANES]],
        out: Scores<'_>,
    ) -> S::F {
        match self.valid {
            Some(valid) => {
                let exponentials = &self.groups.exponentials;
                let sums = masked_scores(exponentials, self.bits, valid, block, self.width, out);
                s.load_f(&sums)
            }
            None => scores(s, self, block, shift, out),
        }
    }
}
