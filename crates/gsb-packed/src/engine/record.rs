//! Bits as the numbers of a trace.

use crate::kernel::norm::Zero;
use crate::kernel::simd::{LANES, Line};

/// Signs of rows of words.
pub(super) fn signs(words: &[u32], stride: usize, rows: usize, zeros: &[Zero]) -> Vec<i8> {
    let words = &words[..rows * stride];
    let mut signs: Vec<i8> = words
        .iter()
        .flat_map(|word| (0..32).map(move |bit| if word >> bit & 1 == 1 { 1 } else { -1 }))
        .collect();
    for &(row, channel) in zeros {
        signs[row as usize * stride * 32 + channel as usize] = 0;
    }
    signs
}

/// Rows of segments without their padding.
pub(super) fn unpad<T: Copy>(
    rows: &[T],
    stride: usize,
    padded: usize,
    width: usize,
    segments: usize,
) -> Vec<T> {
    let rows = rows.chunks_exact(stride);
    rows.flat_map(|row| {
        row[..]
            .chunks(padded)
            .take(segments)
            .flat_map(|segment| &segment[..width])
    })
    .copied()
    .collect()
}

/// The groups of a head's attention matrix, the first the lowest bit: `[queries, keys]`.
pub(super) fn attention(planes: &[&[Line]], words: usize, tokens: usize) -> Vec<u8> {
    let mut groups = Vec::with_capacity(tokens * tokens);
    for query in 0..tokens {
        for key in 0..tokens {
            let line = query / LANES * words + key / 32;
            let member = |plane: &[Line]| (plane[line].0[query % LANES] >> (key % 32) & 1) as u8;
            let members = planes
                .iter()
                .enumerate()
                .map(|(group, plane)| member(plane) << group);
            groups.push(members.sum());
        }
    }
    groups
}
