//! Layer normalization, forward and backward.

use std::mem::MaybeUninit;

use pulp::{Arch, Simd, WithSimd};

use super::elementwise::LANES;
use super::tasks::{chunks, filled, rows_of_task};

/// `(x - mean) / sqrt(var + epsilon) * gamma + beta` of every row.
pub(super) fn forward(xs: &[f32], gamma: &[f32], beta: &[f32], epsilon: f32) -> Vec<f32> {
    let arch = Arch::new();
    // Of a width of 0, only nothing is a multiple.
    assert!(xs.len().is_multiple_of(gamma.len()) && beta.len() == gamma.len());
    let chunk = rows_of_task(gamma.len()) * gamma.len();
    let task = |index: usize, ys: &mut [MaybeUninit<f32>]| {
        let xs = &xs[index * chunk..][..ys.len()];
        arch.dispatch(Forward {
            xs,
            ys,
            gamma,
            beta,
            epsilon,
        });
    };
    // SAFETY: there are whole rows, as asserted, and so in every chunk; `Forward` writes each element
    // of its rows.
    #[allow(unsafe_code)]
    unsafe {
        filled(xs.len(), chunk, task)
    }
}

/// Replaces the gradients of the values by those of `x`, and returns those of gamma and beta.
pub(super) fn backward(
    xs: &[f32],
    gamma: &[f32],
    grads: &mut [f32],
    epsilon: f32,
) -> (Vec<f32>, Vec<f32>) {
    let arch = Arch::new();
    let width = gamma.len();
    let chunk = rows_of_task(width) * width;
    let parts = chunks(grads, chunk, |index, grads| {
        let mut sums = (vec![0.0; width], vec![0.0; width]);
        arch.dispatch(Backward {
            xs: &xs[index * chunk..][..grads.len()],
            grads,
            gamma,
            epsilon,
            for_gamma: &mut sums.0,
            for_beta: &mut sums.1,
        });
        sums
    });
    // In order, so that the result does not depend on the number of threads.
    let mut total = (vec![0.0; width], vec![0.0; width]);
    for (for_gamma, for_beta) in parts {
        add(&mut total.0, &for_gamma);
        add(&mut total.1, &for_beta);
    }
    total
}

fn add(total: &mut [f32], part: &[f32]) {
    for (total, part) in total.iter_mut().zip(part) {
        *total += part;
    }
}

struct Forward<'a> {
    xs: &'a [f32],
    ys: &'a mut [MaybeUninit<f32>],
    gamma: &'a [f32],
    beta: &'a [f32],
    epsilon: f32,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let width = self.gamma.len();
        let rows = self.xs.chunks_exact(width.max(1));
        for (xs, ys) in rows.zip(self.ys.chunks_exact_mut(width.max(1))) {
            let (mean, deviation) = moments(xs, self.epsilon);
            let scales = self.gamma.iter().zip(self.beta);
            for ((y, &x), (&gamma, &beta)) in ys.iter_mut().zip(xs).zip(scales) {
                y.write((x - mean) / deviation * gamma + beta);
            }
        }
    }
}

struct Backward<'a> {
    xs: &'a [f32],
    grads: &'a mut [f32],
    gamma: &'a [f32],
    epsilon: f32,
    for_gamma: &'a mut [f32],
    for_beta: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Self {
            gamma,
            for_gamma,
            for_beta,
            ..
        } = self;
        let width = gamma.len();
        let rows = self.xs.chunks_exact(width.max(1));
        for (xs, grads) in rows.zip(self.grads.chunks_exact_mut(width.max(1))) {
            let (mean, deviation) = moments(xs, self.epsilon);
            let inverse = 1.0 / deviation;
            // A loop each: side by side the compiler pairs the sums instead of the lanes.
            for (sum, &grad) in for_beta.iter_mut().zip(&*grads) {
                *sum += grad;
            }
            for ((sum, &grad), &x) in for_gamma.iter_mut().zip(&*grads).zip(xs) {
                *sum += grad * ((x - mean) * inverse);
            }
            let level = sum(grads, gamma, |grad, gamma| grad * gamma) / width as f32;
            let mut along = [0.0; LANES];
            let (full_x, rest_x) = xs.as_chunks::<LANES>();
            let (full_g, rest_g) = grads.as_chunks::<LANES>();
            let (full_s, rest_s) = gamma.as_chunks::<LANES>();
            for ((xs, grads), gamma) in full_x.iter().zip(full_g).zip(full_s) {
                for lane in 0..LANES {
                    along[lane] += grads[lane] * gamma[lane] * ((xs[lane] - mean) * inverse);
                }
            }
            let rest = rest_x.iter().zip(rest_g).zip(rest_s);
            for (along, ((&x, &grad), &gamma)) in along.iter_mut().zip(rest) {
                *along += grad * gamma * ((x - mean) * inverse);
            }
            let along = along.iter().sum::<f32>() / width as f32;
            for ((grad, &x), &gamma) in grads.iter_mut().zip(xs).zip(gamma) {
                *grad = (*grad * gamma - level - (x - mean) * inverse * along) * inverse;
            }
        }
    }
}

/// Mean of a row and `sqrt(var + epsilon)`.
#[inline(always)]
fn moments(xs: &[f32], epsilon: f32) -> (f32, f32) {
    let n = xs.len() as f32;
    let mean = sum(xs, xs, |x, _| x) / n;
    let variance = sum(xs, xs, |x, _| (x - mean) * (x - mean)) / n;
    (mean, (variance + epsilon).sqrt())
}

/// Sum of a term of two slices of the same length.
#[inline(always)]
pub(super) fn sum(xs: &[f32], ys: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    let (full_x, rest_x) = xs.as_chunks::<LANES>();
    let (full_y, rest_y) = ys.as_chunks::<LANES>();
    for (xs, ys) in full_x.iter().zip(full_y) {
        for lane in 0..LANES {
            sums[lane] += term(xs[lane], ys[lane]);
        }
    }
    for (sum, (&x, &y)) in sums.iter_mut().zip(rest_x.iter().zip(rest_y)) {
        *sum += term(x, y);
    }
    sums.iter().sum()
}
