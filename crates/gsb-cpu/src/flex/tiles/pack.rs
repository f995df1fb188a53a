//! Factors of products, rounded to bfloat16 and laid out in tiles.

use std::arch::x86_64::*;

use super::super::product::Matrix;
use super::amx::{Amx, BLOCK, STEP, Tile};

/// Lanes of a vector; lines of a tile.
const LANES: usize = 16;

/// Of 16 bits without their sign: infinity. Everything below is a number.
const INFINITE: i16 = 0x7F80;

/// A factor, seen as the lines that the sums run along: rows of a left one, columns of a right one.
#[derive(Clone, Copy)]
pub(super) struct Factor<'a> {
    lines: Matrix<'a>,
    /// Whether a row of a tile is a line, as in a left factor, or a pair of terms of each line.
    by_line: bool,
}

impl<'a> Factor<'a> {
    pub(super) fn left(a: Matrix<'a>) -> Self {
        Self {
            lines: a,
            by_line: true,
        }
    }

    pub(super) fn right(b: Matrix<'a>) -> Self {
        Self {
            lines: b.transposed(),
            by_line: false,
        }
    }

    /// Number of panels of [`BLOCK`] lines.
    pub(super) fn panels(&self) -> usize {
        self.lines.shape()[0].div_ceil(BLOCK)
    }

    /// Tiles of a panel.
    pub(super) fn tiles_of_panel<const SPLIT: bool>(&self) -> usize {
        self.lines.shape()[1].div_ceil(STEP) * if SPLIT { 4 } else { 2 }
    }

    /// Writes the tiles of a panel, zeros beyond the matrix; whether all of its numbers are finite as bfloat16.
    ///
    /// For every [`STEP`] terms there are two tiles, of the first and second half of the lines; with `SPLIT` then two more,
    /// of what rounding the first two has left.
    pub(super) fn pack<const SPLIT: bool>(&self, _: Amx, panel: usize, tiles: &mut [Tile]) -> bool {
        #[allow(unsafe_code)]
        // SAFETY: `Amx` is evidence that the processor has the instructions.
        unsafe {
            self.pack_panel::<SPLIT>(panel, tiles)
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn pack_panel<const SPLIT: bool>(&self, panel: usize, tiles: &mut [Tile]) -> bool {
        let mut largest = _mm512_setzero_si512();
        let steps = tiles.chunks_exact_mut(if SPLIT { 4 } else { 2 });
        for (step, tiles) in steps.enumerate() {
            for half in 0..2 {
                let first = panel * BLOCK + half * LANES;
                let [mut large, mut small] = self.pairs::<SPLIT>(first, step * STEP);
                for pairs in &large {
                    let unsigned = _mm512_and_si512(*pairs, _mm512_set1_epi16(i16::MAX));
                    largest = _mm512_max_epu16(largest, unsigned);
                }
                if self.by_line != self.runs_along_lines() {
                    large = transposed(large);
                    if SPLIT {
                        small = transposed(small);
                    }
                }
                store(large, &mut tiles[half]);
                if SPLIT {
                    store(small, &mut tiles[2 + half]);
                }
            }
        }
        _mm512_cmpge_epu16_mask(largest, _mm512_set1_epi16(INFINITE)) == 0
    }

    /// Whether the terms of a line are next to each other in memory, not those of different lines.
    fn runs_along_lines(&self) -> bool {
        self.lines.memory().1[1] == 1
    }

    /// 16 pairs of terms of 16 lines from a place on: a vector for each line if that is how they lie, else a vector for each
    /// pair. The second array is what rounding has left of the first.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn pairs<const SPLIT: bool>(&self, line: usize, term: usize) -> [[__m512i; LANES]; 2] {
        let ([lines, terms], (values, steps)) = (self.lines.shape(), self.lines.memory());
        let mut pairs = [[_mm512_setzero_si512(); LANES]; 2];
        let [large, small] = &mut pairs;
        let places = large.iter_mut().zip(small).enumerate();
        if self.runs_along_lines() {
            let count = (terms - term).min(STEP);
            for (place, (large, small)) in places.take(lines.saturating_sub(line)) {
                let values = &values[(line + place) * steps[0] + term..][..count];
                let (low, high) = values.split_at(count.min(LANES));
                fetch(values, 2 * STEP);
                fetch(values, 2 * STEP + LANES);
                [*large, *small] = rounded::<SPLIT>(load(low), load(high));
            }
        } else {
            assert_eq!(steps[0], 1, "a matrix or a transposed one");
            let count = lines.saturating_sub(line).min(LANES);
            if count == 0 {
                return pairs;
            }
            for (place, (large, small)) in places.take((terms - term).div_ceil(2)) {
                let term = term + 2 * place;
                let [even, odd] = [0, 1].map(|next| (term + next) * steps[1] + line);
                fetch(&values[even..], STEP * steps[1]);
                fetch(&values[even..], (STEP + 1) * steps[1]);
                let even = load(&values[even..][..count]);
                let odd = match term + 1 < terms {
                    true => load(&values[odd..][..count]),
                    false => _mm512_setzero_ps(),
                };
                let both = rounded::<SPLIT>(even, odd);
                [*large, *small] = [alternating(both[0]), alternating(both[1])];
            }
        }
        pairs
    }
}

/// Asks for what lies some elements after the first of these, which will be read soon: the memory is read in too many places
/// at a time for the processor to guess.
#[inline]
#[target_feature(enable = "avx512f")]
fn fetch(values: &[f32], ahead: usize) {
    // Addresses that nothing is at are ignored.
    _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().wrapping_add(ahead).cast());
}

/// Up to 16 numbers, then zeros.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(values: &[f32]) -> __m512 {
    debug_assert!(values.len() <= LANES);
    let lanes = ((1_u32 << values.len()) - 1) as __mmask16;
    #[allow(unsafe_code)]
    // SAFETY: only lanes that the slice has are read.
    unsafe {
        _mm512_maskz_loadu_ps(lanes, values.as_ptr())
    }
}

/// The nearest numbers of bfloat16, those of `low` first, and with `SPLIT` the nearest ones to what that leaves.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn rounded<const SPLIT: bool>(low: __m512, high: __m512) -> [__m512i; 2] {
    let large = bits(_mm512_cvtne2ps_pbh(high, low));
    if !SPLIT {
        return [large, _mm512_setzero_si512()];
    }
    // Exact: both numbers have the same exponent, or nearly, and the difference fits in what the larger one lacks.
    let rest = |x| _mm512_sub_ps(x, _mm512_cvtpbh_ps(_mm512_cvtneps_pbh(x)));
    [large, bits(_mm512_cvtne2ps_pbh(rest(high), rest(low)))]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn bits(x: __m512bh) -> __m512i {
    #[allow(unsafe_code)]
    // SAFETY: both are 64 bytes of which any value is one.
    unsafe {
        std::mem::transmute(x)
    }
}

/// The first half of 32 elements alternating with the second one.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn alternating(x: __m512i) -> __m512i {
    // Pair after pair: the second one's place above the first one's.
    let places = [
        0x10_0000, 0x11_0001, 0x12_0002, 0x13_0003, 0x14_0004, 0x15_0005, 0x16_0006, 0x17_0007,
        0x18_0008, 0x19_0009, 0x1A_000A, 0x1B_000B, 0x1C_000C, 0x1D_000D, 0x1E_000E, 0x1F_000F,
    ];
    #[allow(unsafe_code)]
    // SAFETY: the array has the 64 bytes that are read.
    let places = unsafe { _mm512_loadu_si512(places.as_ptr().cast()) };
    _mm512_permutexvar_epi16(places, x)
}

/// The transposed matrix of 16 rows of 16 pairs.
#[inline]
#[target_feature(enable = "avx512f")]
fn transposed(rows: [__m512i; LANES]) -> [__m512i; LANES] {
    let mut pairs = rows;
    // Within every four columns, of two rows and then of four.
    for i in (0..LANES).step_by(2) {
        pairs[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    let mut fours = pairs;
    for i in (0..LANES).step_by(4) {
        for j in 0..2 {
            fours[i + 2 * j] = _mm512_unpacklo_epi64(pairs[i + j], pairs[i + j + 2]);
            fours[i + 2 * j + 1] = _mm512_unpackhi_epi64(pairs[i + j], pairs[i + j + 2]);
        }
    }
    // Vector `4 q + c` has column `c` of each group of four columns, of the rows `4 q ..`.
    let mut columns = fours;
    for c in 0..4 {
        let [a, b, x, y] = [fours[c], fours[4 + c], fours[8 + c], fours[12 + c]];
        let (even_1, odd_1) = (
            _mm512_shuffle_i32x4::<0x88>(a, b),
            _mm512_shuffle_i32x4::<0xDD>(a, b),
        );
        let (even_2, odd_2) = (
            _mm512_shuffle_i32x4::<0x88>(x, y),
            _mm512_shuffle_i32x4::<0xDD>(x, y),
        );
        columns[c] = _mm512_shuffle_i32x4::<0x88>(even_1, even_2);
        columns[8 + c] = _mm512_shuffle_i32x4::<0xDD>(even_1, even_2);
        columns[4 + c] = _mm512_shuffle_i32x4::<0x88>(odd_1, odd_2);
        columns[12 + c] = _mm512_shuffle_i32x4::<0xDD>(odd_1, odd_2);
    }
    columns
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(rows: [__m512i; LANES], tile: &mut Tile) {
    for (row, pairs) in tile.0.iter_mut().zip(rows) {
        #[allow(unsafe_code)]
        // SAFETY: a row has the 64 bytes that are written, and a tile the alignment of a vector.
        unsafe {
            _mm512_store_si512(row.as_mut_ptr().cast(), pairs);
        }
    }
}
