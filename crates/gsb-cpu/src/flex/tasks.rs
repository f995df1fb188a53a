//! How loops over rows are shared by threads.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::elementwise::{CHUNK, pays};

/// Rows of a task: about a chunk of elements.
pub(super) fn rows_of_task(width: usize) -> usize {
    (CHUNK / width.max(1)).max(1)
}

/// Runs `task(index, chunk)` on every chunk of `len` elements and collects what it returns in order.
pub(super) fn chunks<T: Send, R: Send>(
    values: &mut [T],
    len: usize,
    task: impl Fn(usize, &mut [T]) -> R + Sync,
) -> Vec<R> {
    let len = len.max(1);
    if pays(values.len()) {
        let chunks = values.par_chunks_mut(len).enumerate();
        chunks.map(|(index, chunk)| task(index, chunk)).collect()
    } else {
        let chunks = values.chunks_mut(len).enumerate();
        chunks.map(|(index, chunk)| task(index, chunk)).collect()
    }
}

/// `n` elements, written in chunks of `len` by `task(index, chunk)`. Zeroing them first would be a
/// pass of its own, on one thread.
///
/// # Safety
/// The task writes every element of its chunk.
#[allow(unsafe_code)]
pub(super) unsafe fn filled(
    n: usize,
    len: usize,
    task: impl Fn(usize, &mut [MaybeUninit<f32>]) + Sync,
) -> Vec<f32> {
    let mut values = Vec::with_capacity(n);
    chunks(&mut values.spare_capacity_mut()[..n], len, task);
    // SAFETY: the capacity is at least `n`; the chunks cover those elements, and the caller promises
    // that each chunk has been written.
    unsafe {
        values.set_len(n);
    }
    values
}
