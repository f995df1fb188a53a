//! Layer normalization, shift and sign in one pass.

use super::simd::{LANES, Line, Simd, Task};

/// A position of a binarized tensor whose sign is 0.
pub(crate) type Zero = (u32, u32);

/// What normalizes a row and shifts it, `[width]`, padded to whole chunks of four vectors.
#[derive(Debug)]
pub(crate) struct Norm {
    pub(crate) width: usize,
    pub(crate) epsilon: f32,
    /// Padded by 0.
    pub(crate) gamma: Vec<[Line<f32>; 4]>,
    /// Sum of the normalization's and the shift; padded by -1, so that padding gives bits of 0.
    pub(crate) offset: Vec<[Line<f32>; 4]>,
}

impl Norm {
    /// Mean and reciprocal deviation of a row, which is padded by 0.
    #[inline(always)]
    pub(crate) fn statistics<S: Simd>(&self, s: S, row: &[[Line<f32>; 4]]) -> (f32, f32) {
        let n = self.width as f32;
        let mut sums = [s.splat_f(0.0); 4];
        for chunk in row {
            for v in 0..4 {
                sums[v] = s.add(sums[v], s.load_f(&chunk[v].0));
            }
        }
        let mean = total(s, sums) / n;
        let m = s.splat_f(mean);
        let mut sums = [s.splat_f(0.0); 4];
        let (full, padded) = row.split_at(self.width / (4 * LANES));
        for chunk in full {
            for v in 0..4 {
                let d = s.sub(s.load_f(&chunk[v].0), m);
                sums[v] = s.add(sums[v], s.mul(d, d));
            }
        }
        for chunk in padded {
            let valid = self.width % (4 * LANES);
            for v in 0..4 {
                let valid = std::array::from_fn(|i| f32::from(u8::from(v * LANES + i < valid)));
                let d = s.mul(s.sub(s.load_f(&chunk[v].0), m), s.load_f(&valid));
                sums[v] = s.add(sums[v], s.mul(d, d));
            }
        }
        let variance = total(s, sums) / n;
        (mean, 1.0 / (variance + self.epsilon).sqrt())
    }
}

/// The sum of 64 lanes, always in the same order.
#[inline(always)]
fn total<S: Simd>(s: S, sums: [S::F; 4]) -> f32 {
    let sum = s.add(s.add(sums[0], sums[2]), s.add(sums[1], sums[3]));
    let mut lanes = [0.0; LANES];
    s.store_f(sum, &mut lanes);
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
    }
    lanes[0]
}

/// Binarizes rows of the residual stream.
pub(crate) struct NormSigns<'a> {
    pub(crate) norm: &'a Norm,
    /// `[rows, width]`, each row padded to whole chunks by 0.
    pub(crate) stream: &'a [[Line<f32>; 4]],
    /// `[rows, stride]`, two words a chunk of 64.
    pub(crate) out: &'a mut [u32],
    /// Where a sign is 0.
    pub(crate) zeros: &'a mut Vec<Zero>,
}

impl Task for NormSigns<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self {
            norm,
            stream,
            out,
            zeros,
        } = self;
        let chunks = norm.gamma.len();
        let nothing = s.splat_f(0.0);
        // Nothing equals it.
        let not_a_number = s.splat_f(f32::NAN);
        let rows = stream
            .chunks_exact(chunks)
            .zip(out.chunks_exact_mut(2 * chunks));
        for (index, (row, out)) in rows.enumerate() {
            let (mean, reciprocal) = norm.statistics(s, row);
            let (mean, reciprocal) = (s.splat_f(mean), s.splat_f(reciprocal));
            for (at, chunk) in row.iter().enumerate() {
                let (gamma, offset) = (&norm.gamma[at], &norm.offset[at]);
                let mut bits = 0u64;
                let mut ties = s.eq(mean, not_a_number);
                for v in 0..4 {
                    let y = shifted(s, &chunk[v], mean, reciprocal, &gamma[v], &offset[v]);
                    bits |= u64::from(s.mask_bits(s.gt(y, nothing))) << (LANES * v);
                    ties = s.or_m(ties, s.eq(y, nothing));
                }
                out[2 * at] = bits as u32;
                out[2 * at + 1] = (bits >> 32) as u32;
                if s.mask_bits(ties) != 0 {
                    for v in 0..4 {
                        let y = shifted(s, &chunk[v], mean, reciprocal, &gamma[v], &offset[v]);
                        let first = 4 * LANES * at + v * LANES;
                        list(zeros, index, first, s.mask_bits(s.eq(y, nothing)));
                    }
                }
            }
        }
    }
}

/// Normalized and shifted values.
#[inline(always)]
fn shifted<S: Simd>(
    s: S,
    x: &Line<f32>,
    mean: S::F,
    reciprocal: S::F,
    gamma: &Line<f32>,
    offset: &Line<f32>,
) -> S::F {
    let scale = s.mul(reciprocal, s.load_f(&gamma.0));
    let x = s.mul(s.sub(s.load_f(&x.0), mean), scale);
    s.add(x, s.load_f(&offset.0))
}

/// Lists the positions of a mask's lanes.
fn list(zeros: &mut Vec<Zero>, row: usize, first: usize, mut lanes: u16) {
    while lanes != 0 {
        zeros.push((row as u32, first as u32 + lanes.trailing_zeros()));
        lanes &= lanes - 1;
    }
}
