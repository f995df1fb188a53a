//! Ones that keys of queries and channels of the value have in common: halves of bytes of two channels
//! choose a table, those of 32 queries look up how many of their bits are ones as well.

use core::arch::x86_64::*;

use super::registers::TwoRegisters;
use crate::kernel::micro::common::{Halves, ValuePlane};
use crate::kernel::simd::{LANES, Line};

/// For half a byte of each of two channels, how many ones it has in common with each half a byte: in the
/// lower half of a byte those of the first channel, which is the lower half of the index.
static COMMON: [[u8; 16]; 256] = {
    let mut table = [[0; 16]; 256];
    let mut channels = 0;
    while channels < 256 {
        let mut keys = 0;
        while keys < 16 {
            let (first, second) = (channels & 15 & keys, channels >> 4 & keys);
            table[channels][keys] = (first.count_ones() | second.count_ones() << 4) as u8;
            keys += 1;
        }
        channels += 1;
    }
    table
};

/// Words whose common ones fit a byte.
const BYTE_WORDS: usize = 7;

/// Pairs of channels that are counted at once.
const PAIRS: usize = 4;

/// Halves of bytes of a word of 32 queries: the lower ones of its 4 bytes, then the upper ones.
type Queries = [__m256i; 8];

impl TwoRegisters {
    /// Of each two channels, where the halves of bytes of their words are in [`COMMON`]: in the first's
    /// lane the lower halves, in the second's the upper ones.
    #[inline(always)]
    pub(super) fn pair(self, x: __m256i) -> __m256i {
        call!({
            let low = _mm256_set1_epi8(15);
            let lower = _mm256_and_si256(x, low);
            let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(x), low);
            // The second channel's is half a byte higher.
            let lower = _mm256_or_si256(lower, _mm256_srli_epi64::<28>(lower));
            let upper = _mm256_or_si256(
                _mm256_slli_epi64::<32>(upper),
                _mm256_slli_epi64::<4>(upper),
            );
            _mm256_blend_epi32::<0b10_10_10_10>(lower, upper)
        })
    }

    /// Counts common ones of two blocks of queries with some planes.
    #[inline(always)]
    pub(super) fn count_common(
        self,
        keys: [&[Line]; 2],
        planes: &[ValuePlane<'_>],
        channels: usize,
        out: &mut [Halves],
    ) {
        let mut queries = [[call!(_mm256_setzero_si256()); 8]; BYTE_WORDS];
        // Both blocks have as many words.
        let words = keys[0].chunks(BYTE_WORDS).zip(keys[1].chunks(BYTE_WORDS));
        for (part, (first, second)) in words.enumerate() {
            let queries = &mut queries[..first.len()];
            for (queries, keys) in queries.iter_mut().zip(first.iter().zip(second)) {
                *queries = self.halves(keys.0, keys.1);
            }
            for (plane, out) in planes.iter().zip(out.chunks_exact_mut(channels)) {
                let lines = &plane.lines[part * BYTE_WORDS * plane.stride..];
                for (at, out) in out.chunks_exact_mut(2 * PAIRS).enumerate() {
                    let (vector, lane) = (at * 2 * PAIRS / LANES, at * 2 * PAIRS % LANES);
                    let lines = lines[vector..].iter().step_by(plane.stride);
                    let words = lines.map(|line| {
                        let lanes = &line.0[lane..][..2 * PAIRS];
                        // SAFETY: as many bytes, and any are bytes.
                        unsafe { &*lanes.as_ptr().cast() }
                    });
                    self.count_pairs(queries, words, part == 0, out);
                }
            }
        }
    }

    /// Counts those of some channels.
    #[inline(always)]
    fn count_pairs<'a>(
        self,
        queries: &[Queries],
        words: impl Iterator<Item = &'a [u8; 8 * PAIRS]>,
        first: bool,
        out: &mut [Halves],
    ) {
        let zero = call!(_mm256_setzero_si256());
        let low = call!(_mm256_set1_epi8(15));
        // Both channels' counts modulo 256, the second's times 16, and the second's.
        let mut both = [zero; PAIRS];
        let mut second = [zero; PAIRS];
        for (queries, words) in queries.iter().zip(words) {
            // Three counts of at most 4 fit half a byte.
            for places in [0..3, 3..6, 6..8] {
                for pair in 0..PAIRS {
                    let mut sum = zero;
                    for place in places.clone() {
                        let table = &COMMON[usize::from(words[8 * pair + place])];
                        sum = call!({
                            let table = _mm_loadu_si128(table.as_ptr().cast());
                            let table = _mm256_broadcastsi128_si256(table);
                            _mm256_add_epi8(sum, _mm256_shuffle_epi8(table, queries[place]))
                        });
                    }
                    both[pair] = call!(_mm256_add_epi8(both[pair], sum));
                    second[pair] = call!(_mm256_add_epi8(
                        second[pair],
                        _mm256_and_si256(_mm256_srli_epi16::<4>(sum), low),
                    ));
                }
            }
        }
        for pair in 0..PAIRS {
            let even = call!(_mm256_sub_epi8(
                both[pair],
                _mm256_andnot_si256(low, _mm256_slli_epi16::<4>(second[pair])),
            ));
            for (out, bytes) in out[2 * pair..].iter_mut().zip([even, second[pair]]) {
                let halves = call!([
                    _mm256_castsi256_si128(bytes),
                    _mm256_extracti128_si256::<1>(bytes)
                ]);
                for (out, bytes) in out.0.iter_mut().zip(halves) {
                    let at = out.as_mut_ptr().cast();
                    call!({
                        let mut counts = _mm256_cvtepu8_epi16(bytes);
                        if !first {
                            counts = _mm256_add_epi16(counts, _mm256_loadu_si256(at));
                        }
                        _mm256_storeu_si256(at, counts);
                    });
                }
            }
        }
    }

    /// Halves of bytes of a word of two blocks of queries, a byte each.
    #[inline(always)]
    fn halves(self, first: &Line, second: &Line) -> Queries {
        call!({
            let order = _mm256_broadcastsi128_si256(_mm_set_epi8(
                15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0,
            ));
            // Of four queries of each block the first bytes, then the second ones and so on.
            let quarter = |i: usize| {
                let [first, second] = [first, second].map(|line| {
                    let lanes = &line.0[4 * i..][..4];
                    _mm_loadu_si128(lanes.as_ptr().cast())
                });
                _mm256_shuffle_epi8(_mm256_set_m128i(second, first), order)
            };
            let quarters = [quarter(0), quarter(1), quarter(2), quarter(3)];
            let pair =
                |a: __m256i, b: __m256i| [_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b)];
            let left = pair(quarters[0], quarters[1]);
            let right = pair(quarters[2], quarters[3]);
            let bytes = [
                _mm256_unpacklo_epi64(left[0], right[0]),
                _mm256_unpackhi_epi64(left[0], right[0]),
                _mm256_unpacklo_epi64(left[1], right[1]),
                _mm256_unpackhi_epi64(left[1], right[1]),
            ];
            let low = _mm256_set1_epi8(15);
            std::array::from_fn(|place| match place / 4 {
                0 => _mm256_and_si256(bytes[place], low),
                _ => _mm256_and_si256(_mm256_srli_epi16::<4>(bytes[place % 4]), low),
            })
        })
    }
}
