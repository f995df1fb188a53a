//! Products of binary matrices: halves of bytes of two rows choose a table, those of a weight look up
//! how many of its bits differ.

use core::arch::x86_64::*;

use super::registers::TwoRegisters;
use crate::kernel::micro::linear::{Epilogue, Inputs, Weights};
use crate::kernel::simd::{Line, Simd};

/// For half a byte of each of two rows, how many bits differ from each half a byte of a weight: in the
/// lower half of a byte those of the first row, which is the lower half of the index.
static DIFFERENT: [[u8; 16]; 256] = {
    let mut table = [[0; 16]; 256];
    let mut rows = 0;
    while rows < 256 {
        let mut weight = 0;
        while weight < 16 {
            let (first, second) = (rows & 15 ^ weight, rows >> 4 ^ weight);
            table[rows][weight] = (first.count_ones() | second.count_ones() << 4) as u8;
            weight += 1;
        }
        rows += 1;
    }
    table
};

/// Words whose counts of different bits fit a byte of each channel: 8 bits of each of 4 bytes.
const BYTE_WORDS: usize = 7;

/// Words of a row whose indices of [`DIFFERENT`] are kept.
const INDEX_WORDS: usize = 9 * BYTE_WORDS;

/// Pairs of rows of a tile of the binary product.
const PAIRS: usize = 3;

/// Rows of a tile.
pub(super) const ROWS: usize = 2 * PAIRS;

/// For each pair of rows and each word, where the halves of bytes are in [`DIFFERENT`].
type Indices = [[[u8; 8]; INDEX_WORDS]; PAIRS];

/// The halves of bytes as bytes.
fn spread_halves(x: u32) -> u64 {
    let x = u64::from(x);
    let x = (x | x << 16) & 0x0000_ffff_0000_ffff;
    let x = (x | x << 8) & 0x00ff_00ff_00ff_00ff;
    (x | x << 4) & 0x0f0f_0f0f_0f0f_0f0f
}

/// Byte `b` of the word of each channel in line `b`. Of 32 channels, the first 16 take the even
/// places and the others the odd ones: so the halves of 16-bit lanes are channels in order.
pub(super) fn arrange(words: &[u32; 64]) -> [Line; 4] {
    let mut lines = [Line::default(); 4];
    for (channel, word) in words.iter().enumerate() {
        let place = place(channel);
        for (line, byte) in lines.iter_mut().zip(word.to_le_bytes()) {
            line.0[place / 4] |= u32::from(byte) << (place % 4 * 8);
        }
    }
    lines
}

/// A word of a channel, as it was before it was arranged.
#[inline(always)]
pub(super) fn arranged(lines: &[Line; 4], channel: usize) -> u32 {
    let place = place(channel);
    let byte = |line: &Line| (line.0[place / 4] >> (place % 4 * 8)) as u8;
    u32::from_le_bytes(lines.each_ref().map(byte))
}

/// Where the bytes of a channel are.
#[inline(always)]
fn place(channel: usize) -> usize {
    let (half, at) = (channel / 32, channel % 32);
    half * 32 + at % 16 * 2 + at / 16
}

impl TwoRegisters {
    /// Multiplies rows of bits by a binary weight.
    #[inline(always)]
    pub(super) fn multiply<E: Epilogue>(
        self,
        inputs: Inputs<'_>,
        weights: Weights<'_>,
        epilogue: &mut E,
    ) {
        let mut indices = [[[0; 8]; INDEX_WORDS]; PAIRS];
        for (first, rows) in inputs.tiles::<ROWS>() {
            for (index, panel) in weights.panels.chunks_exact(weights.words).enumerate() {
                let mut counts = [[[call!(_mm256_setzero_si256()); 4]; 2]; PAIRS];
                for (part, panel) in panel.chunks(INDEX_WORDS).enumerate() {
                    if index == 0 || weights.words > INDEX_WORDS {
                        let words = inputs.tile(first, part * INDEX_WORDS, panel.len());
                        self.index(words, &mut indices);
                    }
                    self.add_counts(&indices, panel, &mut counts);
                }
                for (i, counts) in counts.as_flattened().iter().enumerate().take(rows) {
                    epilogue.put(self, first + i, index, self.spread(counts));
                }
            }
        }
    }

    /// The indices of a tile.
    #[inline(always)]
    fn index(self, words: [&[u32]; ROWS], indices: &mut Indices) {
        for (rows, indices) in words.chunks_exact(2).zip(indices) {
            let words = rows[0].iter().zip(rows[1]);
            for ((&first, &second), index) in words.zip(indices) {
                *index = (spread_halves(first) | spread_halves(second) << 4).to_le_bytes();
            }
        }
    }

    /// Adds the counts of a tile with 64 channels: of each row 16-bit lanes, four registers of 16
    /// channels in order.
    #[inline(always)]
    fn add_counts(
        self,
        indices: &Indices,
        panel: &[[Line; 4]],
        counts: &mut [[[__m256i; 4]; 2]; PAIRS],
    ) {
        let zero = call!(_mm256_setzero_si256());
        let low = call!(_mm256_set1_epi8(15));
        for (part, panel) in panel.chunks(BYTE_WORDS).enumerate() {
            for half in 0..2 {
                // Both rows' counts modulo 256, the second's times 16, and the second's.
                let mut both = [zero; PAIRS];
                let mut second = [zero; PAIRS];
                for (k, lines) in panel.iter().enumerate() {
                    // Three counts of at most 4 fit half a byte.
                    for places in [0..3, 3..6, 6..8] {
                        let mut sums = [zero; PAIRS];
                        for place in places {
                            let bytes = &lines[place / 2].0[half * 8..][..8];
                            let bytes = call!(_mm256_loadu_si256(bytes.as_ptr().cast()));
                            let weights = call!(match place % 2 {
                                0 => _mm256_and_si256(bytes, low),
                                _ => _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), low),
                            });
                            for pair in 0..PAIRS {
                                let index = indices[pair][part * BYTE_WORDS + k][place];
                                let ones = self.different(index, weights);
                                sums[pair] = call!(_mm256_add_epi8(sums[pair], ones));
                            }
                        }
                        for pair in 0..PAIRS {
                            let sum = sums[pair];
                            both[pair] = call!(_mm256_add_epi8(both[pair], sum));
                            second[pair] = call!(_mm256_add_epi8(
                                second[pair],
                                _mm256_and_si256(_mm256_srli_epi16::<4>(sum), low),
                            ));
                        }
                    }
                }
                for pair in 0..PAIRS {
                    let first = call!(_mm256_sub_epi8(
                        both[pair],
                        _mm256_andnot_si256(low, _mm256_slli_epi16::<4>(second[pair])),
                    ));
                    for (row, bytes) in [first, second[pair]].into_iter().enumerate() {
                        let [even, odd] = call!([
                            _mm256_and_si256(bytes, _mm256_set1_epi16(0xff)),
                            _mm256_srli_epi16::<8>(bytes),
                        ]);
                        let counts = &mut counts[pair][row];
                        counts[2 * half] = call!(_mm256_add_epi16(counts[2 * half], even));
                        counts[2 * half + 1] = call!(_mm256_add_epi16(counts[2 * half + 1], odd));
                    }
                }
            }
        }
    }

    /// How many bits of two rows differ from halves of bytes of weights.
    #[inline(always)]
    fn different(self, index: u8, weights: __m256i) -> __m256i {
        let table = &DIFFERENT[usize::from(index)];
        call!({
            let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
            _mm256_shuffle_epi8(table, weights)
        })
    }

    /// 16-bit counts as vectors.
    #[inline(always)]
    fn spread(self, counts: &[__m256i; 4]) -> [[__m256i; 2]; 4] {
        let mut out = [self.splat_u(0); 4];
        for v in 0..4 {
            out[v] = call!([
                _mm256_cvtepu16_epi32(_mm256_castsi256_si128(counts[v])),
                _mm256_cvtepu16_epi32(_mm256_extracti128_si256::<1>(counts[v])),
            ]);
        }
        out
    }
}
