//! SIMD128 of WebAssembly.
#![allow(unsafe_code)] // Loads and stores of vectors take pointers.

use core::arch::wasm32::*;

use crate::kernel::registers::Registers;

/// The instructions, which a module compiled with them always has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Simd128;

/// Operations of a register, each by its signature and instructions.
macro_rules! operations {
    ($($name:ident($($argument:ident: $type:ty),*) $(-> $out:ty)? { $($body:tt)* })*) => {$(
        #[inline(always)]
        fn $name(self, $($argument: $type),*) $(-> $out)? {
            #[allow(unused_unsafe)] // Instructions that take no pointer are safe here.
            // SAFETY: a module that holds this code is compiled for the instructions, and pointers are those
            // of arrays as long as a register.
            unsafe { $($body)* }
        }
    )*};
}

impl Registers for Simd128 {
    type U = v128;
    type F = v128;
    type D = v128;

    operations! {
        splat_u(x: u32) -> v128 { u32x4_splat(x) }
        load_u(x: &[u32; 4]) -> v128 { v128_load(x.as_ptr().cast()) }
        store_u(x: v128, out: &mut [u32; 4]) { v128_store(out.as_mut_ptr().cast(), x) }
        xor(a: v128, b: v128) -> v128 { v128_xor(a, b) }
        and(a: v128, b: v128) -> v128 { v128_and(a, b) }
        or(a: v128, b: v128) -> v128 { v128_or(a, b) }
        add_u(a: v128, b: v128) -> v128 { u32x4_add(a, b) }
        sub_u(a: v128, b: v128) -> v128 { u32x4_sub(a, b) }
        min_u(a: v128, b: v128) -> v128 { u32x4_min(a, b) }
        shift_right_4(a: v128) -> v128 { u32x4_shr(a, 4) }
        count(counts: v128, x: v128) -> v128 { u8x16_add(counts, u8x16_popcnt(x)) }
        widen(counts: v128) -> v128 {
            u32x4_extadd_pairwise_u16x8(u16x8_extadd_pairwise_u8x16(counts))
        }
        gt_u(a: v128, b: v128) -> v128 { u32x4_gt(a, b) }
        test(a: v128, b: v128) -> v128 { u32x4_ne(v128_and(a, b), u32x4_splat(0)) }
        mask_bits(mask: v128) -> u16 { u16::from(u32x4_bitmask(mask)) }

        splat_f(x: f32) -> v128 { f32x4_splat(x) }
        load_f(x: &[f32; 4]) -> v128 { v128_load(x.as_ptr().cast()) }
        store_f(x: v128, out: &mut [f32; 4]) { v128_store(out.as_mut_ptr().cast(), x) }
        add(a: v128, b: v128) -> v128 { f32x4_add(a, b) }
        sub(a: v128, b: v128) -> v128 { f32x4_sub(a, b) }
        mul(a: v128, b: v128) -> v128 { f32x4_mul(a, b) }
        div(a: v128, b: v128) -> v128 { f32x4_div(a, b) }
        max(a: v128, b: v128) -> v128 { v128_bitselect(a, b, f32x4_gt(a, b)) }
        min(a: v128, b: v128) -> v128 { v128_bitselect(a, b, f32x4_lt(a, b)) }
        gt(a: v128, b: v128) -> v128 { f32x4_gt(a, b) }
        eq(a: v128, b: v128) -> v128 { f32x4_eq(a, b) }
        to_f(a: v128) -> v128 { f32x4_convert_i32x4(a) }

        splat_d(x: f64) -> v128 { f64x2_splat(x) }
        load_d(x: &[f64; 2]) -> v128 { v128_load(x.as_ptr().cast()) }
        store_d(x: v128, out: &mut [f64; 2]) { v128_store(out.as_mut_ptr().cast(), x) }
        add_d(a: v128, b: v128) -> v128 { f64x2_add(a, b) }
        mul_d(a: v128, b: v128) -> v128 { f64x2_mul(a, b) }
        gt_d(a: [v128; 2], b: [v128; 2]) -> v128 {
            i32x4_shuffle::<0, 2, 4, 6>(f64x2_gt(a[0], b[0]), f64x2_gt(a[1], b[1]))
        }
        eq_d(a: [v128; 2], b: [v128; 2]) -> v128 {
            i32x4_shuffle::<0, 2, 4, 6>(f64x2_eq(a[0], b[0]), f64x2_eq(a[1], b[1]))
        }
        select_d(mask: v128, x: [v128; 2]) -> [v128; 2] {
            [
                v128_and(i64x2_extend_low_i32x4(mask), x[0]),
                v128_and(i64x2_extend_high_i32x4(mask), x[1]),
            ]
        }
        to_d(a: v128) -> [v128; 2] {
            let high = i32x4_shuffle::<2, 3, 2, 3>(a, a);
            [f64x2_convert_low_i32x4(a), f64x2_convert_low_i32x4(high)]
        }

        dot(sum: v128, pixels: v128, weights: v128) -> v128 {
            u32x4_add(sum, i32x4_dot_i16x8(pixels, weights))
        }
    }
}
