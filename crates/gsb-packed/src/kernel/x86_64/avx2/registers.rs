//! One register of AVX2.

use core::arch::x86_64::*;

use crate::kernel::registers::{Registers, Vectors, operations};
use crate::kernel::simd::LANES;

/// Proof that the machine has the instructions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// The proof, if the machine has them.
    pub(crate) fn new() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    operations! {
        /// The number of ones in each byte.
        byte_ones(self, x: __m256i) -> __m256i {
            let table = _mm256_loadu_si256(ONES.as_ptr().cast());
            let low = _mm256_set1_epi8(15);
            let ones = _mm256_shuffle_epi8(table, _mm256_and_si256(x, low));
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(x), low);
            _mm256_add_epi8(ones, _mm256_shuffle_epi8(table, high))
        }
        /// Masks of 64-bit lanes as masks of 32-bit lanes.
        narrow(self, a: __m256d, b: __m256d) -> __m256i {
            let (a, b) = (_mm256_castpd_ps(a), _mm256_castpd_ps(b));
            let halves = _mm256_castps_pd(_mm256_shuffle_ps::<0b10_00_10_00>(a, b));
            _mm256_castpd_si256(_mm256_permute4x64_pd::<0b11_01_10_00>(halves))
        }
    }
}

/// Vectors of two registers.
pub(super) type TwoRegisters = Vectors<Avx2, 2, 8, 4>;

/// The numbers of ones of half a byte, twice.
const ONES: [u8; 32] = [
    0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
];

impl Registers<8, 4> for Avx2 {
    type U = __m256i;
    type F = __m256;
    type D = __m256d;
    type Table = [__m256; 2];

    operations! {
        splat_u(self, x: u32) -> Self::U { _mm256_set1_epi32(x as i32) }
        load_u(self, x: &[u32; 8]) -> Self::U { _mm256_loadu_si256(x.as_ptr().cast()) }
        store_u(self, x: Self::U, out: &mut [u32; 8]) { _mm256_storeu_si256(out.as_mut_ptr().cast(), x) }
        xor(self, a: Self::U, b: Self::U) -> Self::U { _mm256_xor_si256(a, b) }
        and(self, a: Self::U, b: Self::U) -> Self::U { _mm256_and_si256(a, b) }
        or(self, a: Self::U, b: Self::U) -> Self::U { _mm256_or_si256(a, b) }
        add_u(self, a: Self::U, b: Self::U) -> Self::U { _mm256_add_epi32(a, b) }
        sub_u(self, a: Self::U, b: Self::U) -> Self::U { _mm256_sub_epi32(a, b) }
        min_u(self, a: Self::U, b: Self::U) -> Self::U { _mm256_min_epu32(a, b) }
        shift_right_4(self, a: Self::U) -> Self::U { _mm256_srli_epi32::<4>(a) }
        count(self, counts: Self::U, x: Self::U) -> Self::U { _mm256_add_epi8(counts, self.byte_ones(x)) }
        widen(self, counts: Self::U) -> Self::U {
            let pairs = _mm256_maddubs_epi16(counts, _mm256_set1_epi8(1));
            _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))
        }
        gt_u(self, a: Self::U, b: Self::U) -> Self::U {
            // Unsigned numbers compare as signed ones whose highest bit is flipped.
            let flip = self.splat_u(1 << 31);
            _mm256_cmpgt_epi32(self.xor(a, flip), self.xor(b, flip))
        }
        test(self, a: Self::U, b: Self::U) -> Self::U { self.gt_u(self.and(a, b), self.splat_u(0)) }
        mask_bits(self, mask: Self::U) -> u16 { _mm256_movemask_ps(_mm256_castsi256_ps(mask)) as u16 }

        splat_f(self, x: f32) -> Self::F { _mm256_set1_ps(x) }
        load_f(self, x: &[f32; 8]) -> Self::F { _mm256_loadu_ps(x.as_ptr()) }
        store_f(self, x: Self::F, out: &mut [f32; 8]) { _mm256_storeu_ps(out.as_mut_ptr(), x) }
        add(self, a: Self::F, b: Self::F) -> Self::F { _mm256_add_ps(a, b) }
        sub(self, a: Self::F, b: Self::F) -> Self::F { _mm256_sub_ps(a, b) }
        mul(self, a: Self::F, b: Self::F) -> Self::F { _mm256_mul_ps(a, b) }
        div(self, a: Self::F, b: Self::F) -> Self::F { _mm256_div_ps(a, b) }
        max(self, a: Self::F, b: Self::F) -> Self::F { _mm256_max_ps(a, b) }
        min(self, a: Self::F, b: Self::F) -> Self::F { _mm256_min_ps(a, b) }
        gt(self, a: Self::F, b: Self::F) -> Self::U {
            _mm256_castps_si256(_mm256_cmp_ps::<_CMP_GT_OQ>(a, b))
        }
        eq(self, a: Self::F, b: Self::F) -> Self::U {
            _mm256_castps_si256(_mm256_cmp_ps::<_CMP_EQ_OQ>(a, b))
        }
        to_f(self, a: Self::U) -> Self::F { _mm256_cvtepi32_ps(a) }
        table(self, x: &[f32; LANES]) -> Self::Table {
            [_mm256_loadu_ps(x.as_ptr()), _mm256_loadu_ps(x[8..].as_ptr())]
        }
        lookup(self, table: Self::Table, index: Self::U) -> Self::F {
            let low = _mm256_permutevar8x32_ps(table[0], index);
            let high = _mm256_permutevar8x32_ps(table[1], index);
            // The bit worth 8 decides.
            let choose = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(index));
            _mm256_blendv_ps(low, high, choose)
        }

        splat_d(self, x: f64) -> Self::D { _mm256_set1_pd(x) }
        load_d(self, x: &[f64; 4]) -> Self::D { _mm256_loadu_pd(x.as_ptr()) }
        store_d(self, x: Self::D, out: &mut [f64; 4]) { _mm256_storeu_pd(out.as_mut_ptr(), x) }
        add_d(self, a: Self::D, b: Self::D) -> Self::D { _mm256_add_pd(a, b) }
        mul_d(self, a: Self::D, b: Self::D) -> Self::D { _mm256_mul_pd(a, b) }
        gt_d(self, a: [Self::D; 2], b: [Self::D; 2]) -> Self::U {
            self.narrow(
                _mm256_cmp_pd::<_CMP_GT_OQ>(a[0], b[0]),
                _mm256_cmp_pd::<_CMP_GT_OQ>(a[1], b[1]),
            )
        }
        eq_d(self, a: [Self::D; 2], b: [Self::D; 2]) -> Self::U {
            self.narrow(
                _mm256_cmp_pd::<_CMP_EQ_OQ>(a[0], b[0]),
                _mm256_cmp_pd::<_CMP_EQ_OQ>(a[1], b[1]),
            )
        }
        select_d(self, mask: Self::U, x: [Self::D; 2]) -> [Self::D; 2] {
            let low = _mm256_cvtepi32_epi64(_mm256_castsi256_si128(mask));
            let high = _mm256_cvtepi32_epi64(_mm256_extracti128_si256::<1>(mask));
            [
                _mm256_and_pd(x[0], _mm256_castsi256_pd(low)),
                _mm256_and_pd(x[1], _mm256_castsi256_pd(high)),
            ]
        }
        to_d(self, a: Self::U) -> [Self::D; 2] {
            [
                _mm256_cvtepi32_pd(_mm256_castsi256_si128(a)),
                _mm256_cvtepi32_pd(_mm256_extracti128_si256::<1>(a)),
            ]
        }

        dot(self, sum: Self::U, pixels: Self::U, weights: Self::U) -> Self::U {
            _mm256_add_epi32(sum, _mm256_madd_epi16(pixels, weights))
        }
        load_halves(self, x: &[u16; 8]) -> Self::U {
            _mm256_cvtepu16_epi32(_mm_loadu_si128(x.as_ptr().cast()))
        }
        load_levels(self, x: &[i8; 8]) -> Self::U {
            _mm256_cvtepi8_epi32(_mm_loadl_epi64(x.as_ptr().cast()))
        }
        prefetch(self, line: &[f32; LANES]) { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) }
    }
}
