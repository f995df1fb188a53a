//! Products of two matrices.

use std::mem::MaybeUninit;

use rayon::prelude::*;

#[cfg(target_arch = "x86_64")]
use super::tiles::Tiles;
use crate::products::Products;

/// A matrix as it lies in memory.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    /// Steps from one row to the next and from one column to the next, one of which is 1.
    steps: (usize, usize),
}

impl<'a> Matrix<'a> {
    /// Rows of `columns` elements one after the other.
    pub(super) fn rows(values: &'a [f32], columns: usize) -> Self {
        let rows = values.len().checked_div(columns).unwrap_or(0);
        assert_eq!(rows * columns, values.len());
        Self::within(values, rows, columns, columns)
    }

    /// Rows of `columns` elements, each `step` elements after the one before.
    pub(super) fn within(values: &'a [f32], rows: usize, columns: usize, step: usize) -> Self {
        let last = rows.saturating_sub(1) * step;
        assert!(rows * columns == 0 || last + columns <= values.len());
        Self {
            values,
            rows,
            columns,
            steps: (step, 1),
        }
    }

    /// Rows and columns.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// The elements, and the steps from one row to the next and from one column to the next.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn memory(&self) -> (&'a [f32], [usize; 2]) {
        (self.values, [self.steps.0, self.steps.1])
    }

    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            steps: (self.steps.1, self.steps.0),
            ..self
        }
    }

    /// Some of the rows.
    fn some_rows(self, first: usize, rows: usize) -> Self {
        assert!(first + rows <= self.rows);
        Self {
            values: &self.values[first * self.steps.0..],
            rows,
            ..self
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl Matrix<'_> {
    /// Some of the columns.
    pub(super) fn some_columns(self, columns: std::ops::Range<usize>) -> Self {
        assert!(columns.start < columns.end && columns.end <= self.columns);
        let columns_of = |m: Self| m.some_rows(columns.start, columns.len());
        columns_of(self.transposed()).transposed()
    }
}

/// Multiplications that are worth a second thread, and the fewest rows of a task.
const WORTH_A_THREAD: usize = 1 << 22;
const ROWS_OF_TASK: usize = 16;

/// `a b`, with `bias` added to every row.
pub(super) fn product(a: Matrix, b: Matrix, bias: Option<&[f32]>) -> Vec<f32> {
    let write = |out: &mut [MaybeUninit<f32>]| {
        if !multiply_rounded(Products::chosen(), [a, b], bias, out, true) {
            multiply_floats(a, b, bias, out);
        }
        true
    };
    // SAFETY: it writes all of it.
    #[allow(unsafe_code)]
    let y = unsafe { written(a.rows * b.columns, write) };
    y.expect("all was written")
}

/// `x w + bias`, with rows of `x` of `inputs` elements and a weight `[inputs, outputs]`, if the elements of each have one
/// magnitude or are 0, the processor has tiles, and the product is large enough to gain from them. The sum of signs is
/// exact; it is multiplied by the product of the magnitudes.
pub fn product_of_signs(
    x: &[f32],
    weight: &[f32],
    inputs: usize,
    bias: &[f32],
) -> Option<Vec<f32>> {
    #[cfg(target_arch = "x86_64")]
    if let Some(tiles) = Tiles::new(Products::Bfloat16) {
        let (x, weight) = (Matrix::rows(x, inputs), Matrix::rows(weight, bias.len()));
        let len = x.rows * weight.columns;
        let shared = shared_among_threads(len, inputs)?;
        // SAFETY: a product that is true has been written.
        #[allow(unsafe_code)]
        return unsafe {
            written(len, |out| {
                tiles.multiply_signs([x, weight], Some(bias), out, shared)
            })
        };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (x, weight, inputs, bias);
    None
}

/// A vector of so many elements, if `write` says that it has written all of them.
///
/// # Safety
/// It has, then.
#[allow(unsafe_code)]
unsafe fn written(
    len: usize,
    write: impl FnOnce(&mut [MaybeUninit<f32>]) -> bool,
) -> Option<Vec<f32>> {
    let mut out = Vec::with_capacity(len);
    if len > 0 && !write(&mut out.spare_capacity_mut()[..len]) {
        return None;
    }
    // SAFETY: the capacity is at least that many, and the caller promises that all of them have been written.
    unsafe {
        out.set_len(len);
    }
    Some(out)
}

/// Multiplications that are worth the tiles of the processor, and a second thread for them.
#[cfg(target_arch = "x86_64")]
const WORTH_TILES: usize = 1 << 18;
#[cfg(target_arch = "x86_64")]
const TILES_WORTH_A_THREAD: usize = 1 << 23;

/// Whether several threads gain from sharing a product by tiles, of so many elements with so many terms; none if tiles do
/// not pay.
#[cfg(target_arch = "x86_64")]
fn shared_among_threads(elements: usize, terms: usize) -> Option<bool> {
    let work = elements.saturating_mul(terms);
    let shared = work >= TILES_WORTH_A_THREAD && rayon::current_num_threads() > 1;
    (work >= WORTH_TILES).then_some(shared)
}

/// Writes `a b`, with `bias` added to every row, to all of `out` if such products are none of floats, large enough to gain
/// from it and finite; whether they are. Where `shared`, several threads do.
fn multiply_rounded(
    products: Products,
    [a, b]: [Matrix; 2],
    bias: Option<&[f32]>,
    out: &mut [MaybeUninit<f32>],
    shared: bool,
) -> bool {
    #[cfg(target_arch = "x86_64")]
    if let (Some(tiles), Some(worth_threads)) = (
        Tiles::new(products),
        shared_among_threads(out.len(), a.columns),
    ) {
        return tiles.multiply([a, b], bias, out, shared && worth_threads);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (products, a, b, bias, out, shared);
    false
}

/// Writes the product of floats to all of `out`.
fn multiply_floats(a: Matrix, b: Matrix, bias: Option<&[f32]>, out: &mut [MaybeUninit<f32>]) {
    let (rows, columns) = (a.rows, b.columns);
    let run = |first: usize, chunk: &mut [MaybeUninit<f32>]| {
        let rows = chunk.len() / columns;
        let multiply = if packs_better(a, b) {
            multiply_packed
        } else {
            multiply_here
        };
        let chunk = multiply(a.some_rows(first, rows), b, chunk);
        if let Some(bias) = bias {
            for row in chunk.chunks_exact_mut(columns) {
                for (y, bias) in row.iter_mut().zip(bias) {
                    *y += bias;
                }
            }
        }
    };
    let threads = rayon::current_num_threads();
    let work = rows.saturating_mul(columns).saturating_mul(a.columns);
    if threads > 1 && work >= WORTH_A_THREAD && rows >= 2 * ROWS_OF_TASK {
        // As few tasks as threads: each packs `b` for itself.
        let least = rows.div_ceil(threads).max(ROWS_OF_TASK);
        let task = task_rows(rows, columns, a.columns, least);
        let chunks = out.par_chunks_mut(task * columns).enumerate();
        chunks.for_each(|(index, chunk)| run(index * task, chunk));
    } else {
        run(0, out);
    }
}

/// The rows of a task, so many or more, for which `gemm` adds up as it does for all rows at once, so that a product has
/// the same bits however many threads share it: it has another way for one row, and splits sums of more than 512 terms
/// in another way where both sides of the product are at most 64. Products of at most 256 elements it may compute along
/// the terms.
fn task_rows(rows: usize, columns: usize, terms: usize, least: usize) -> usize {
    const SMALL: usize = 64;
    const UNSPLIT: usize = 512;
    const FEW_ELEMENTS: usize = 256;
    let mut fewest = match columns <= SMALL && terms > UNSPLIT && rows > SMALL {
        true => SMALL + 1,
        false => 2,
    };
    if rows * columns > FEW_ELEMENTS {
        fewest = fewest.max(FEW_ELEMENTS / columns + 1);
    }
    let fits = |&task: &usize| rows.is_multiple_of(task) || rows % task >= fewest;
    (least.max(fewest)..rows).find(fits).unwrap_or(rows)
}

/// Whether `matrixmultiply` is faster than `gemm`, which has kernels for AVX-512 and takes half the time there.
///
/// On AVX2 alone its kernel is up to 1.8 times as fast, but it packs `a` first: not worth it for rows that have to be
/// transposed and are multiplied with few columns. The number of rows does not count, for the same reason as for
/// [`task_rows`].
fn packs_better(a: Matrix, b: Matrix) -> bool {
    #[cfg(target_arch = "x86_64")]
    let narrow = !is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    let narrow = false;
    let transposed = a.steps.1 != 1;
    narrow && a.columns * b.columns >= 1 << 12 && (transposed || b.columns >= 1 << 7)
}

/// Writes `a b` to all of `out`, on this thread.
///
/// # Panics
/// If the sizes do not go together.
pub(super) fn multiply<'o>(
    products: Products,
    a: Matrix,
    b: Matrix,
    out: &'o mut [MaybeUninit<f32>],
) -> &'o mut [f32] {
    if !multiply_rounded(products, [a, b], None, out, false) {
        return multiply_here(a, b, out);
    }
    // SAFETY: all of it has been written.
    #[allow(unsafe_code)]
    unsafe {
        out.assume_init_mut()
    }
}

/// As [`multiply`] with floats, as Burn multiplies.
fn multiply_here<'o>(a: Matrix, b: Matrix, out: &'o mut [MaybeUninit<f32>]) -> &'o mut [f32] {
    assert_eq!(a.columns, b.rows);
    assert_eq!(a.rows * b.columns, out.len());
    // The product takes no value from the output (`read_dst` is false) and writes all of it.
    #[allow(unsafe_code)]
    // SAFETY: a `Matrix` is made of a slice that holds all of its elements (`within`), and keeps
    // them when it is transposed or cut; the output has a place for each element of the product,
    // all of which are written before they are read as floats.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr().cast::<f32>(),
            1,
            b.columns as isize,
            false,
            a.values.as_ptr(),
            a.steps.1 as isize,
            a.steps.0 as isize,
            b.values.as_ptr(),
            b.steps.1 as isize,
            b.steps.0 as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
        std::slice::from_raw_parts_mut(out.as_mut_ptr().cast::<f32>(), out.len())
    }
}

/// As [`multiply_here`], by `matrixmultiply`.
fn multiply_packed<'o>(a: Matrix, b: Matrix, out: &'o mut [MaybeUninit<f32>]) -> &'o mut [f32] {
    assert_eq!(a.columns, b.rows);
    assert_eq!(a.rows * b.columns, out.len());
    // The product takes no value from the output (`beta` is 0) and writes all of it.
    #[allow(unsafe_code)]
    // SAFETY: as in `multiply_here`.
    unsafe {
        matrixmultiply::sgemm(
            a.rows,
            a.columns,
            b.columns,
            1.0,
            a.values.as_ptr(),
            a.steps.0 as isize,
            a.steps.1 as isize,
            b.values.as_ptr(),
            b.steps.0 as isize,
            b.steps.1 as isize,
            0.0,
            out.as_mut_ptr().cast::<f32>(),
            b.columns as isize,
            1,
        );
        std::slice::from_raw_parts_mut(out.as_mut_ptr().cast::<f32>(), out.len())
    }
}
