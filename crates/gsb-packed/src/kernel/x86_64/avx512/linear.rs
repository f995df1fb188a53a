//! Products of binary matrices: the bits that differ in three words are added up before they are
//! counted.
//!
//! Of three words `a`, `b` and `c` of differences, `popcount(a) + popcount(b) + popcount(c)` is
//! `popcount(sum) + 2 popcount(carry)`, where `sum` is their parity and `carry` their majority. That
//! leaves two counts of three. The parity of differences is the difference of parities: with that of
//! the weight in the place of its third word it is one operation, and `c` itself is not needed.

use core::arch::x86_64::*;

use super::registers::Avx512;
use crate::kernel::micro::linear::Count;
use crate::kernel::simd::{LANES, Line, Simd};

/// Words that are counted together.
const GROUP: usize = 3;

/// Rows of a tile by threes: with more of them, their counts leave the registers.
pub(super) const ROWS: usize = 4;

/// Rows of a tile word by word.
pub(super) const PLAIN_ROWS: usize = 6;

/// The parity of three bits, as a table of eight.
const PARITY: i32 = 0b1001_0110;

/// The majority of `a`, `b` and `c`, as a table of `a`, `b` and their parity.
const CARRY: i32 = 0b1101_0100;

/// Puts the parity of each three words of a panel in the place of the third.
pub(super) fn arrange_panel(words: &mut [[Line; 4]]) {
    for [a, b, c] in words.as_chunks_mut::<GROUP>().0 {
        for ((a, b), c) in a.iter().zip(b).zip(c) {
            for ((a, b), c) in a.0.iter().zip(b.0).zip(&mut c.0) {
                *c ^= a ^ b;
            }
        }
    }
}

/// A word of a channel of an arranged panel.
#[inline(always)]
pub(super) fn arranged(panel: &[[Line; 4]], word: usize, channel: usize) -> u32 {
    let stored = |word: usize| panel[word][channel / LANES].0[channel % LANES];
    // The last of a group of three was replaced by the parity of all.
    if word % GROUP == GROUP - 1 {
        stored(word) ^ stored(word - 1) ^ stored(word - 2)
    } else {
        stored(word)
    }
}

/// Words by threes.
pub(super) struct Threes;

impl Count<Avx512> for Threes {
    #[inline(always)]
    fn add_counts<const R: usize>(
        s: Avx512,
        tile: &[&[u32]; R],
        panel: &[[Line; 4]],
        counts: &mut [[__m512i; 4]; R],
    ) {
        add_counts(s, tile, panel, counts);
    }
}

/// Adds the counts of a tile with a panel.
#[inline(always)]
fn add_counts<const R: usize>(
    s: Avx512,
    tile: &[&[u32]; R],
    panel: &[[Line; 4]],
    counts: &mut [[__m512i; 4]; R],
) {
    let [one, two] = call!([_mm512_set1_epi8(1), _mm512_set1_epi8(2)]);
    let (groups, rest) = panel.as_chunks::<GROUP>();
    for (group, [a, b, parity]) in groups.iter().enumerate() {
        for i in 0..R {
            let word = |k: usize| s.splat_u(tile[i][GROUP * group + k]);
            let x = [word(0), word(1), word(2)];
            let x_parity = call!(_mm512_ternarylogic_epi32::<PARITY>(x[0], x[1], x[2]));
            for v in 0..4 {
                let a = s.xor(x[0], s.load_u(&a[v].0));
                let b = s.xor(x[1], s.load_u(&b[v].0));
                let sum = s.xor(x_parity, s.load_u(&parity[v].0));
                let carry = call!(_mm512_ternarylogic_epi32::<CARRY>(a, b, sum));
                // Counts of bytes, so that one product with their value adds them up.
                counts[i][v] = call!({
                    let count = _mm512_dpbusd_epi32(counts[i][v], _mm512_popcnt_epi8(sum), one);
                    _mm512_dpbusd_epi32(count, _mm512_popcnt_epi8(carry), two)
                });
            }
        }
    }
    for (k, lines) in rest.iter().enumerate() {
        for i in 0..R {
            let x = s.splat_u(tile[i][GROUP * groups.len() + k]);
            for v in 0..4 {
                let different = s.xor(x, s.load_u(&lines[v].0));
                counts[i][v] = s.count(counts[i][v], different);
            }
        }
    }
}
