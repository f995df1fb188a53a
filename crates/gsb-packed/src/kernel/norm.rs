//! Layer normalization, shift and sign in one pass.

use super::instruction_set::{InstructionSet, Task};
use super::simd::{LANES, Line, Simd};

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
    /// Mean and reciprocal deviation of rows, which are padded by 0.
    #[inline(always)]
    pub(crate) fn statistics<S: Simd, const R: usize>(
        &self,
        s: S,
        rows: &[&[[Line<f32>; 4]]; R],
    ) -> [(f32, f32); R] {
        let n = self.width as f32;
        let mut means = [0.0; R];
        for i in 0..R {
            let mut sums = [s.splat_f(0.0); 4];
            for chunk in rows[i] {
                for v in 0..4 {
                    sums[v] = s.add(sums[v], s.load_f(&chunk[v].0));
                }
            }
            means[i] = total(s, sums) / n;
        }
        let mut statistics = [(0.0, 0.0); R];
        for i in 0..R {
            let m = s.splat_f(means[i]);
            let mut sums = [s.splat_f(0.0); 4];
            let (full, padded) = rows[i].split_at(self.width / (4 * LANES));
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
            statistics[i] = (means[i], 1.0 / (variance + self.epsilon).sqrt());
        }
        statistics
    }
}

/// The sum of 64 lanes, always in the same order.
#[inline(always)]
fn total<S: Simd>(s: S, sums: [S::F; 4]) -> f32 {
    let sum = s.add(s.add(sums[0], sums[2]), s.add(sums[1], sums[3]));
    let mut lanes = [0.0; LANES];
    s.store_f(sum, &mut lanes);
    let [a] = halves::<1, 2>(halves::<2, 4>(halves::<4, 8>(halves(lanes))));
    a
}

/// The sums of one half and the other: of a known size, for the compiler to make vectors of.
#[inline(always)]
fn halves<const N: usize, const M: usize>(lanes: [f32; M]) -> [f32; N] {
    std::array::from_fn(|i| lanes[i] + lanes[i + N])
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
    fn run<S: InstructionSet>(mut self, s: S) {
        let rows = self.out.len() / (2 * self.norm.gamma.len());
        let rows = rows.min(self.stream.len() / self.norm.gamma.len());
        let whole = rows - rows % ROWS;
        for first in (0..whole).step_by(ROWS) {
            self.rows::<S, ROWS>(s, first);
        }
        for row in whole..rows {
            self.rows::<S, 1>(s, row);
        }
    }
}

/// Rows at a time: the statistics of one are a chain of dependent operations.
const ROWS: usize = 6;

impl NormSigns<'_> {
    #[inline(always)]
    fn rows<S: Simd, const R: usize>(&mut self, s: S, first: usize) {
        let norm = self.norm;
        let chunks = norm.gamma.len();
        let mut rows = [&[][..]; R];
        for i in 0..R {
            rows[i] = &self.stream[(first + i) * chunks..][..chunks];
        }
        let statistics = norm.statistics(s, &rows);
        let nothing = s.splat_f(0.0);
        // Nothing equals it.
        let not_a_number = s.splat_f(f32::NAN);
        for i in 0..R {
            let (mean, reciprocal) = (s.splat_f(statistics[i].0), s.splat_f(statistics[i].1));
            let out = &mut self.out[(first + i) * 2 * chunks..][..2 * chunks];
            let lines = rows[i].iter().zip(&norm.gamma).zip(&norm.offset);
            let lines = lines.zip(out.chunks_exact_mut(2)).enumerate();
            for (at, (((chunk, gamma), offset), out)) in lines {
                let mut bits = 0u64;
                let mut ties = s.eq(mean, not_a_number);
                for v in 0..4 {
                    let y = shifted(s, &chunk[v], mean, reciprocal, &gamma[v], &offset[v]);
                    bits |= u64::from(s.mask_bits(s.gt(y, nothing))) << (LANES * v);
                    ties = s.or_m(ties, s.eq(y, nothing));
                }
                out[0] = bits as u32;
                out[1] = (bits >> 32) as u32;
                if s.mask_bits(ties) != 0 {
                    for v in 0..4 {
                        let y = shifted(s, &chunk[v], mean, reciprocal, &gamma[v], &offset[v]);
                        let at = 4 * LANES * at + v * LANES;
                        list(self.zeros, first + i, at, s.mask_bits(s.eq(y, nothing)));
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
