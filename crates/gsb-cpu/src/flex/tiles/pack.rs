//! Factors of products, rounded to bfloat16 and laid out in tiles.

use std::arch::x86_64::*;
use std::ops::Range;

use super::super::product::Matrix;
use super::amx::{Amx, BLOCK, Panel, STEP, Tile};

/// Lanes of a vector; lines of a tile.
const LANES: usize = 16;

/// Of 16 bits without their sign: infinity. Everything below is a number.
const INFINITE: i16 = 0x7F80;

/// Elements that are looked at to guess whether all have the same magnitude.
const GUESSED_FROM: usize = 64;

/// A factor, seen as the lines that the sums run along: rows of a left one, columns of a right one.
#[derive(Clone, Copy)]
pub(super) struct Factor<'a> {
    lines: Matrix<'a>,
    /// Whether a row of a tile is a line, as in a left factor, or a pair of terms of each line.
    by_line: bool,
    /// Numbers of bfloat16 that an element is the sum of.
    parts: usize,
    /// That of all elements that are not 0, by which they are divided.
    magnitude: Option<f32>,
}

impl<'a> Factor<'a> {
    pub(super) fn left(a: Matrix<'a>, parts: usize) -> Self {
        Self {
            lines: a,
            by_line: true,
            parts,
            magnitude: None,
        }
    }

    pub(super) fn right(b: Matrix<'a>, parts: usize) -> Self {
        Self {
            by_line: false,
            ..Self::left(b.transposed(), parts)
        }
    }

    /// The same as signs and a magnitude, if that is what the elements from the first one on look like that is not 0.
    /// Packing finds out whether it is.
    ///
    /// A binarized factor is: one exact number of bfloat16 for each element.
    pub(super) fn as_signs(self) -> Self {
        let ([lines, terms], (values, steps)) = (self.lines.shape(), self.lines.memory());
        let (runs, run, step) = match self.runs_along_lines() {
            true => (lines, terms, steps[0]),
            false => (terms, lines, steps[1]),
        };
        let mut runs = (0..runs).map(|index| &values[index * step..][..run]);
        let first = runs.find_map(|run| Some(&run[run.iter().position(|x| *x != 0.0)?..]));
        let magnitude = match first {
            // Zeros have any magnitude.
            None => Some(1.0),
            Some(first) => {
                let magnitude = first[0].abs();
                let mut first = first.iter().take(GUESSED_FROM);
                // Sums of signs times numbers are multiplied by it, so neither should leave the range of a float alone.
                let fits = (2.0_f32.powi(-32)..=2.0_f32.powi(32)).contains(&magnitude)
                    && first.all(|x| x.abs() == magnitude || *x == 0.0);
                fits.then_some(magnitude)
            }
        };
        match magnitude {
            None => self,
            Some(_) => Self {
                parts: 1,
                magnitude,
                ..self
            },
        }
    }

    /// What products are to be multiplied by.
    pub(super) fn magnitude(&self) -> Option<f32> {
        self.magnitude
    }

    /// Rows of a left factor, columns of a right one.
    pub(super) fn lines(&self) -> usize {
        self.lines.shape()[0]
    }

    /// Number of steps of [`STEP`] terms.
    pub(super) fn steps(&self) -> usize {
        self.lines.shape()[1].div_ceil(STEP)
    }

    /// The same with the terms of some steps.
    pub(super) fn some_steps(self, steps: Range<usize>) -> Self {
        let end = (steps.end * STEP).min(self.lines.shape()[1]);
        Self {
            lines: self.lines.some_columns(steps.start * STEP..end),
            ..self
        }
    }

    /// Number of panels of [`BLOCK`] lines.
    pub(super) fn panels(&self) -> usize {
        self.lines.shape()[0].div_ceil(BLOCK)
    }

    /// Tiles of a panel for a step.
    pub(super) fn tiles_of_step(&self) -> usize {
        2 * self.parts
    }

    /// Tiles of a panel.
    pub(super) fn tiles_of_panel(&self) -> usize {
        self.steps() * self.tiles_of_step()
    }

    /// Panels, given their tiles.
    pub(super) fn panels_of<'t>(&self, tiles: &'t [Tile]) -> impl Iterator<Item = Panel<'t>> {
        let parts = self.parts;
        tiles
            .chunks_exact(self.tiles_of_panel())
            .map(move |tiles| Panel::new(tiles, parts))
    }

    /// Writes the tiles of a panel, zeros beyond the matrix; whether all of its numbers are finite as bfloat16 and, of signs,
    /// have the magnitude.
    ///
    /// For every [`STEP`] terms there are two tiles, of the first and second half of the lines, and then two more for each
    /// further part, of what rounding has left.
    pub(super) fn pack(&self, _: Amx, panel: usize, tiles: &mut [Tile]) -> bool {
        #[allow(unsafe_code)]
        // SAFETY: `Amx` is evidence that the processor has the instructions.
        unsafe {
            match (self.magnitude, self.parts) {
                (Some(magnitude), _) => self.pack_panel(panel, tiles, Signs::new(magnitude)),
                (None, 1) => self.pack_panel(panel, tiles, Parts::<1>::new()),
                (None, 2) => self.pack_panel(panel, tiles, Parts::<2>::new()),
                (None, 3) => self.pack_panel(panel, tiles, Parts::<3>::new()),
                (None, parts) => unreachable!("{parts} parts"),
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn pack_panel<const PARTS: usize, R: Rounding<PARTS>>(
        &self,
        panel: usize,
        tiles: &mut [Tile],
        mut rounding: R,
    ) -> bool {
        for (step, tiles) in tiles.chunks_exact_mut(2 * PARTS).enumerate() {
            for half in 0..2 {
                let first = panel * BLOCK + half * LANES;
                let parts = self.pairs(first, step * STEP, &mut rounding);
                for (part, mut pairs) in parts.into_iter().enumerate() {
                    if self.by_line != self.runs_along_lines() {
                        pairs = transposed(pairs);
                    }
                    store(pairs, &mut tiles[2 * part + half]);
                }
            }
        }
        #[allow(unsafe_code)]
        // SAFETY: this function has the features.
        unsafe {
            rounding.fits()
        }
    }

    /// Whether the terms of a line are next to each other in memory, not those of different lines.
    fn runs_along_lines(&self) -> bool {
        self.lines.memory().1[1] == 1
    }

    /// 16 pairs of terms of 16 lines from a place on: a vector for each line if that is how they lie, else a vector for each
    /// pair. An array for each part.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn pairs<const PARTS: usize, R: Rounding<PARTS>>(
        &self,
        line: usize,
        term: usize,
        rounding: &mut R,
    ) -> [[__m512i; LANES]; PARTS] {
        let ([lines, terms], (values, steps)) = (self.lines.shape(), self.lines.memory());
        let mut pairs = [[_mm512_setzero_si512(); LANES]; PARTS];
        let mut round = |low, high| {
            #[allow(unsafe_code)]
            // SAFETY: this function has the features.
            unsafe {
                rounding.round(low, high)
            }
        };
        if self.runs_along_lines() {
            let count = (terms - term).min(STEP);
            for place in 0..lines.saturating_sub(line).min(LANES) {
                let values = &values[(line + place) * steps[0] + term..][..count];
                let (low, high) = values.split_at(count.min(LANES));
                fetch(values, 2 * STEP);
                fetch(values, 2 * STEP + LANES);
                for (pairs, part) in pairs.iter_mut().zip(round(load(low), load(high))) {
                    pairs[place] = part;
                }
            }
        } else {
            assert_eq!(steps[0], 1, "a matrix or a transposed one");
            let count = lines.saturating_sub(line).min(LANES);
            if count == 0 {
                return pairs;
            }
            for place in 0..(terms - term).div_ceil(2).min(LANES) {
                let term = term + 2 * place;
                let [even, odd] = [0, 1].map(|next| (term + next) * steps[1] + line);
                fetch(&values[even..], STEP * steps[1]);
                fetch(&values[even..], (STEP + 1) * steps[1]);
                let even = load(&values[even..][..count]);
                let odd = match term + 1 < terms {
                    true => load(&values[odd..][..count]),
                    false => _mm512_setzero_ps(),
                };
                for (pairs, part) in pairs.iter_mut().zip(round(even, odd)) {
                    pairs[place] = alternating(part);
                }
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

/// What becomes of floats.
trait Rounding<const PARTS: usize> {
    /// Numbers of bfloat16 for the numbers of both, those of `low` first: a vector for each part.
    ///
    /// # Safety
    /// The processor has AVX-512, also for bfloat16.
    #[allow(unsafe_code)]
    unsafe fn round(&mut self, low: __m512, high: __m512) -> [__m512i; PARTS];

    /// Whether all so far could be rounded.
    ///
    /// # Safety
    /// As [`round`](Self::round).
    #[allow(unsafe_code)]
    unsafe fn fits(self) -> bool;
}

/// The nearest numbers, then the nearest ones to what that has left, and so on.
struct Parts<const PARTS: usize> {
    /// The largest of the first parts, without their signs.
    largest: __m512i,
}

impl<const PARTS: usize> Parts<PARTS> {
    #[target_feature(enable = "avx512f")]
    fn new() -> Self {
        Self {
            largest: _mm512_setzero_si512(),
        }
    }
}

impl<const PARTS: usize> Rounding<PARTS> for Parts<PARTS> {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    #[allow(unsafe_code)]
    unsafe fn round(&mut self, mut low: __m512, mut high: __m512) -> [__m512i; PARTS] {
        let mut parts = [_mm512_setzero_si512(); PARTS];
        for (index, part) in parts.iter_mut().enumerate() {
            *part = nearest(low, high);
            if index + 1 < PARTS {
                // Exact: both numbers have the same exponent, or nearly, and the difference fits in what the larger one
                // lacks.
                [low, high] =
                    [low, high].map(|x| _mm512_sub_ps(x, _mm512_cvtpbh_ps(_mm512_cvtneps_pbh(x))));
            }
        }
        let unsigned = _mm512_and_si512(parts[0], _mm512_set1_epi16(i16::MAX));
        self.largest = _mm512_max_epu16(self.largest, unsigned);
        parts
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    #[allow(unsafe_code)]
    unsafe fn fits(self) -> bool {
        _mm512_cmpge_epu16_mask(self.largest, _mm512_set1_epi16(INFINITE)) == 0
    }
}

/// -1, 0 or 1 for numbers of one magnitude.
struct Signs {
    magnitude: __m512,
    /// Lanes that have had another one.
    others: __mmask16,
}

impl Signs {
    #[target_feature(enable = "avx512f")]
    fn new(magnitude: f32) -> Self {
        Self {
            magnitude: _mm512_set1_ps(magnitude),
            others: 0,
        }
    }
}

impl Rounding<1> for Signs {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bf16")]
    #[allow(unsafe_code)]
    unsafe fn round(&mut self, low: __m512, high: __m512) -> [__m512i; 1] {
        let [low, high] = [low, high].map(|x| {
            let is_there = _mm512_cmpneq_ps_mask(x, _mm512_setzero_ps());
            let is_other = _mm512_cmpneq_ps_mask(_mm512_abs_ps(x), self.magnitude);
            self.others |= is_there & is_other;
            let sign = _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(i32::MIN));
            let one = _mm512_castps_si512(_mm512_set1_ps(1.0));
            _mm512_castsi512_ps(_mm512_maskz_or_epi32(is_there, sign, one))
        });
        [nearest(low, high)]
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    #[allow(unsafe_code)]
    unsafe fn fits(self) -> bool {
        self.others == 0
    }
}

/// The nearest numbers of bfloat16, those of `low` first.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn nearest(low: __m512, high: __m512) -> __m512i {
    bits(_mm512_cvtne2ps_pbh(high, low))
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
