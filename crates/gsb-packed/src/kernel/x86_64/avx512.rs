//! AVX-512 with its population counts (VPOPCNTDQ, BITALG) and byte products (VNNI).
#![allow(unsafe_code)] // Vector instructions are unsafe where the machine may lack them.

use core::arch::x86_64::*;

use crate::kernel::linear::{Epilogue, Inputs, Weights, run};
use crate::kernel::patches::{self, PatchTask};
use crate::kernel::simd::{LANES, Line, Simd, Task};

/// Proof that the machine has the instructions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// The proof, if the machine has them.
    pub(crate) fn new() -> Option<Self> {
        let available = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vpopcntdq")
            && is_x86_feature_detected!("avx512bitalg")
            && is_x86_feature_detected!("avx512vnni");
        available.then_some(Self(()))
    }

    /// Runs a task compiled for these instructions.
    pub(crate) fn run<T: Task>(self, task: T) -> T::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
        #[target_feature(enable = "avx512vpopcntdq,avx512bitalg,avx512vnni")]
        fn enabled<T: Task>(task: T, s: Avx512) -> T::Output {
            task.run(s)
        }
        // SAFETY: `self` exists only where the machine has the instructions.
        unsafe { enabled(task, self) }
    }
}

/// Calls instructions.
macro_rules! call {
    ($($body:tt)*) => {
        // SAFETY: an `Avx512` exists only where the machine has the instructions, and pointers are
        // those of arrays as long as a register.
        unsafe { $($body)* }
    };
}

mod linear;

impl Simd for Avx512 {
    type U = __m512i;
    type F = __m512;
    type D = [__m512d; 2];
    type M = __mmask16;
    type Table = __m512;

    const COUNTS: usize = usize::MAX;
    const PIXELS: usize = 4;

    #[inline(always)]
    fn splat_u(self, x: u32) -> Self::U {
        call!(_mm512_set1_epi32(x as i32))
    }
    #[inline(always)]
    fn load_u(self, x: &[u32; LANES]) -> Self::U {
        call!(_mm512_loadu_si512(x.as_ptr().cast()))
    }
    #[inline(always)]
    fn store_u(self, x: Self::U, out: &mut [u32; LANES]) {
        call!(_mm512_storeu_si512(out.as_mut_ptr().cast(), x))
    }
    #[inline(always)]
    fn xor(self, a: Self::U, b: Self::U) -> Self::U {
        call!(_mm512_xor_si512(a, b))
    }
    #[inline(always)]
    fn and(self, a: Self::U, b: Self::U) -> Self::U {
        call!(_mm512_and_si512(a, b))
    }
    #[inline(always)]
    fn or(self, a: Self::U, b: Self::U) -> Self::U {
        call!(_mm512_or_si512(a, b))
    }
    #[inline(always)]
    fn add_u(self, a: Self::U, b: Self::U) -> Self::U {
        call!(_mm512_add_epi32(a, b))
    }
    #[inline(always)]
    fn sub_u(self, a: Self::U, b: Self::U) -> Self::U {
        call!(_mm512_sub_epi32(a, b))
    }
    #[inline(always)]
    fn min_u(self, a: Self::U, b: Self::U) -> Self::U {
        call!(_mm512_min_epu32(a, b))
    }
    #[inline(always)]
    fn shift_right_4(self, a: Self::U) -> Self::U {
        call!(_mm512_srli_epi32::<4>(a))
    }
    #[inline(always)]
    fn count(self, counts: Self::U, x: Self::U) -> Self::U {
        call!(_mm512_add_epi32(counts, _mm512_popcnt_epi32(x)))
    }
    #[inline(always)]
    fn widen(self, counts: Self::U) -> Self::U {
        counts
    }
    #[inline(always)]
    fn gt_u(self, a: Self::U, b: Self::U) -> Self::M {
        call!(_mm512_cmpgt_epu32_mask(a, b))
    }
    #[inline(always)]
    fn test(self, a: Self::U, b: Self::U) -> Self::M {
        call!(_mm512_test_epi32_mask(a, b))
    }
    #[inline(always)]
    fn select_u(self, mask: Self::M, x: Self::U) -> Self::U {
        call!(_mm512_maskz_mov_epi32(mask, x))
    }
    #[inline(always)]
    fn mask_bits(self, mask: Self::M) -> u16 {
        mask
    }
    #[inline(always)]
    fn or_m(self, a: Self::M, b: Self::M) -> Self::M {
        a | b
    }

    #[inline(always)]
    fn splat_f(self, x: f32) -> Self::F {
        call!(_mm512_set1_ps(x))
    }
    #[inline(always)]
    fn load_f(self, x: &[f32; LANES]) -> Self::F {
        call!(_mm512_loadu_ps(x.as_ptr()))
    }
    #[inline(always)]
    fn store_f(self, x: Self::F, out: &mut [f32; LANES]) {
        call!(_mm512_storeu_ps(out.as_mut_ptr(), x))
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        call!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        call!(_mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        call!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        call!(_mm512_div_ps(a, b))
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        call!(_mm512_max_ps(a, b))
    }
    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        call!(_mm512_min_ps(a, b))
    }
    #[inline(always)]
    fn gt(self, a: Self::F, b: Self::F) -> Self::M {
        call!(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b))
    }
    #[inline(always)]
    fn eq(self, a: Self::F, b: Self::F) -> Self::M {
        call!(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b))
    }
    #[inline(always)]
    fn to_f(self, a: Self::U) -> Self::F {
        call!(_mm512_cvtepi32_ps(a))
    }
    #[inline(always)]
    fn table(self, x: &[f32; LANES]) -> Self::Table {
        self.load_f(x)
    }
    #[inline(always)]
    fn lookup(self, table: Self::Table, index: Self::U) -> Self::F {
        call!(_mm512_permutexvar_ps(index, table))
    }

    #[inline(always)]
    fn splat_d(self, x: f64) -> Self::D {
        call!([_mm512_set1_pd(x); 2])
    }
    #[inline(always)]
    fn load_d(self, x: &[f64; LANES]) -> Self::D {
        call!([
            _mm512_loadu_pd(x.as_ptr()),
            _mm512_loadu_pd(x[8..].as_ptr())
        ])
    }
    #[inline(always)]
    fn store_d(self, x: Self::D, out: &mut [f64; LANES]) {
        call!(_mm512_storeu_pd(out.as_mut_ptr(), x[0]));
        call!(_mm512_storeu_pd(out[8..].as_mut_ptr(), x[1]));
    }
    #[inline(always)]
    fn add_d(self, a: Self::D, b: Self::D) -> Self::D {
        call!([_mm512_add_pd(a[0], b[0]), _mm512_add_pd(a[1], b[1])])
    }
    #[inline(always)]
    fn mul_d(self, a: Self::D, b: Self::D) -> Self::D {
        call!([_mm512_mul_pd(a[0], b[0]), _mm512_mul_pd(a[1], b[1])])
    }
    #[inline(always)]
    fn gt_d(self, a: Self::D, b: Self::D) -> Self::M {
        let low = call!(_mm512_cmp_pd_mask::<_CMP_GT_OQ>(a[0], b[0]));
        let high = call!(_mm512_cmp_pd_mask::<_CMP_GT_OQ>(a[1], b[1]));
        u16::from_le_bytes([low, high])
    }
    #[inline(always)]
    fn eq_d(self, a: Self::D, b: Self::D) -> Self::M {
        let low = call!(_mm512_cmp_pd_mask::<_CMP_EQ_OQ>(a[0], b[0]));
        let high = call!(_mm512_cmp_pd_mask::<_CMP_EQ_OQ>(a[1], b[1]));
        u16::from_le_bytes([low, high])
    }
    #[inline(always)]
    fn select_d(self, mask: Self::M, x: Self::D) -> Self::D {
        let [low, high] = mask.to_le_bytes();
        call!([
            _mm512_maskz_mov_pd(low, x[0]),
            _mm512_maskz_mov_pd(high, x[1])
        ])
    }
    #[inline(always)]
    fn to_d(self, a: Self::U) -> Self::D {
        call!([
            _mm512_cvtepi32_pd(_mm512_castsi512_si256(a)),
            _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64::<1>(a)),
        ])
    }

    #[inline(always)]
    fn dot(self, sum: Self::U, pixels: Self::U, weights: Self::U) -> Self::U {
        call!(_mm512_dpbusd_epi32(sum, pixels, weights))
    }

    #[inline(always)]
    fn prefetch(self, line: &Line<f32>) {
        call!(_mm_prefetch::<_MM_HINT_T0>(line.0.as_ptr().cast()))
    }

    #[inline(always)]
    fn arrange_panel(words: &mut [[Line; 4]]) {
        linear::arrange_panel(words);
    }
    #[inline(always)]
    fn add_counts<const R: usize>(
        self,
        tile: &[&[u32]; R],
        panel: &[[Line; 4]],
        counts: &mut [[Self::U; 4]; R],
    ) {
        linear::add_counts(self, tile, panel, counts);
    }
    #[inline(always)]
    fn linear<E: Epilogue>(self, inputs: Inputs<'_>, weights: Weights<'_>, epilogue: &mut E) {
        run::<Self, E, { linear::ROWS }>(self, inputs, weights, epilogue);
    }

    #[inline(always)]
    fn patches(self, task: PatchTask<'_>) {
        patches::run::<Self, 6, 4>(self, task);
    }
}
