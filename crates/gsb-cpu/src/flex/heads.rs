//! Tokens of heads side by side to heads of tokens, and back.

use std::mem::MaybeUninit;

use burn::tensor::Shape;

use super::tasks::{filled, rows_of_task};

/// What lies where: `[batch, tokens, parts, heads, head_width]` with all parts of a token side by side.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) heads: usize,
    pub(super) tokens: usize,
    pub(super) head_width: usize,
    pub(super) parts: usize,
    /// The part that is read or written.
    pub(super) part: usize,
}

impl Sizes {
    /// Those of `[batch, tokens, parts * heads * head_width]`, the first part.
    pub(super) fn new(shape: &Shape, heads: usize, parts: usize) -> Self {
        let [_, tokens, width] = shape.dims();
        let sizes = Self {
            heads,
            tokens,
            head_width: width / parts / heads,
            parts,
            part: 0,
        };
        assert_eq!(sizes.width(), width, "{parts} parts of {heads} heads");
        sizes
    }

    /// Elements of a token, all parts.
    pub(super) fn width(&self) -> usize {
        self.parts * self.heads * self.head_width
    }

    /// Where a head of the part starts in a token.
    pub(super) fn offset(&self, head: usize) -> usize {
        (self.part * self.heads + head) * self.head_width
    }
}

/// `[batch, heads, tokens, head_width]` of one part.
pub(super) fn split(xs: &[f32], sizes: Sizes) -> Vec<f32> {
    let (width, head_width) = (sizes.width(), sizes.head_width);
    let head = sizes.tokens * head_width;
    let task = |index: usize, ys: &mut [MaybeUninit<f32>]| {
        let (image, head) = (index / sizes.heads, index % sizes.heads);
        let tokens = &xs[image * sizes.tokens * width..][..sizes.tokens * width];
        let tokens = tokens.chunks_exact(width.max(1));
        for (ys, token) in ys.chunks_exact_mut(head_width.max(1)).zip(tokens) {
            ys.write_copy_of_slice(&token[sizes.offset(head)..][..head_width]);
        }
    };
    // SAFETY: a chunk is a head, which is as many tokens as an image has, and each is written.
    #[allow(unsafe_code)]
    unsafe {
        filled(xs.len() / sizes.parts, head, task)
    }
}

/// The reverse of [`split`], the other parts zero.
pub(super) fn merge(xs: &[f32], sizes: Sizes) -> Vec<f32> {
    let (width, head_width) = (sizes.width(), sizes.head_width);
    let rows = rows_of_task(width);
    let task = |index: usize, ys: &mut [MaybeUninit<f32>]| {
        for (row, ys) in ys.chunks_exact_mut(width.max(1)).enumerate() {
            let (image, token) = {
                let row = index * rows + row;
                (row / sizes.tokens, row % sizes.tokens)
            };
            let (before, rest) = ys.split_at_mut(sizes.offset(0));
            let (part, after) = rest.split_at_mut(sizes.heads * head_width);
            before.fill(MaybeUninit::new(0.0));
            after.fill(MaybeUninit::new(0.0));
            for (head, ys) in part.chunks_exact_mut(head_width.max(1)).enumerate() {
                let from = ((image * sizes.heads + head) * sizes.tokens + token) * head_width;
                ys.write_copy_of_slice(&xs[from..from + head_width]);
            }
        }
    };
    // SAFETY: a chunk is whole tokens, and of a token what is before, in and after the part.
    #[allow(unsafe_code)]
    unsafe {
        filled(xs.len() * sizes.parts, rows * width, task)
    }
}

/// `[batch, heads, parts, tokens, head_width]` to tokens with all parts side by side.
pub(super) fn merge_all(xs: &[f32], sizes: Sizes) -> Vec<f32> {
    let (width, head_width) = (sizes.width(), sizes.head_width);
    let rows = rows_of_task(width);
    let task = |index: usize, ys: &mut [MaybeUninit<f32>]| {
        for (row, ys) in ys.chunks_exact_mut(width.max(1)).enumerate() {
            let row = index * rows + row;
            let (image, token) = (row / sizes.tokens, row % sizes.tokens);
            for (place, ys) in ys.chunks_exact_mut(head_width.max(1)).enumerate() {
                let (part, head) = (place / sizes.heads, place % sizes.heads);
                let from = (image * sizes.heads + head) * sizes.parts + part;
                let from = (from * sizes.tokens + token) * head_width;
                ys.write_copy_of_slice(&xs[from..from + head_width]);
            }
        }
    };
    // SAFETY: a chunk is whole tokens, and a token is all its elements, part by part and head by head.
    #[allow(unsafe_code)]
    unsafe {
        filled(xs.len(), rows * width, task)
    }
}
