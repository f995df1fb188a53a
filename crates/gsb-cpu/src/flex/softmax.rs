//! Softmax of scaled rows, forward and backward, in place.

use gsb_numerics::exp;
use pulp::{Arch, Simd, WithSimd};

use super::elementwise::LANES;
use super::layer_norm::sum;
use super::tasks::{chunks, rows_of_task};

/// `exp(y)` counts as nothing below: it is under the smallest normal number.
const LOWEST: f32 = -87.0;

/// Replaces rows by the softmax of `x * scale`.
pub(super) fn forward(values: &mut [f32], width: usize, scale: f32) {
    let arch = Arch::new();
    chunks(values, rows_of_task(width) * width, |_, rows| {
        arch.dispatch(Forward { rows, width, scale });
    });
}

/// [`forward`] on this thread.
pub(super) fn rows_forward(rows: &mut [f32], width: usize, scale: f32) {
    Arch::new().dispatch(Forward { rows, width, scale });
}

/// [`backward`] on this thread.
pub(super) fn rows_backward(ys: &[f32], grads: &mut [f32], width: usize, scale: f32) {
    Arch::new().dispatch(Backward {
        ys,
        grads,
        width,
        scale,
    });
}

/// Replaces the gradients of the values by those of `x`.
pub(super) fn backward(ys: &[f32], grads: &mut [f32], width: usize, scale: f32) {
    let arch = Arch::new();
    let chunk = rows_of_task(width) * width;
    chunks(grads, chunk, |index, grads| {
        arch.dispatch(Backward {
            ys: &ys[index * chunk..][..grads.len()],
            grads,
            width,
            scale,
        });
    });
}

struct Forward<'a> {
    rows: &'a mut [f32],
    width: usize,
    scale: f32,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for row in self.rows.chunks_exact_mut(self.width.max(1)) {
            for x in row.iter_mut() {
                *x *= self.scale;
            }
            let max = maximum(row);
            for x in row.iter_mut() {
                let y = *x - max;
                let low = exp(if y < LOWEST { LOWEST } else { y });
                *x = if y < LOWEST { 0.0 } else { low };
            }
            let total = sum(row, row, |x, _| x);
            for x in row.iter_mut() {
                *x /= total;
            }
        }
    }
}

struct Backward<'a> {
    ys: &'a [f32],
    grads: &'a mut [f32],
    width: usize,
    scale: f32,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let rows = self.ys.chunks_exact(self.width.max(1));
        for (ys, grads) in rows.zip(self.grads.chunks_exact_mut(self.width.max(1))) {
            let mean = sum(ys, grads, |y, grad| y * grad);
            for (grad, &y) in grads.iter_mut().zip(ys) {
                *grad = (*grad - mean) * y * self.scale;
            }
        }
    }
}

/// The largest element; NaN if there is one, as a comparison with it fails.
#[inline(always)]
fn maximum(xs: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let mut max = [f32::NEG_INFINITY; LANES];
    let (full, rest) = xs.as_chunks::<LANES>();
    for xs in full {
        for lane in 0..LANES {
            max[lane] = larger(max[lane], xs[lane]);
        }
    }
    for (max, &x) in max.iter_mut().zip(rest) {
        *max = larger(*max, x);
    }
    max.into_iter().fold(f32::NEG_INFINITY, larger)
}
