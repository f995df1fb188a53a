//! The loops that reduce.

use gsb_cpu::flex::{CHUNK, LANES, pays};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Maximum and minimum of each of `scopes` runs of elements, one after the other; 0 of no elements.
pub(super) fn extrema(xs: &[f32], scopes: usize) -> Vec<f32> {
    let len = xs.len() / scopes;
    if len == 0 {
        return vec![0.0; 2 * scopes];
    }
    let arch = Arch::new();
    let ends = |xs: &[f32]| arch.dispatch(Ends(xs));
    let join = |(a, b): (f32, f32), (c, d): (f32, f32)| (a.max(c), b.min(d));
    const NOTHING: (f32, f32) = (f32::NEG_INFINITY, f32::INFINITY);
    let run = |xs: &[f32]| {
        if pays(xs.len()) {
            xs.par_chunks(CHUNK).map(ends).reduce(|| NOTHING, join)
        } else {
            ends(xs)
        }
    };
    let pairs: Vec<(f32, f32)> = if pays(xs.len()) {
        let tasks = xs.par_chunks(len).with_min_len(CHUNK.div_ceil(len));
        tasks.map(run).collect()
    } else {
        xs.chunks(len).map(run).collect()
    };
    pairs
        .into_iter()
        .flat_map(|(max, min)| [max, min])
        .collect()
}

/// Maximum and minimum.
struct Ends<'a>(&'a [f32]);

impl WithSimd for Ends<'_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> (f32, f32) {
        let xs = self.0;
        let mut max = [f32::NEG_INFINITY; LANES];
        let mut min = [f32::INFINITY; LANES];
        let (full, rest) = xs.as_chunks::<LANES>();
        for xs in full.iter() {
            for lane in 0..LANES {
                max[lane] = if xs[lane] > max[lane] {
                    xs[lane]
                } else {
                    max[lane]
                };
                min[lane] = if xs[lane] < min[lane] {
                    xs[lane]
                } else {
                    min[lane]
                };
            }
        }
        let max = max
            .iter()
            .chain(rest)
            .copied()
            .fold(f32::NEG_INFINITY, f32::max);
        let min = min
            .iter()
            .chain(rest)
            .copied()
            .fold(f32::INFINITY, f32::min);
        (max, min)
    }
}

/// Mean and mean magnitude; 0 of nothing.
pub(super) fn means(xs: &[f32]) -> (f32, f32) {
    let arch = Arch::new();
    let sums = |xs: &[f32]| arch.dispatch(Totals(xs));
    let (mut sum, mut magnitude) = (0.0, 0.0);
    let parts: Vec<(f64, f64)> = if pays(xs.len()) {
        xs.par_chunks(CHUNK).map(sums).collect()
    } else {
        xs.chunks(CHUNK).map(sums).collect()
    };
    for part in parts {
        sum += part.0;
        magnitude += part.1;
    }
    let n = xs.len().max(1) as f64;
    ((sum / n) as f32, (magnitude / n) as f32)
}

/// Sum and sum of magnitudes.
struct Totals<'a>(&'a [f32]);

impl WithSimd for Totals<'_> {
    type Output = (f64, f64);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> (f64, f64) {
        // A loop for each: in one, the compiler pairs the two sums of a lane instead of the lanes.
        (total(self.0, |x| x), total(self.0, f64::abs))
    }
}

#[inline(always)]
fn total(xs: &[f32], term: impl Fn(f64) -> f64) -> f64 {
    let mut sums = [0.0f64; LANES];
    let (full, rest) = xs.as_chunks::<LANES>();
    for xs in full {
        for lane in 0..LANES {
            sums[lane] += term(f64::from(xs[lane]));
        }
    }
    for (sum, &x) in sums.iter_mut().zip(rest) {
        *sum += term(f64::from(x));
    }
    sums.iter().sum()
}
