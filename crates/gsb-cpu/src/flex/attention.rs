//! Float attention, forward and backward, one head after the other: a head's matrix stays in a core's
//! cache between the products, and query, key and value are read where they lie.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::elementwise::pays;
use super::heads::{self, Sizes};
use super::product::{Matrix, multiply};
use super::softmax;
use crate::products::Products;

/// Output `[batch, tokens, width]` and matrix `[batch, heads, tokens, tokens]` of the attention of
/// query, key and value side by side, `[batch, tokens, 3 * width]`.
pub(super) fn forward(qkv: &[f32], sizes: Sizes, scale: f32) -> (Vec<f32>, Vec<f32>) {
    let (tokens, head_width) = (sizes.tokens, sizes.head_width);
    let n = qkv.len() / 3;
    if n == 0 {
        return Default::default();
    }
    let cells = n / head_width * tokens;
    let products = Products::chosen();
    let (mut output, mut matrices) = (Vec::with_capacity(n), Vec::with_capacity(cells));
    let run = |(index, (output, matrix)): (usize, Head<'_>)| {
        let [query, key, value] = query_key_value(qkv, sizes, index);
        let matrix = multiply(products, query, key.transposed(), matrix);
        softmax::rows_forward(matrix, tokens, scale);
        multiply(products, Matrix::rows(matrix, tokens), value, output);
    };
    each(
        &mut output.spare_capacity_mut()[..n],
        tokens * head_width,
        &mut matrices.spare_capacity_mut()[..cells],
        tokens * tokens,
        run,
    );
    // SAFETY: the capacities are at least those, and each head's products were written.
    #[allow(unsafe_code)]
    unsafe {
        output.set_len(n);
        matrices.set_len(cells);
    }
    (heads::merge(&output, Sizes { parts: 1, ..sizes }), matrices)
}

/// Gradient to query, key and value side by side of that of the output.
pub(super) fn backward(
    qkv: &[f32],
    matrices: &[f32],
    grads: &[f32],
    sizes: Sizes,
    scale: f32,
) -> Vec<f32> {
    let (tokens, head_width) = (sizes.tokens, sizes.head_width);
    if qkv.is_empty() {
        return Vec::new();
    }
    let head = tokens * head_width;
    let products = Products::chosen();
    let mut parts = Vec::with_capacity(qkv.len());
    // The gradients of the matrices are gone with their head.
    let tasks = if pays(matrices.len()) {
        rayon::current_num_threads()
    } else {
        1
    };
    let count = matrices.len() / (tokens * tokens);
    let share = count.div_ceil(tasks);
    let run = |task: usize, out: &mut [MaybeUninit<f32>]| {
        let mut scratch = Vec::with_capacity(tokens * tokens);
        let scratch = &mut scratch.spare_capacity_mut()[..tokens * tokens];
        for (place, out) in out.chunks_exact_mut(3 * head).enumerate() {
            let index = task * share + place;
            let [query, key, value] = query_key_value(qkv, sizes, index);
            let grad = part(grads, Sizes { parts: 1, ..sizes }, index, 0);
            let matrix = &matrices[index * tokens * tokens..][..tokens * tokens];
            let [for_query, for_key, for_value] = split(out, head);
            multiply(
                products,
                Matrix::rows(matrix, tokens).transposed(),
                grad,
                for_value,
            );
            let scores = multiply(products, grad, value.transposed(), scratch);
            softmax::rows_backward(matrix, scores, tokens, scale);
            let scores = Matrix::rows(scores, tokens);
            multiply(products, scores, key, for_query);
            multiply(products, scores.transposed(), query, for_key);
        }
    };
    let spare = &mut parts.spare_capacity_mut()[..qkv.len()];
    if tasks > 1 {
        let chunks = spare.par_chunks_mut(share * 3 * head).enumerate();
        chunks.for_each(|(task, out)| run(task, out));
    } else {
        run(0, spare);
    }
    // SAFETY: the capacity is at least that, and each head's three products were written.
    #[allow(unsafe_code)]
    unsafe {
        parts.set_len(qkv.len());
    }
    heads::merge_all(&parts, sizes)
}

/// A head's place in two outputs.
type Head<'a> = (&'a mut [MaybeUninit<f32>], &'a mut [MaybeUninit<f32>]);

/// Runs `run(index, its chunk of each)` for every head.
fn each(
    first: &mut [MaybeUninit<f32>],
    first_len: usize,
    second: &mut [MaybeUninit<f32>],
    second_len: usize,
    run: impl Fn((usize, Head<'_>)) + Send + Sync,
) {
    if pays(second.len()) {
        let first = first.par_chunks_mut(first_len);
        let second = second.par_chunks_mut(second_len);
        first.zip(second).enumerate().for_each(run);
    } else {
        let first = first.chunks_mut(first_len);
        let second = second.chunks_mut(second_len);
        first.zip(second).enumerate().for_each(run);
    }
}

/// Query, key and value of a head, `[tokens, head_width]` each.
fn query_key_value(qkv: &[f32], sizes: Sizes, index: usize) -> [Matrix<'_>; 3] {
    [0, 1, 2].map(|which| part(qkv, Sizes { parts: 3, ..sizes }, index, which))
}

/// One of the parts that lie side by side, of one head.
fn part(values: &[f32], sizes: Sizes, index: usize, part: usize) -> Matrix<'_> {
    let (image, head) = (index / sizes.heads, index % sizes.heads);
    let width = sizes.width();
    let start = image * sizes.tokens * width + Sizes { part, ..sizes }.offset(head);
    Matrix::within(&values[start..], sizes.tokens, sizes.head_width, width)
}

/// Three outputs one after the other.
fn split<T>(out: &mut [T], len: usize) -> [&mut [T]; 3] {
    let (first, rest) = out.split_at_mut(len);
    let (second, third) = rest.split_at_mut(len);
    [first, second, third]
}
