//! AVX2, two registers a vector.
//!
//! Binary products take another way than elsewhere. There is no instruction that counts ones, but one
//! that looks up 16 bytes: half a byte of a row chooses a table of `popcount(half ^ i)`, half a byte of
//! the weight of each channel is the index `i`. Attention and value are multiplied likewise, two blocks of
//! queries at once.
#![allow(unsafe_code)] // Vector instructions are unsafe where the machine may lack them.

use core::arch::x86_64::*;

use crate::kernel::attended::{Halves, ValuePlane};
use crate::kernel::linear::{Epilogue, Inputs, Weights};
use crate::kernel::patches::{self, PatchTask};
use crate::kernel::simd::{LANES, Line, Simd, Task};

/// Proof that the machine has the instructions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// The proof, if the machine has them.
    pub(crate) fn new() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    /// Runs a task compiled for these instructions.
    pub(crate) fn run<T: Task>(self, task: T) -> T::Output {
        #[target_feature(enable = "avx2")]
        fn enabled<T: Task>(task: T, s: Avx2) -> T::Output {
            task.run(s)
        }
        // SAFETY: `self` exists only where the machine has the instructions.
        unsafe { enabled(task, self) }
    }
}

/// Calls instructions.
macro_rules! call {
    ($($body:tt)*) => {
        // SAFETY: `self` exists only where the machine has the instructions, and pointers are those of
        // arrays as long as a register.
        unsafe { $($body)* }
    };
}

/// Calls an instruction on both halves of two vectors.
macro_rules! both {
    ($instruction:path, $a:expr, $b:expr) => {
        call!([$instruction($a[0], $b[0]), $instruction($a[1], $b[1])])
    };
}

/// Calls an instruction on all quarters of two vectors.
macro_rules! four {
    ($instruction:path, $a:expr, $b:expr) => {
        call!([
            $instruction($a[0], $b[0]),
            $instruction($a[1], $b[1]),
            $instruction($a[2], $b[2]),
            $instruction($a[3], $b[3]),
        ])
    };
}

/// The numbers of ones of half a byte, twice.
const ONES: [u8; 32] = [
    0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
];

impl Avx2 {
    /// The number of ones in each byte.
    #[inline(always)]
    fn byte_ones(self, x: __m256i) -> __m256i {
        call!({
            let table = _mm256_loadu_si256(ONES.as_ptr().cast());
            let low = _mm256_set1_epi8(15);
            let ones = _mm256_shuffle_epi8(table, _mm256_and_si256(x, low));
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(x), low);
            _mm256_add_epi8(ones, _mm256_shuffle_epi8(table, high))
        })
    }

    /// The bytes of each 32-bit lane added up.
    #[inline(always)]
    fn add_bytes(self, x: __m256i) -> __m256i {
        call!({
            let pairs = _mm256_maddubs_epi16(x, _mm256_set1_epi8(1));
            _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))
        })
    }

    /// Masks of 64-bit lanes as masks of 32-bit lanes.
    #[inline(always)]
    fn narrow(self, masks: [__m256d; 4]) -> [__m256; 2] {
        call!({
            let pair = |a: __m256d, b: __m256d| {
                let (a, b) = (_mm256_castpd_ps(a), _mm256_castpd_ps(b));
                let halves = _mm256_castps_pd(_mm256_shuffle_ps::<0b10_00_10_00>(a, b));
                _mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(halves))
            };
            [pair(masks[0], masks[1]), pair(masks[2], masks[3])]
        })
    }
}

mod common;
mod linear;

impl Simd for Avx2 {
    type U = [__m256i; 2];
    type F = [__m256; 2];
    type D = [__m256d; 4];
    type M = [__m256; 2];
    type Table = [__m256; 2];

    const COUNTS: usize = 31;
    const PIXELS: usize = 2;
    const TOGETHER: bool = true;

    #[inline(always)]
    fn splat_u(self, x: u32) -> Self::U {
        call!([_mm256_set1_epi32(x as i32); 2])
    }
    #[inline(always)]
    fn load_u(self, x: &[u32; LANES]) -> Self::U {
        call!([
            _mm256_loadu_si256(x.as_ptr().cast()),
            _mm256_loadu_si256(x[8..].as_ptr().cast())
        ])
    }
    #[inline(always)]
    fn store_u(self, x: Self::U, out: &mut [u32; LANES]) {
        call!(_mm256_storeu_si256(out.as_mut_ptr().cast(), x[0]));
        call!(_mm256_storeu_si256(out[8..].as_mut_ptr().cast(), x[1]));
    }
    #[inline(always)]
    fn xor(self, a: Self::U, b: Self::U) -> Self::U {
        both!(_mm256_xor_si256, a, b)
    }
    #[inline(always)]
    fn and(self, a: Self::U, b: Self::U) -> Self::U {
        both!(_mm256_and_si256, a, b)
    }
    #[inline(always)]
    fn or(self, a: Self::U, b: Self::U) -> Self::U {
        both!(_mm256_or_si256, a, b)
    }
    #[inline(always)]
    fn add_u(self, a: Self::U, b: Self::U) -> Self::U {
        both!(_mm256_add_epi32, a, b)
    }
    #[inline(always)]
    fn sub_u(self, a: Self::U, b: Self::U) -> Self::U {
        both!(_mm256_sub_epi32, a, b)
    }
    #[inline(always)]
    fn min_u(self, a: Self::U, b: Self::U) -> Self::U {
        both!(_mm256_min_epu32, a, b)
    }
    #[inline(always)]
    fn shift_right_4(self, a: Self::U) -> Self::U {
        call!([_mm256_srli_epi32::<4>(a[0]), _mm256_srli_epi32::<4>(a[1])])
    }
    #[inline(always)]
    fn count(self, counts: Self::U, x: Self::U) -> Self::U {
        let ones = [self.byte_ones(x[0]), self.byte_ones(x[1])];
        both!(_mm256_add_epi8, counts, ones)
    }
    #[inline(always)]
    fn widen(self, counts: Self::U) -> Self::U {
        [self.add_bytes(counts[0]), self.add_bytes(counts[1])]
    }
    #[inline(always)]
    fn gt_u(self, a: Self::U, b: Self::U) -> Self::M {
        // Unsigned numbers compare as signed ones whose highest bit is flipped.
        let flip = self.splat_u(1 << 31);
        let above = both!(_mm256_cmpgt_epi32, self.xor(a, flip), self.xor(b, flip));
        call!([_mm256_castsi256_ps(above[0]), _mm256_castsi256_ps(above[1])])
    }
    #[inline(always)]
    fn test(self, a: Self::U, b: Self::U) -> Self::M {
        self.gt_u(self.and(a, b), self.splat_u(0))
    }
    #[inline(always)]
    fn select_u(self, mask: Self::M, x: Self::U) -> Self::U {
        let mask = call!([_mm256_castps_si256(mask[0]), _mm256_castps_si256(mask[1])]);
        self.and(mask, x)
    }
    #[inline(always)]
    fn mask_bits(self, mask: Self::M) -> u16 {
        let [low, high] = call!([_mm256_movemask_ps(mask[0]), _mm256_movemask_ps(mask[1])]);
        u16::from_le_bytes([low as u8, high as u8])
    }
    #[inline(always)]
    fn or_m(self, a: Self::M, b: Self::M) -> Self::M {
        both!(_mm256_or_ps, a, b)
    }

    #[inline(always)]
    fn splat_f(self, x: f32) -> Self::F {
        call!([_mm256_set1_ps(x); 2])
    }
    #[inline(always)]
    fn load_f(self, x: &[f32; LANES]) -> Self::F {
        call!([
            _mm256_loadu_ps(x.as_ptr()),
            _mm256_loadu_ps(x[8..].as_ptr())
        ])
    }
    #[inline(always)]
    fn store_f(self, x: Self::F, out: &mut [f32; LANES]) {
        call!(_mm256_storeu_ps(out.as_mut_ptr(), x[0]));
        call!(_mm256_storeu_ps(out[8..].as_mut_ptr(), x[1]));
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        both!(_mm256_add_ps, a, b)
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        both!(_mm256_sub_ps, a, b)
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        both!(_mm256_mul_ps, a, b)
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        both!(_mm256_div_ps, a, b)
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        both!(_mm256_max_ps, a, b)
    }
    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        both!(_mm256_min_ps, a, b)
    }
    #[inline(always)]
    fn gt(self, a: Self::F, b: Self::F) -> Self::M {
        both!(_mm256_cmp_ps::<_CMP_GT_OQ>, a, b)
    }
    #[inline(always)]
    fn eq(self, a: Self::F, b: Self::F) -> Self::M {
        both!(_mm256_cmp_ps::<_CMP_EQ_OQ>, a, b)
    }
    #[inline(always)]
    fn to_f(self, a: Self::U) -> Self::F {
        call!([_mm256_cvtepi32_ps(a[0]), _mm256_cvtepi32_ps(a[1])])
    }
    #[inline(always)]
    fn table(self, x: &[f32; LANES]) -> Self::Table {
        self.load_f(x)
    }
    #[inline(always)]
    fn lookup(self, table: Self::Table, index: Self::U) -> Self::F {
        let mut out = self.splat_f(0.0);
        for half in 0..2 {
            out[half] = call!({
                let low = _mm256_permutevar8x32_ps(table[0], index[half]);
                let high = _mm256_permutevar8x32_ps(table[1], index[half]);
                // The bit worth 8 decides.
                let choose = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(index[half]));
                _mm256_blendv_ps(low, high, choose)
            });
        }
        out
    }

    #[inline(always)]
    fn splat_d(self, x: f64) -> Self::D {
        call!([_mm256_set1_pd(x); 4])
    }
    #[inline(always)]
    fn load_d(self, x: &[f64; LANES]) -> Self::D {
        call!([
            _mm256_loadu_pd(x.as_ptr()),
            _mm256_loadu_pd(x[4..].as_ptr()),
            _mm256_loadu_pd(x[8..].as_ptr()),
            _mm256_loadu_pd(x[12..].as_ptr()),
        ])
    }
    #[inline(always)]
    fn store_d(self, x: Self::D, out: &mut [f64; LANES]) {
        call!(_mm256_storeu_pd(out.as_mut_ptr(), x[0]));
        call!(_mm256_storeu_pd(out[4..].as_mut_ptr(), x[1]));
        call!(_mm256_storeu_pd(out[8..].as_mut_ptr(), x[2]));
        call!(_mm256_storeu_pd(out[12..].as_mut_ptr(), x[3]));
    }
    #[inline(always)]
    fn add_d(self, a: Self::D, b: Self::D) -> Self::D {
        four!(_mm256_add_pd, a, b)
    }
    #[inline(always)]
    fn mul_d(self, a: Self::D, b: Self::D) -> Self::D {
        four!(_mm256_mul_pd, a, b)
    }
    #[inline(always)]
    fn gt_d(self, a: Self::D, b: Self::D) -> Self::M {
        self.narrow(four!(_mm256_cmp_pd::<_CMP_GT_OQ>, a, b))
    }
    #[inline(always)]
    fn eq_d(self, a: Self::D, b: Self::D) -> Self::M {
        self.narrow(four!(_mm256_cmp_pd::<_CMP_EQ_OQ>, a, b))
    }
    #[inline(always)]
    fn select_d(self, mask: Self::M, x: Self::D) -> Self::D {
        let mut out = x;
        for quarter in 0..4 {
            out[quarter] = call!({
                let half = _mm256_castps_si256(mask[quarter / 2]);
                let lanes = match quarter % 2 {
                    0 => _mm256_castsi256_si128(half),
                    _ => _mm256_extracti128_si256::<1>(half),
                };
                _mm256_and_pd(
                    x[quarter],
                    _mm256_castsi256_pd(_mm256_cvtepi32_epi64(lanes)),
                )
            });
        }
        out
    }
    #[inline(always)]
    fn to_d(self, a: Self::U) -> Self::D {
        call!([
            _mm256_cvtepi32_pd(_mm256_castsi256_si128(a[0])),
            _mm256_cvtepi32_pd(_mm256_extracti128_si256::<1>(a[0])),
            _mm256_cvtepi32_pd(_mm256_castsi256_si128(a[1])),
            _mm256_cvtepi32_pd(_mm256_extracti128_si256::<1>(a[1])),
        ])
    }

    #[inline(always)]
    fn dot(self, sum: Self::U, pixels: Self::U, weights: Self::U) -> Self::U {
        self.add_u(sum, both!(_mm256_madd_epi16, pixels, weights))
    }

    #[inline(always)]
    fn prefetch(self, line: &Line<f32>) {
        call!(_mm_prefetch::<_MM_HINT_T0>(line.0.as_ptr().cast()))
    }

    #[inline(always)]
    fn pair_channels(self, x: Self::U) -> Self::U {
        [self.pair(x[0]), self.pair(x[1])]
    }

    #[inline(always)]
    fn count_together(
        self,
        keys: [&[Line]; 2],
        planes: &[ValuePlane<'_>],
        channels: usize,
        out: &mut [Halves],
    ) {
        self.count_common(keys, planes, channels, out);
    }

    #[inline(always)]
    fn load_halves(self, x: &[u16; LANES]) -> Self::U {
        call!([
            _mm256_cvtepu16_epi32(_mm_loadu_si128(x.as_ptr().cast())),
            _mm256_cvtepu16_epi32(_mm_loadu_si128(x[8..].as_ptr().cast())),
        ])
    }

    fn arrange(words: &[u32; 64]) -> [Line; 4] {
        linear::arrange(words)
    }

    #[inline(always)]
    fn linear<E: Epilogue>(self, inputs: Inputs<'_>, weights: Weights<'_>, epilogue: &mut E) {
        self.multiply(inputs, weights, epilogue);
    }

    #[inline(always)]
    fn patches(self, task: PatchTask<'_>) {
        patches::run::<Self, 6, 1>(self, task);
    }
}
