//! SIMD128 of WebAssembly, four registers a vector.
#![allow(unsafe_code)] // Loads and stores of vectors take pointers.

use core::arch::wasm32::*;

use crate::kernel::linear::{self, Epilogue, Inputs, Weights};
use crate::kernel::patches::{self, PatchTask};
use crate::kernel::simd::{LANES, Simd};

/// The instructions, which a module compiled with them always has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Simd128;

/// Calls instructions.
macro_rules! call {
    ($($body:tt)*) => {{
        #[allow(unused_unsafe)] // Those that take no pointer are safe here.
        // SAFETY: a module that holds this code is compiled for the instructions, and pointers are those
        // of arrays as long as a register.
        unsafe { $($body)* }
    }};
}

impl Simd for Simd128 {
    type U = [v128; 4];
    type F = [v128; 4];
    type D = [v128; 8];
    type M = [v128; 4];
    type Table = [f32; LANES];

    const COUNTS: usize = 31;
    const PIXELS: usize = 2;

    #[inline(always)]
    fn splat_u(self, x: u32) -> Self::U {
        call!([u32x4_splat(x); 4])
    }
    #[inline(always)]
    fn load_u(self, x: &[u32; LANES]) -> Self::U {
        let mut out = self.splat_u(0);
        for i in 0..4 {
            out[i] = call!(v128_load(x[4 * i..].as_ptr().cast()));
        }
        out
    }
    #[inline(always)]
    fn store_u(self, x: Self::U, out: &mut [u32; LANES]) {
        for i in 0..4 {
            call!(v128_store(out[4 * i..].as_mut_ptr().cast(), x[i]));
        }
    }
    #[inline(always)]
    fn xor(self, a: Self::U, b: Self::U) -> Self::U {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(v128_xor(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn and(self, a: Self::U, b: Self::U) -> Self::U {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(v128_and(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn or(self, a: Self::U, b: Self::U) -> Self::U {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(v128_or(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn add_u(self, a: Self::U, b: Self::U) -> Self::U {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(u32x4_add(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn sub_u(self, a: Self::U, b: Self::U) -> Self::U {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(u32x4_sub(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn min_u(self, a: Self::U, b: Self::U) -> Self::U {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(u32x4_min(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn shift_right_4(self, a: Self::U) -> Self::U {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(u32x4_shr(a[i], 4));
        }
        out
    }
    #[inline(always)]
    fn count(self, counts: Self::U, x: Self::U) -> Self::U {
        let mut out = counts;
        for i in 0..4 {
            out[i] = call!(u8x16_add(counts[i], u8x16_popcnt(x[i])));
        }
        out
    }
    #[inline(always)]
    fn widen(self, counts: Self::U) -> Self::U {
        let mut out = counts;
        for i in 0..4 {
            out[i] = call!(u32x4_extadd_pairwise_u16x8(u16x8_extadd_pairwise_u8x16(
                counts[i]
            )));
        }
        out
    }
    #[inline(always)]
    fn gt_u(self, a: Self::U, b: Self::U) -> Self::M {
        call!([
            u32x4_gt(a[0], b[0]),
            u32x4_gt(a[1], b[1]),
            u32x4_gt(a[2], b[2]),
            u32x4_gt(a[3], b[3])
        ])
    }
    #[inline(always)]
    fn test(self, a: Self::U, b: Self::U) -> Self::M {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(u32x4_ne(v128_and(a[i], b[i]), u32x4_splat(0)));
        }
        out
    }
    #[inline(always)]
    fn select_u(self, mask: Self::M, x: Self::U) -> Self::U {
        let mut out = x;
        for i in 0..4 {
            out[i] = call!(v128_and(mask[i], x[i]));
        }
        out
    }
    #[inline(always)]
    fn mask_bits(self, mask: Self::M) -> u16 {
        let mut bits = 0;
        for i in 0..4 {
            bits |= u16::from(call!(u32x4_bitmask(mask[i]))) << (4 * i);
        }
        bits
    }
    #[inline(always)]
    fn or_m(self, a: Self::M, b: Self::M) -> Self::M {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(v128_or(a[i], b[i]));
        }
        out
    }

    #[inline(always)]
    fn splat_f(self, x: f32) -> Self::F {
        call!([f32x4_splat(x); 4])
    }
    #[inline(always)]
    fn load_f(self, x: &[f32; LANES]) -> Self::F {
        let mut out = self.splat_f(0.0);
        for i in 0..4 {
            out[i] = call!(v128_load(x[4 * i..].as_ptr().cast()));
        }
        out
    }
    #[inline(always)]
    fn store_f(self, x: Self::F, out: &mut [f32; LANES]) {
        for i in 0..4 {
            call!(v128_store(out[4 * i..].as_mut_ptr().cast(), x[i]));
        }
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(f32x4_add(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(f32x4_sub(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(f32x4_mul(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(f32x4_div(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(v128_bitselect(a[i], b[i], f32x4_gt(a[i], b[i])));
        }
        out
    }
    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        let mut out = a;
        for i in 0..4 {
            out[i] = call!(v128_bitselect(a[i], b[i], f32x4_lt(a[i], b[i])));
        }
        out
    }
    #[inline(always)]
    fn gt(self, a: Self::F, b: Self::F) -> Self::M {
        call!([
            f32x4_gt(a[0], b[0]),
            f32x4_gt(a[1], b[1]),
            f32x4_gt(a[2], b[2]),
            f32x4_gt(a[3], b[3])
        ])
    }
    #[inline(always)]
    fn eq(self, a: Self::F, b: Self::F) -> Self::M {
        call!([
            f32x4_eq(a[0], b[0]),
            f32x4_eq(a[1], b[1]),
            f32x4_eq(a[2], b[2]),
            f32x4_eq(a[3], b[3])
        ])
    }
    #[inline(always)]
    fn to_f(self, a: Self::U) -> Self::F {
        let mut out = self.splat_f(0.0);
        for i in 0..4 {
            out[i] = call!(f32x4_convert_i32x4(a[i]));
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
        call!([f64x2_splat(x); 8])
    }
    #[inline(always)]
    fn load_d(self, x: &[f64; LANES]) -> Self::D {
        let mut out = self.splat_d(0.0);
        for i in 0..8 {
            out[i] = call!(v128_load(x[2 * i..].as_ptr().cast()));
        }
        out
    }
    #[inline(always)]
    fn store_d(self, x: Self::D, out: &mut [f64; LANES]) {
        for i in 0..8 {
            call!(v128_store(out[2 * i..].as_mut_ptr().cast(), x[i]));
        }
    }
    #[inline(always)]
    fn add_d(self, a: Self::D, b: Self::D) -> Self::D {
        let mut out = a;
        for i in 0..8 {
            out[i] = call!(f64x2_add(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn mul_d(self, a: Self::D, b: Self::D) -> Self::D {
        let mut out = a;
        for i in 0..8 {
            out[i] = call!(f64x2_mul(a[i], b[i]));
        }
        out
    }
    #[inline(always)]
    fn gt_d(self, a: Self::D, b: Self::D) -> Self::M {
        let mut out = self.test(self.splat_u(0), self.splat_u(0));
        for i in 0..4 {
            out[i] = call!(i32x4_shuffle::<0, 2, 4, 6>(
                f64x2_gt(a[2 * i], b[2 * i]),
                f64x2_gt(a[2 * i + 1], b[2 * i + 1])
            ));
        }
        out
    }
    #[inline(always)]
    fn eq_d(self, a: Self::D, b: Self::D) -> Self::M {
        let mut out = self.test(self.splat_u(0), self.splat_u(0));
        for i in 0..4 {
            out[i] = call!(i32x4_shuffle::<0, 2, 4, 6>(
                f64x2_eq(a[2 * i], b[2 * i]),
                f64x2_eq(a[2 * i + 1], b[2 * i + 1])
            ));
        }
        out
    }
    #[inline(always)]
    fn select_d(self, mask: Self::M, x: Self::D) -> Self::D {
        let mut out = x;
        for i in 0..8 {
            let wide = match i % 2 {
                0 => call!(i64x2_extend_low_i32x4(mask[i / 2])),
                _ => call!(i64x2_extend_high_i32x4(mask[i / 2])),
            };
            out[i] = call!(v128_and(wide, x[i]));
        }
        out
    }
    #[inline(always)]
    fn to_d(self, a: Self::U) -> Self::D {
        let mut out = self.splat_d(0.0);
        for i in 0..4 {
            out[2 * i] = call!(f64x2_convert_low_i32x4(a[i]));
            let high = call!(i32x4_shuffle::<2, 3, 2, 3>(a[i], a[i]));
            out[2 * i + 1] = call!(f64x2_convert_low_i32x4(high));
        }
        out
    }

    #[inline(always)]
    fn dot(self, sum: Self::U, pixels: Self::U, weights: Self::U) -> Self::U {
        let mut out = sum;
        for i in 0..4 {
            out[i] = call!(u32x4_add(sum[i], i32x4_dot_i16x8(pixels[i], weights[i])));
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
