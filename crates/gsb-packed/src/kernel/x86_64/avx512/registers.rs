//! One register of AVX-512, which is a vector.

use core::arch::x86_64::*;

use super::tiles;
use crate::kernel::product::Product;
use crate::kernel::registers::operations;
use crate::kernel::simd::{LANES, Simd};

/// Proof that the machine has the instructions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512 {
    /// The way that binary products take.
    pub(super) product: Product,
}

impl Avx512 {
    /// The proof, if the machine has them, with a way of products.
    pub(crate) fn new(product: Product) -> Option<Self> {
        let available = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vpopcntdq")
            && is_x86_feature_detected!("avx512bitalg")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("gfni")
            && (product != Product::Tiles || tiles::available());
        available.then_some(Self { product })
    }
}

impl Simd for Avx512 {
    type U = __m512i;
    type F = __m512;
    type D = [__m512d; 2];
    type M = __mmask16;
    type Table = __m512;

    const COUNTS: usize = usize::MAX;
    const PIXELS: usize = 4;

    operations! {
        splat_u(self, x: u32) -> Self::U { _mm512_set1_epi32(x as i32) }
        load_u(self, x: &[u32; LANES]) -> Self::U { _mm512_loadu_si512(x.as_ptr().cast()) }
        load_levels(self, x: &[i8; LANES]) -> Self::U {
            _mm512_cvtepi8_epi32(_mm_loadu_si128(x.as_ptr().cast()))
        }
        store_u(self, x: Self::U, out: &mut [u32; LANES]) {
            _mm512_storeu_si512(out.as_mut_ptr().cast(), x)
        }
        xor(self, a: Self::U, b: Self::U) -> Self::U { _mm512_xor_si512(a, b) }
        and(self, a: Self::U, b: Self::U) -> Self::U { _mm512_and_si512(a, b) }
        or(self, a: Self::U, b: Self::U) -> Self::U { _mm512_or_si512(a, b) }
        add_u(self, a: Self::U, b: Self::U) -> Self::U { _mm512_add_epi32(a, b) }
        sub_u(self, a: Self::U, b: Self::U) -> Self::U { _mm512_sub_epi32(a, b) }
        min_u(self, a: Self::U, b: Self::U) -> Self::U { _mm512_min_epu32(a, b) }
        shift_right_4(self, a: Self::U) -> Self::U { _mm512_srli_epi32::<4>(a) }
        count(self, counts: Self::U, x: Self::U) -> Self::U {
            _mm512_add_epi32(counts, _mm512_popcnt_epi32(x))
        }
        widen(self, counts: Self::U) -> Self::U { counts }
        gt_u(self, a: Self::U, b: Self::U) -> Self::M { _mm512_cmpgt_epu32_mask(a, b) }
        test(self, a: Self::U, b: Self::U) -> Self::M { _mm512_test_epi32_mask(a, b) }
        select_u(self, mask: Self::M, x: Self::U) -> Self::U { _mm512_maskz_mov_epi32(mask, x) }
        mask_bits(self, mask: Self::M) -> u16 { mask }
        or_m(self, a: Self::M, b: Self::M) -> Self::M { a | b }

        splat_f(self, x: f32) -> Self::F { _mm512_set1_ps(x) }
        load_f(self, x: &[f32; LANES]) -> Self::F { _mm512_loadu_ps(x.as_ptr()) }
        store_f(self, x: Self::F, out: &mut [f32; LANES]) { _mm512_storeu_ps(out.as_mut_ptr(), x) }
        add(self, a: Self::F, b: Self::F) -> Self::F { _mm512_add_ps(a, b) }
        sub(self, a: Self::F, b: Self::F) -> Self::F { _mm512_sub_ps(a, b) }
        mul(self, a: Self::F, b: Self::F) -> Self::F { _mm512_mul_ps(a, b) }
        div(self, a: Self::F, b: Self::F) -> Self::F { _mm512_div_ps(a, b) }
        max(self, a: Self::F, b: Self::F) -> Self::F { _mm512_max_ps(a, b) }
        min(self, a: Self::F, b: Self::F) -> Self::F { _mm512_min_ps(a, b) }
        gt(self, a: Self::F, b: Self::F) -> Self::M { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b) }
        eq(self, a: Self::F, b: Self::F) -> Self::M { _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b) }
        to_f(self, a: Self::U) -> Self::F { _mm512_cvtepi32_ps(a) }
        table(self, x: &[f32; LANES]) -> Self::Table { self.load_f(x) }
        lookup(self, table: Self::Table, index: Self::U) -> Self::F {
            _mm512_permutexvar_ps(index, table)
        }

        splat_d(self, x: f64) -> Self::D { [_mm512_set1_pd(x); 2] }
        load_d(self, x: &[f64; LANES]) -> Self::D {
            [_mm512_loadu_pd(x.as_ptr()), _mm512_loadu_pd(x[8..].as_ptr())]
        }
        store_d(self, x: Self::D, out: &mut [f64; LANES]) {
            _mm512_storeu_pd(out.as_mut_ptr(), x[0]);
            _mm512_storeu_pd(out[8..].as_mut_ptr(), x[1]);
        }
        add_d(self, a: Self::D, b: Self::D) -> Self::D {
            [_mm512_add_pd(a[0], b[0]), _mm512_add_pd(a[1], b[1])]
        }
        mul_d(self, a: Self::D, b: Self::D) -> Self::D {
            [_mm512_mul_pd(a[0], b[0]), _mm512_mul_pd(a[1], b[1])]
        }
        gt_d(self, a: Self::D, b: Self::D) -> Self::M {
            let low = _mm512_cmp_pd_mask::<_CMP_GT_OQ>(a[0], b[0]);
            let high = _mm512_cmp_pd_mask::<_CMP_GT_OQ>(a[1], b[1]);
            u16::from_le_bytes([low, high])
        }
        eq_d(self, a: Self::D, b: Self::D) -> Self::M {
            let low = _mm512_cmp_pd_mask::<_CMP_EQ_OQ>(a[0], b[0]);
            let high = _mm512_cmp_pd_mask::<_CMP_EQ_OQ>(a[1], b[1]);
            u16::from_le_bytes([low, high])
        }
        select_d(self, mask: Self::M, x: Self::D) -> Self::D {
            let [low, high] = mask.to_le_bytes();
            [_mm512_maskz_mov_pd(low, x[0]), _mm512_maskz_mov_pd(high, x[1])]
        }
        to_d(self, a: Self::U) -> Self::D {
            [
                _mm512_cvtepi32_pd(_mm512_castsi512_si256(a)),
                _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64::<1>(a)),
            ]
        }

        dot(self, sum: Self::U, pixels: Self::U, weights: Self::U) -> Self::U {
            _mm512_dpbusd_epi32(sum, pixels, weights)
        }

        prefetch(self, line: &[f32; LANES]) { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) }
    }
}
