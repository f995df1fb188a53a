//! Arranging attention shifts.

use bytemuck::Pod;

use super::instruction_set::{InstructionSet, Task};
use super::simd::LANES;

/// Arranges attention shifts or their levels, `[heads, queries, keys]`, as lines of 16 queries, and says whether all are
/// as they should be.
pub(crate) struct ArrangeShifts<'a, T, F, C> {
    /// `[heads, blocks of queries, keys]`.
    pub(crate) lines: &'a mut [[T; LANES]],
    /// What queries beyond the last get.
    pub(crate) padding: T,
    /// Queries, and keys.
    pub(crate) tokens: usize,
    /// Gives some of a head, from one on.
    pub(crate) decode: F,
    /// Whether one is as it should be.
    pub(crate) check: C,
}

impl<T, F, C> Task for ArrangeShifts<'_, T, F, C>
where
    T: Pod,
    F: Fn(usize, &mut [T]),
    C: Fn(T) -> bool,
{
    type Output = bool;

    #[inline(always)]
    fn run<S: InstructionSet>(self, s: S) -> bool {
        let Self {
            lines,
            padding,
            tokens,
            decode,
            check,
        } = self;
        let mut rows = vec![padding; LANES * tokens];
        let mut wrong = 0;
        let of_head = lines.chunks_exact_mut(tokens.div_ceil(LANES) * tokens);
        for (head, lines) in of_head.enumerate() {
            let blocks = lines.chunks_exact_mut(tokens);
            for (first, lines) in (0..tokens).step_by(LANES).zip(blocks) {
                let (real, beyond) = rows.split_at_mut((tokens - first).min(LANES) * tokens);
                decode((head * tokens + first) * tokens, real);
                beyond.fill(padding);
                for &value in &*real {
                    wrong |= u32::from(!check(value));
                }
                transpose(s, &rows, lines);
            }
        }
        wrong == 0
    }
}

/// `lines[key][query] = rows[query][key]`.
#[inline(always)]
fn transpose<T: Pod, S: InstructionSet>(s: S, rows: &[T], lines: &mut [[T; LANES]]) {
    let keys = lines.len();
    let rows: [&[T]; LANES] = std::array::from_fn(|query| &rows[query * keys..][..keys]);
    let turned = s.turn(rows, lines);
    let rows = rows.map(|row| &row[turned..]);
    let (squares, rest) = lines[turned..].as_chunks_mut::<LANES>();
    for (index, lines) in squares.iter_mut().enumerate() {
        let square: [&[T; LANES]; LANES] = rows.map(|row| {
            let part = row[index * LANES..].first_chunk();
            part.expect("a square of keys")
        });
        for (key, line) in lines.iter_mut().enumerate() {
            for (value, row) in line.iter_mut().zip(square) {
                *value = row[key];
            }
        }
    }
    let first = rows[0].len() - rest.len();
    for (key, line) in (first..).zip(rest) {
        *line = rows.map(|row| row[key]);
    }
}
