//! Bits as bytes, in the order that tiles are loaded in.
//!
//! A tile of the weight holds four consecutive bytes of each of 16 channels in a register, 16 times. The order of the bits
//! within a word is free as long as rows and weight agree, so those four are a bit of each byte of a word: an affine map
//! over bits (GFNI) spreads it over all of its byte, one instruction for 64 of them.

use std::cell::Cell;
use std::ops::Range;

use core::arch::x86_64::*;

use super::registers::Tiles;
use super::{ACROSS, BLOCK, LINES, ROWS, WORDS};
use crate::kernel::micro::linear::Inputs;
use crate::kernel::simd::{Line, Simd};
use crate::kernel::x86_64::avx512::registers::Avx512;

/// The bit of a word, or of the next, that each byte of a row is. `[half, bit of a byte, byte of a word]`.
const ORDER: [u8; 64] = {
    let mut order = [0; 64];
    let mut at = 0;
    while at < 64 {
        let (half, bit, byte) = (at / 32, at % 32 / 4, at % 4);
        order[at] = (32 * half + 8 * byte + bit) as u8;
        at += 1;
    }
    order
};

/// Memory for products of a thread, which keeps it.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    /// Lines of a tile of rows, 16 for each two words.
    of_tile: usize,
    /// `[tiles of rows, pairs of words, 16]`.
    rows: Vec<Line>,
    /// Ones of each row.
    ones: Vec<u32>,
    /// `[pairs of words, ACROSS, 16]`.
    panel: Vec<Line>,
    /// Counts of two tiles of rows less their ones, `[2 * ROWS]`.
    counts: Vec<[Line; ACROSS]>,
}

thread_local! {
    static KEPT: Cell<Workspace> = const { Cell::new(Workspace {
        of_tile: 0,
        rows: Vec::new(),
        ones: Vec::new(),
        panel: Vec::new(),
        counts: Vec::new(),
    }) };
}

impl Workspace {
    /// That of this thread.
    pub(super) fn take() -> Self {
        KEPT.take()
    }

    /// Keeps it for the next time.
    pub(super) fn give_back(self) {
        KEPT.set(self);
    }

    /// Makes bytes of some rows, at most [`BLOCK`].
    #[inline(always)]
    pub(super) fn set_rows(
        &mut self,
        _s: Avx512,
        inputs: Inputs<'_>,
        first: usize,
        rows: usize,
        words: usize,
    ) {
        let of_tile = words.div_ceil(WORDS) * LINES;
        self.of_tile = of_tile;
        grow(&mut self.rows, rows.div_ceil(ROWS) * of_tile);
        grow(&mut self.panel, ACROSS * of_tile);
        grow(&mut self.ones, BLOCK);
        grow(&mut self.counts, 2 * ROWS);
        let order = call!(_mm512_loadu_si512(ORDER.as_ptr().cast()));
        for (row, ones) in self.ones[..rows].iter_mut().enumerate() {
            let [bits] = inputs.tile::<1>(first + row, 0, words);
            let out = &mut self.rows[row / ROWS * of_tile..][..of_tile];
            *ones = 0;
            for (pair, tile) in bits.chunks(WORDS).zip(out.as_chunks_mut::<LINES>().0) {
                let (low, high) = (pair[0], pair.get(1).copied().unwrap_or(0));
                let both = u64::from(high) << 32 | u64::from(low);
                *ones += both.count_ones();
                let line = &mut tile[row % ROWS];
                call!({
                    let mask = _mm512_bitshuffle_epi64_mask(_mm512_set1_epi64(both as i64), order);
                    let signs = [_mm512_set1_epi8(-1), _mm512_set1_epi8(1)];
                    let bytes = _mm512_mask_blend_epi8(mask, signs[0], signs[1]);
                    _mm512_store_si512(line.0.as_mut_ptr().cast(), bytes);
                });
            }
        }
    }

    /// Makes bytes of a panel of the weight.
    #[inline(always)]
    pub(super) fn set_panel(&mut self, s: Avx512, panel: &[[Line; ACROSS]]) {
        let tiles = self.panel.as_chunks_mut::<LINES>().0;
        for (pair, out) in panel.chunks(WORDS).zip(tiles.as_chunks_mut::<ACROSS>().0) {
            for v in 0..ACROSS {
                let (low, high) = out[v].split_at_mut(LINES / WORDS);
                spread(s, &pair[0][v], low);
                match pair.get(1) {
                    Some(word) => spread(s, &word[v], high),
                    None => high.fill(Line::default()),
                }
            }
        }
    }

    /// Multiplies a tile of those rows, or two, with the panel. Gives the ones of each row, and its counts less them.
    #[inline(always)]
    pub(super) fn multiply(
        &mut self,
        tiles: &Tiles,
        rows: Range<usize>,
    ) -> impl Iterator<Item = (u32, &[Line; ACROSS])> {
        let of_tile = self.of_tile;
        let first = &self.rows[rows.start / ROWS * of_tile..];
        let panel = &self.panel[..ACROSS * of_tile];
        let counts = self.counts.as_flattened_mut();
        if rows.len() > ROWS {
            let (above, below) = first[..2 * of_tile].split_at(of_tile);
            tiles.multiply_two([above, below], panel, counts);
        } else {
            tiles.multiply_one(&first[..of_tile], panel, counts);
        }
        self.ones[rows].iter().copied().zip(&self.counts)
    }
}

/// A word of 16 channels: a line for each bit of a byte.
#[inline(always)]
fn spread(s: Avx512, word: &Line, out: &mut [Line]) {
    let word = s.load_u(&word.0);
    for (bit, out) in out.iter_mut().enumerate() {
        // All rows of the matrix, each a byte, pick that bit.
        call!({
            let matrix = _mm512_set1_epi8((1u8 << bit) as i8);
            let bytes = _mm512_gf2p8affine_epi64_epi8::<0>(word, matrix);
            _mm512_store_si512(out.0.as_mut_ptr().cast(), bytes);
        });
    }
}

/// At least some elements.
fn grow<T: Clone + Default>(memory: &mut Vec<T>, len: usize) {
    if memory.len() < len {
        memory.resize(len, T::default());
    }
}
