//! NEON.
#![allow(unsafe_code)] // Vector instructions are unsafe where the machine may lack them.

use core::arch::aarch64::*;

use crate::kernel::instruction_set::Task;
use crate::kernel::quarters::Quarters;
use crate::kernel::registers::{Registers, Vectors, operations};
use crate::kernel::simd::LANES;

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
        fn enabled<T: Task>(task: T, s: Quarters<Neon>) -> T::Output {
            task.run(s)
        }
        // SAFETY: `self` exists only where the machine has the instructions.
        unsafe { enabled(task, Vectors(self)) }
    }
}

impl Registers<4, 2> for Neon {
    type U = uint32x4_t;
    type F = float32x4_t;
    type D = float64x2_t;
    type Table = [f32; LANES];

    operations! {
        splat_u(self, x: u32) -> Self::U { vdupq_n_u32(x) }
        load_u(self, x: &[u32; 4]) -> Self::U { vld1q_u32(x.as_ptr()) }
        store_u(self, x: Self::U, out: &mut [u32; 4]) { vst1q_u32(out.as_mut_ptr(), x) }
        xor(self, a: Self::U, b: Self::U) -> Self::U { veorq_u32(a, b) }
        and(self, a: Self::U, b: Self::U) -> Self::U { vandq_u32(a, b) }
        or(self, a: Self::U, b: Self::U) -> Self::U { vorrq_u32(a, b) }
        add_u(self, a: Self::U, b: Self::U) -> Self::U { vaddq_u32(a, b) }
        sub_u(self, a: Self::U, b: Self::U) -> Self::U { vsubq_u32(a, b) }
        min_u(self, a: Self::U, b: Self::U) -> Self::U { vminq_u32(a, b) }
        shift_right_4(self, a: Self::U) -> Self::U { vshrq_n_u32::<4>(a) }
        count(self, counts: Self::U, x: Self::U) -> Self::U {
            let ones = vcntq_u8(vreinterpretq_u8_u32(x));
            vreinterpretq_u32_u8(vaddq_u8(vreinterpretq_u8_u32(counts), ones))
        }
        widen(self, counts: Self::U) -> Self::U {
            vpaddlq_u16(vpaddlq_u8(vreinterpretq_u8_u32(counts)))
        }
        gt_u(self, a: Self::U, b: Self::U) -> Self::U { vcgtq_u32(a, b) }
        test(self, a: Self::U, b: Self::U) -> Self::U { vtstq_u32(a, b) }
        mask_bits(self, mask: Self::U) -> u16 {
            const PLACES: [u32; 4] = [1, 2, 4, 8];
            vaddvq_u32(vandq_u32(mask, vld1q_u32(PLACES.as_ptr()))) as u16
        }

        splat_f(self, x: f32) -> Self::F { vdupq_n_f32(x) }
        load_f(self, x: &[f32; 4]) -> Self::F { vld1q_f32(x.as_ptr()) }
        store_f(self, x: Self::F, out: &mut [f32; 4]) { vst1q_f32(out.as_mut_ptr(), x) }
        add(self, a: Self::F, b: Self::F) -> Self::F { vaddq_f32(a, b) }
        sub(self, a: Self::F, b: Self::F) -> Self::F { vsubq_f32(a, b) }
        mul(self, a: Self::F, b: Self::F) -> Self::F { vmulq_f32(a, b) }
        div(self, a: Self::F, b: Self::F) -> Self::F { vdivq_f32(a, b) }
        max(self, a: Self::F, b: Self::F) -> Self::F { vbslq_f32(vcgtq_f32(a, b), a, b) }
        min(self, a: Self::F, b: Self::F) -> Self::F { vbslq_f32(vcltq_f32(a, b), a, b) }
        gt(self, a: Self::F, b: Self::F) -> Self::U { vcgtq_f32(a, b) }
        eq(self, a: Self::F, b: Self::F) -> Self::U { vceqq_f32(a, b) }
        to_f(self, a: Self::U) -> Self::F { vcvtq_f32_s32(vreinterpretq_s32_u32(a)) }

        table(self, x: &[f32; LANES]) -> Self::Table { *x }
        lookup(self, table: Self::Table, index: Self::U) -> Self::F {
            let mut lanes = [0; 4];
            self.store_u(index, &mut lanes);
            self.load_f(&lanes.map(|lane| table[lane as usize % LANES]))
        }

        splat_d(self, x: f64) -> Self::D { vdupq_n_f64(x) }
        load_d(self, x: &[f64; 2]) -> Self::D { vld1q_f64(x.as_ptr()) }
        store_d(self, x: Self::D, out: &mut [f64; 2]) { vst1q_f64(out.as_mut_ptr(), x) }
        add_d(self, a: Self::D, b: Self::D) -> Self::D { vaddq_f64(a, b) }
        mul_d(self, a: Self::D, b: Self::D) -> Self::D { vmulq_f64(a, b) }
        gt_d(self, a: [Self::D; 2], b: [Self::D; 2]) -> Self::U {
            vcombine_u32(vmovn_u64(vcgtq_f64(a[0], b[0])), vmovn_u64(vcgtq_f64(a[1], b[1])))
        }
        eq_d(self, a: [Self::D; 2], b: [Self::D; 2]) -> Self::U {
            vcombine_u32(vmovn_u64(vceqq_f64(a[0], b[0])), vmovn_u64(vceqq_f64(a[1], b[1])))
        }
        select_d(self, mask: Self::U, x: [Self::D; 2]) -> [Self::D; 2] {
            let wide = vreinterpretq_s32_u32(mask);
            let low = vreinterpretq_u64_s64(vmovl_s32(vget_low_s32(wide)));
            let high = vreinterpretq_u64_s64(vmovl_s32(vget_high_s32(wide)));
            [
                vreinterpretq_f64_u64(vandq_u64(low, vreinterpretq_u64_f64(x[0]))),
                vreinterpretq_f64_u64(vandq_u64(high, vreinterpretq_u64_f64(x[1]))),
            ]
        }
        to_d(self, a: Self::U) -> [Self::D; 2] {
            let x = vreinterpretq_s32_u32(a);
            [
                vcvtq_f64_s64(vmovl_s32(vget_low_s32(x))),
                vcvtq_f64_s64(vmovl_s32(vget_high_s32(x))),
            ]
        }

        dot(self, sum: Self::U, pixels: Self::U, weights: Self::U) -> Self::U {
            let (x, w) = (vreinterpretq_s16_u32(pixels), vreinterpretq_s16_u32(weights));
            let low = vmull_s16(vget_low_s16(x), vget_low_s16(w));
            let high = vmull_s16(vget_high_s16(x), vget_high_s16(w));
            vaddq_u32(sum, vreinterpretq_u32_s32(vpaddq_s32(low, high)))
        }
    }
}
