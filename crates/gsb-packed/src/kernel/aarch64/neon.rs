//! NEON.
#![allow(unsafe_code)] // Vector instructions are unsafe where the machine may lack them.

use core::arch::aarch64::*;

use crate::kernel::registers::{Quarters, Registers};
use crate::kernel::simd::Task;

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
            task.run(Quarters(s))
        }
        // SAFETY: `self` exists only where the machine has the instructions.
        unsafe { enabled(task, self) }
    }
}

/// Operations of a register, each by its signature and instructions.
macro_rules! operations {
    ($($name:ident($($argument:ident: $type:ty),*) $(-> $out:ty)? { $($body:tt)* })*) => {$(
        #[inline(always)]
        fn $name(self, $($argument: $type),*) $(-> $out)? {
            #[allow(unused_unsafe)] // Instructions that take no pointer are safe here.
            // SAFETY: `self` exists only where the machine has the instructions, and pointers are those of
            // arrays as long as a register.
            unsafe { $($body)* }
        }
    )*};
}

impl Registers for Neon {
    type U = uint32x4_t;
    type F = float32x4_t;
    type D = float64x2_t;

    operations! {
        splat_u(x: u32) -> Self::U { vdupq_n_u32(x) }
        load_u(x: &[u32; 4]) -> Self::U { vld1q_u32(x.as_ptr()) }
        store_u(x: Self::U, out: &mut [u32; 4]) { vst1q_u32(out.as_mut_ptr(), x) }
        xor(a: Self::U, b: Self::U) -> Self::U { veorq_u32(a, b) }
        and(a: Self::U, b: Self::U) -> Self::U { vandq_u32(a, b) }
        or(a: Self::U, b: Self::U) -> Self::U { vorrq_u32(a, b) }
        add_u(a: Self::U, b: Self::U) -> Self::U { vaddq_u32(a, b) }
        sub_u(a: Self::U, b: Self::U) -> Self::U { vsubq_u32(a, b) }
        min_u(a: Self::U, b: Self::U) -> Self::U { vminq_u32(a, b) }
        shift_right_4(a: Self::U) -> Self::U { vshrq_n_u32::<4>(a) }
        count(counts: Self::U, x: Self::U) -> Self::U {
            let ones = vcntq_u8(vreinterpretq_u8_u32(x));
            vreinterpretq_u32_u8(vaddq_u8(vreinterpretq_u8_u32(counts), ones))
        }
        widen(counts: Self::U) -> Self::U {
            vpaddlq_u16(vpaddlq_u8(vreinterpretq_u8_u32(counts)))
        }
        gt_u(a: Self::U, b: Self::U) -> Self::U { vcgtq_u32(a, b) }
        test(a: Self::U, b: Self::U) -> Self::U { vtstq_u32(a, b) }
        mask_bits(mask: Self::U) -> u16 {
            const PLACES: [u32; 4] = [1, 2, 4, 8];
            vaddvq_u32(vandq_u32(mask, vld1q_u32(PLACES.as_ptr()))) as u16
        }

        splat_f(x: f32) -> Self::F { vdupq_n_f32(x) }
        load_f(x: &[f32; 4]) -> Self::F { vld1q_f32(x.as_ptr()) }
        store_f(x: Self::F, out: &mut [f32; 4]) { vst1q_f32(out.as_mut_ptr(), x) }
        add(a: Self::F, b: Self::F) -> Self::F { vaddq_f32(a, b) }
        sub(a: Self::F, b: Self::F) -> Self::F { vsubq_f32(a, b) }
        mul(a: Self::F, b: Self::F) -> Self::F { vmulq_f32(a, b) }
        div(a: Self::F, b: Self::F) -> Self::F { vdivq_f32(a, b) }
        max(a: Self::F, b: Self::F) -> Self::F { vbslq_f32(vcgtq_f32(a, b), a, b) }
        min(a: Self::F, b: Self::F) -> Self::F { vbslq_f32(vcltq_f32(a, b), a, b) }
        gt(a: Self::F, b: Self::F) -> Self::U { vcgtq_f32(a, b) }
        eq(a: Self::F, b: Self::F) -> Self::U { vceqq_f32(a, b) }
        to_f(a: Self::U) -> Self::F { vcvtq_f32_s32(vreinterpretq_s32_u32(a)) }

        splat_d(x: f64) -> Self::D { vdupq_n_f64(x) }
        load_d(x: &[f64; 2]) -> Self::D { vld1q_f64(x.as_ptr()) }
        store_d(x: Self::D, out: &mut [f64; 2]) { vst1q_f64(out.as_mut_ptr(), x) }
        add_d(a: Self::D, b: Self::D) -> Self::D { vaddq_f64(a, b) }
        mul_d(a: Self::D, b: Self::D) -> Self::D { vmulq_f64(a, b) }
        gt_d(a: [Self::D; 2], b: [Self::D; 2]) -> Self::U {
            vcombine_u32(vmovn_u64(vcgtq_f64(a[0], b[0])), vmovn_u64(vcgtq_f64(a[1], b[1])))
        }
        eq_d(a: [Self::D; 2], b: [Self::D; 2]) -> Self::U {
            vcombine_u32(vmovn_u64(vceqq_f64(a[0], b[0])), vmovn_u64(vceqq_f64(a[1], b[1])))
        }
        select_d(mask: Self::U, x: [Self::D; 2]) -> [Self::D; 2] {
            let wide = vreinterpretq_s32_u32(mask);
            let low = vreinterpretq_u64_s64(vmovl_s32(vget_low_s32(wide)));
            let high = vreinterpretq_u64_s64(vmovl_s32(vget_high_s32(wide)));
            [
                vreinterpretq_f64_u64(vandq_u64(low, vreinterpretq_u64_f64(x[0]))),
                vreinterpretq_f64_u64(vandq_u64(high, vreinterpretq_u64_f64(x[1]))),
            ]
        }
        to_d(a: Self::U) -> [Self::D; 2] {
            let x = vreinterpretq_s32_u32(a);
            [
                vcvtq_f64_s64(vmovl_s32(vget_low_s32(x))),
                vcvtq_f64_s64(vmovl_s32(vget_high_s32(x))),
            ]
        }

        dot(sum: Self::U, pixels: Self::U, weights: Self::U) -> Self::U {
            let (x, w) = (vreinterpretq_s16_u32(pixels), vreinterpretq_s16_u32(weights));
            let low = vmull_s16(vget_low_s16(x), vget_low_s16(w));
            let high = vmull_s16(vget_high_s16(x), vget_high_s16(w));
            vaddq_u32(sum, vreinterpretq_u32_s32(vpaddq_s32(low, high)))
        }
    }
}
