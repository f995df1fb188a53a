//! NEON, four registers a vector.
#![allow(unsafe_code)] // Vector instructions are unsafe where the machine may lack them.

use core::arch::aarch64::*;

use crate::kernel::linear::{self, Epilogue, Inputs, Weights};
use crate::kernel::patches::{self, PatchTask};
use crate::kernel::simd::{LANES, Simd, Task};

/// Proof that the machine has the instructions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neon(());

impl Neon {
    /// The proof, if the machine has them.
    pub(crate) fn new() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }

    /// Runs a task compiled for these instructions.
    pub(crate) fn run<T: Task>(self, task: T) -> T::Output {
        #[target_feature(enable = "neon")]
        fn enabled<T: Task>(task: T, s: Neon) -> T::Output {
            task.run(s)
        }
        // SAFETY: `self` exists only where the machine has the instructions.
        unsafe { enabled(task, self) }
    }
}

/// Calls instructions.
macro_rules! call {
    ($($body:tt)*) => {{
        #[allow(unused_unsafe)] // Those that take no pointer are safe here.
        // SAFETY: `self` exists only where the machine has the instructions, and pointers are those of
        // arrays as long as a register.
        unsafe { $($body)* }
    }};
}

impl Simd for Neon {
    type U = [uint32x4_t; 4];
    type F = [float32x4_t; 4];
    type D = [float64x2_t; 8];
    type M = [uint32x4_t; 4];
    type Table = [f32; LANES];

    const COUNTS: usize = 31;
    const PIXELS: usize = 2;

    #[inline(always)]
    fn splat_u(self, x: u32) -> Self::U {
        call!([vdupq_n_u32(x); 4])
    }
    #[inline(always)]
    fn load_u(self, x: &[u32; LANES]) -> Self::U {
        let mut out = self.splat_u(0);
        for i in 0..4 {
            out[i] = call!(vld1q_u32(x[4 * i..].as_ptr()));
        }
        out
    }
    #[inline(always)]
    fn store_u(self, x: Self::U, out: &mut [u32; LANES]) {
        for i in 0..4 {
            call!(vst1q_u32(out[4 * i..].as_mut_ptr(), x[i]));
        }
    }
    #[inline(always)]
    fn xor(self, a: Self::U, b: Self::U) -> Self::U {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(veorq_u32(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn and(self, a: Self::U, b: Self::U) -> Self::U {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(vandq_u32(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn or(self, a: Self::U, b: Self::U) -> Self::U {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(vorrq_u32(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn add_u(self, a: Self::U, b: Self::U) -> Self::U {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(vaddq_u32(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn sub_u(self, a: Self::U, b: Self::U) -> Self::U {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(vsubq_u32(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn min_u(self, a: Self::U, b: Self::U) -> Self::U {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(vminq_u32(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn shift_right_4(self, a: Self::U) -> Self::U {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(vshrq_n_u32::<4>(a[i]));
        }
        out
    }
    #[inline(always)]
    fn count(self, counts: Self::U, x: Self::U) -> Self::U {
        let mut out = counts;
        for i in 0..4 {
            out[i] = call!(vreinterpretq_u32_u8(vaddq_u8(
                vreinterpretq_u8_u32(counts[i]),
                vcntq_u8(vreinterpretq_u8_u32(x[i]))
            )));
        }
        out
    }
    #[inline(always)]
    fn widen(self, counts: Self::U) -> Self::U {
        let mut out = counts;
        for i in 0..4 {
            out[i] = call!(vpaddlq_u16(vpaddlq_u8(vreinterpretq_u8_u32(counts[i]))));
        }
        out
    }
    #[inline(always)]
    fn gt_u(self, a: Self::U, b: Self::U) -> Self::M {
        call!([
            vcgtq_u32(a[0], b[0]),
            vcgtq_u32(a[1], b[1]),
            vcgtq_u32(a[2], b[2]),
            vcgtq_u32(a[3], b[3])
        ])
    }
    #[inline(always)]
    fn test(self, a: Self::U, b: Self::U) -> Self::M {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(vtstq_u32(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn select_u(self, mask: Self::M, x: Self::U) -> Self::U {
        let mut out = x;
        for i in 0..4 {
            out[i] = call!(vandq_u32(mask[i], x[i]));
        }
        out
    }
    #[inline(always)]
    fn mask_bits(self, mask: Self::M) -> u16 {
        const PLACES: [u32; 4] = [1, 2, 4, 8];
        let mut bits = 0;
        for i in 0..4 {
            let places = call!(vandq_u32(mask[i], vld1q_u32(PLACES.as_ptr())));
            bits |= (call!(vaddvq_u32(places)) as u16) << (4 * i);
        }
        bits
    }
    #[inline(always)]
    fn or_m(self, a: Self::M, b: Self::M) -> Self::M {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(vorrq_u32(a[i], b[i]));
        }
        out
    }

    #[inline(always)]
    fn splat_f(self, x: f32) -> Self::F {
        call!([vdupq_n_f32(x); 4])
    }
    #[inline(always)]
    fn load_f(self, x: &[f32; LANES]) -> Self::F {
        let mut out = self.splat_f(0.0);
        for i in 0..4 {
            out[i] = call!(vld1q_f32(x[4 * i..].as_ptr()));
        }
        out
    }
    #[inline(always)]
    fn store_f(self, x: Self::F, out: &mut [f32; LANES]) {
        for i in 0..4 {
            call!(vst1q_f32(out[4 * i..].as_mut_ptr(), x[i]));
        }
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(vaddq_f32(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(vsubq_f32(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(vmulq_f32(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(vdivq_f32(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(vbslq_f32(vcgtq_f32(a[i], b[i]), a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(vbslq_f32(vcltq_f32(a[i], b[i]), a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn gt(self, a: Self::F, b: Self::F) -> Self::M {
        call!([
            vcgtq_f32(a[0], b[0]),
            vcgtq_f32(a[1], b[1]),
            vcgtq_f32(a[2], b[2]),
            vcgtq_f32(a[3], b[3])
        ])
    }
    #[inline(always)]
    fn eq(self, a: Self::F, b: Self::F) -> Self::M {
        call!([
            vceqq_f32(a[0], b[0]),
            vceqq_f32(a[1], b[1]),
            vceqq_f32(a[2], b[2]),
            vceqq_f32(a[3], b[3])
        ])
    }
    #[inline(always)]
    fn to_f(self, a: Self::U) -> Self::F {
        let mut out = self.splat_f(0.0);
        for i in 0..4 {
            out[i] = call!(vcvtq_f32_s32(vreinterpretq_s32_u32(a[i])));
        }
        out
    }
    #[inline(always)]
    fn table(self, x: &[f32; LANES]) -> Self::Table {
        *x
    }
    #[inline(always)]
    fn lookup(self, table: Self::Table, index: Self::U) -> Self::F {
        let mut lanes = [0; LANES];
        self.store_u(index, &mut lanes);
        let mut out = [0.0; LANES];
        for i in 0..LANES {
            out[i] = table[lanes[i] as usize % LANES];
        }
        self.load_f(&out)
    }

    #[inline(always)]
    fn splat_d(self, x: f64) -> Self::D {
        call!([vdupq_n_f64(x); 8])
    }
    #[inline(always)]
    fn load_d(self, x: &[f64; LANES]) -> Self::D {
        let mut out = self.splat_d(0.0);
        for i in 0..8 {
            out[i] = call!(vld1q_f64(x[2 * i..].as_ptr()));
        }
        out
    }
    #[inline(always)]
    fn store_d(self, x: Self::D, out: &mut [f64; LANES]) {
        for i in 0..8 {
            call!(vst1q_f64(out[2 * i..].as_mut_ptr(), x[i]));
        }
    }
    #[inline(always)]
    fn add_d(self, a: Self::D, b: Self::D) -> Self::D {
        let mut out = a;
        for i in 0..8 {
            out[i] = call!(vaddq_f64(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn mul_d(self, a: Self::D, b: Self::D) -> Self::D {
        let mut out = a;
        for i in 0..8 {
            out[i] = call!(vmulq_f64(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn gt_d(self, a: Self::D, b: Self::D) -> Self::M {
        let mut out = self.test(self.splat_u(0), self.splat_u(0));
        for i in 0..4 {
            out[i] = call!(vcombine_u32(
                vmovn_u64(vcgtq_f64(a[2 * i], b[2 * i])),
                vmovn_u64(vcgtq_f64(a[2 * i + 1], b[2 * i + 1]))
            ));
        }
        out
    }
    #[inline(always)]
    fn eq_d(self, a: Self::D, b: Self::D) -> Self::M {
        let mut out = self.test(self.splat_u(0), self.splat_u(0));
        for i in 0..4 {
            out[i] = call!(vcombine_u32(
                vmovn_u64(vceqq_f64(a[2 * i], b[2 * i])),
                vmovn_u64(vceqq_f64(a[2 * i + 1], b[2 * i + 1]))
            ));
        }
        out
    }
    #[inline(always)]
    fn select_d(self, mask: Self::M, x: Self::D) -> Self::D {
        let mut out = x;
        for i in 0..8 {
            let half = match i % 2 {
                0 => call!(vget_low_u32(mask[i / 2])),
                _ => call!(vget_high_u32(mask[i / 2])),
            };
            out[i] = call!({
                let wide = vreinterpretq_u64_s64(vmovl_s32(vreinterpret_s32_u32(half)));
                vreinterpretq_f64_u64(vandq_u64(wide, vreinterpretq_u64_f64(x[i])))
            });
        }
        out
    }
    #[inline(always)]
    fn to_d(self, a: Self::U) -> Self::D {
        let mut out = self.splat_d(0.0);
        for i in 0..4 {
            let x = call!(vreinterpretq_s32_u32(a[i]));
            out[2 * i] = call!(vcvtq_f64_s64(vmovl_s32(vget_low_s32(x))));
            out[2 * i + 1] = call!(vcvtq_f64_s64(vmovl_s32(vget_high_s32(x))));
        }
        out
    }

    #[inline(always)]
    fn dot(self, sum: Self::U, pixels: Self::U, weights: Self::U) -> Self::U {
        let mut out = sum;
        for i in 0..4 {
            let (x, w) = call!((
                vreinterpretq_s16_u32(pixels[i]),
                vreinterpretq_s16_u32(weights[i])
            ));
            let low = call!(vmull_s16(vget_low_s16(x), vget_low_s16(w)));
            let high = call!(vmull_s16(vget_high_s16(x), vget_high_s16(w)));
            let pairs = call!(vreinterpretq_u32_s32(vpaddq_s32(low, high)));
            out[i] = call!(vaddq_u32(sum[i], pairs));
        }
        out
    }

    #[inline(always)]
    fn linear<E: Epilogue>(self, inputs: Inputs<'_>, weights: Weights<'_>, epilogue: &mut E) {
        linear::run::<Self, E, 1>(self, inputs, weights, epilogue);
    }

    #[inline(always)]
    fn patches(self, task: PatchTask<'_>) {
        patches::run::<Self, 4, 1>(self, task);
    }
}
