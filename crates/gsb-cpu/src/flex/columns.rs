//! What is added to every row, and the sum of all rows.

use std::mem::MaybeUninit;

use pulp::{Arch, Simd, WithSimd};

use super::elementwise::CHUNK;
use super::tasks::{chunks, filled, rows_of_task};

/// Adds `row` to every row of `xs`.
pub(super) fn add_in_place(xs: &mut [f32], row: &[f32]) {
    let arch = Arch::new();
    chunks(xs, chunk(row.len()), |index, xs| {
        let start = index * chunk(row.len());
        runs(start, xs.len(), row.len(), |at, from, len| {
            let (xs, row) = (&mut xs[at..at + len], &row[from..from + len]);
            arch.dispatch(AddInPlace { xs, row });
        });
    });
}

/// Every row of `xs` with `row` added.
pub(super) fn add(xs: &[f32], row: &[f32]) -> Vec<f32> {
    let arch = Arch::new();
    let task = |index: usize, ys: &mut [MaybeUninit<f32>]| {
        let start = index * chunk(row.len());
        runs(start, ys.len(), row.len(), |at, from, len| {
            let (ys, row) = (&mut ys[at..at + len], &row[from..from + len]);
            let xs = &xs[start + at..start + at + len];
            arch.dispatch(Add { xs, row, ys });
        });
    };
    // SAFETY: `runs` covers a chunk without a gap, and `Add` writes each element of a run.
    #[allow(unsafe_code)]
    unsafe {
        filled(xs.len(), chunk(row.len()), task)
    }
}

/// Sums of the columns of rows of `width` elements.
pub(super) fn sums(xs: &[f32], width: usize) -> Vec<f32> {
    let arch = Arch::new();
    let mut total = vec![0.0; width];
    if width == 0 {
        return total;
    }
    if width >= CHUNK {
        chunks(&mut total, CHUNK, |index, sums| {
            for xs in xs.chunks_exact(width) {
                let row = &xs[index * CHUNK..][..sums.len()];
                arch.dispatch(AddInPlace { xs: sums, row });
            }
        });
        return total;
    }
    let len = rows_of_task(width) * width;
    let mut parts = vec![0.0; xs.len().div_ceil(len) * width];
    let add_rows = |sums: &mut [f32], xs: &[f32]| {
        for row in xs.chunks_exact(width) {
            arch.dispatch(AddInPlace { xs: sums, row });
        }
    };
    shared(xs, len, &mut parts, width, add_rows);
    // In order, so that the result does not depend on the number of threads.
    add_rows(&mut total, &parts);
    total
}

/// Runs `task(part, chunk)` on every chunk of `len` elements and its part of the output.
fn shared(
    xs: &[f32],
    len: usize,
    parts: &mut [f32],
    width: usize,
    task: impl Fn(&mut [f32], &[f32]) + Sync,
) {
    use rayon::prelude::*;

    if super::elementwise::pays(xs.len()) {
        let parts = parts.par_chunks_mut(width).zip(xs.par_chunks(len));
        parts.for_each(|(part, xs)| task(part, xs));
    } else {
        let parts = parts.chunks_mut(width).zip(xs.chunks(len));
        parts.for_each(|(part, xs)| task(part, xs));
    }
}

/// Elements of a task: whole rows, or a part of one.
fn chunk(width: usize) -> usize {
    if width >= CHUNK {
        CHUNK
    } else {
        rows_of_task(width) * width.max(1)
    }
}

/// Calls `run(place in the chunk, column, length)` for the rows that a chunk touches.
fn runs(start: usize, chunk: usize, width: usize, mut run: impl FnMut(usize, usize, usize)) {
    let mut at = 0;
    while at < chunk {
        let column = (start + at) % width;
        let len = (width - column).min(chunk - at);
        run(at, column, len);
        at += len;
    }
}

struct AddInPlace<'a> {
    xs: &'a mut [f32],
    row: &'a [f32],
}

impl WithSimd for AddInPlace<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for (x, &add) in self.xs.iter_mut().zip(self.row) {
            *x += add;
        }
    }
}

struct Add<'a> {
    xs: &'a [f32],
    row: &'a [f32],
    ys: &'a mut [MaybeUninit<f32>],
}

impl WithSimd for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        assert_eq!(self.xs.len(), self.ys.len());
        assert_eq!(self.row.len(), self.ys.len());
        for ((y, &x), &add) in self.ys.iter_mut().zip(self.xs).zip(self.row) {
            y.write(x + add);
        }
    }
}
