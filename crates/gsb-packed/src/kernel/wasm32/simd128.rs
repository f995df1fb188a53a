//! SIMD128 of WebAssembly.
#![allow(unsafe_code)] // Loads and stores of vectors take pointers.

use core::arch::wasm32::*;

use crate::kernel::registers::{Registers, operations};
use crate::kernel::simd::LANES;

/// The instructions, which a module compiled with them always has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Simd128;

impl Registers<4, 2> for Simd128 {
    type U = v128;
    type F = v128;
    type D = v128;
    type Table = [f32; LANES];

    operations! {
        splat_u(self, x: u32) -> v128 { u32x4_splat(x) }
        load_u(self, x: &[u32; 4]) -> v128 { v128_load(x.as_ptr().cast()) }
        store_u(self, x: v128, out: &mut [u32; 4]) { v128_store(out.as_mut_ptr().cast(), x) }
        xor(self, a: v128, b: v128) -> v128 { v128_xor(a, b) }
        and(self, a: v128, b: v128) -> v128 { v128_and(a, b) }
        or(self, a: v128, b: v128) -> v128 { v128_or(a, b) }
        add_u(self, a: v128, b: v128) -> v128 { u32x4_add(a, b) }
        sub_u(self, a: v128, b: v128) -> v128 { u32x4_sub(a, b) }
        min_u(self, a: v128, b: v128) -> v128 { u32x4_min(a, b) }
        shift_right_4(self, a: v128) -> v128 { u32x4_shr(a, 4) }
        count(self, counts: v128, x: v128) -> v128 { u8x16_add(counts, u8x16_popcnt(x)) }
        widen(self, counts: v128) -> v128 {
            u32x4_extadd_pairwise_u16x8(u16x8_extadd_pairwise_u8x16(counts))
        }
        gt_u(self, a: v128, b: v128) -> v128 { u32x4_gt(a, b) }
        test(self, a: v128, b: v128) -> v128 { u32x4_ne(v128_and(a, b), u32x4_splat(0)) }
        mask_bits(self, mask: v128) -> u16 { u16::from(u32x4_bitmask(mask)) }

        splat_f(self, x: f32) -> v128 { f32x4_splat(x) }
        load_f(self, x: &[f32; 4]) -> v128 { v128_load(x.as_ptr().cast()) }
        store_f(self, x: v128, out: &mut [f32; 4]) { v128_store(out.as_mut_ptr().cast(), x) }
        add(self, a: v128, b: v128) -> v128 { f32x4_add(a, b) }
        sub(self, a: v128, b: v128) -> v128 { f32x4_sub(a, b) }
        mul(self, a: v128, b: v128) -> v128 { f32x4_mul(a, b) }
        div(self, a: v128, b: v128) -> v128 { f32x4_div(a, b) }
        max(self, a: v128, b: v128) -> v128 { v128_bitselect(a, b, f32x4_gt(a, b)) }
        min(self, a: v128, b: v128) -> v128 { v128_bitselect(a, b, f32x4_lt(a, b)) }
        gt(self, a: v128, b: v128) -> v128 { f32x4_gt(a, b) }
        eq(self, a: v128, b: v128) -> v128 { f32x4_eq(a, b) }
        to_f(self, a: v128) -> v128 { f32x4_convert_i32x4(a) }

        table(self, x: &[f32; LANES]) -> Self::Table { *x }
        lookup(self, table: Self::Table, index: v128) -> v128 {
            let mut lanes = [0; 4];
            self.store_u(index, &mut lanes);
            self.load_f(&lanes.map(|lane| table[lane as usize % LANES]))
        }

        splat_d(self, x: f64) -> v128 { f64x2_splat(x) }
        load_d(self, x: &[f64; 2]) -> v128 { v128_load(x.as_ptr().cast()) }
        store_d(self, x: v128, out: &mut [f64; 2]) { v128_store(out.as_mut_ptr().cast(), x) }
        add_d(self, a: v128, b: v128) -> v128 { f64x2_add(a, b) }
        mul_d(self, a: v128, b: v128) -> v128 { f64x2_mul(a, b) }
        gt_d(self, a: [v128; 2], b: [v128; 2]) -> v128 {
            i32x4_shuffle::<0, 2, 4, 6>(f64x2_gt(a[0], b[0]), f64x2_gt(a[1], b[1]))
        }
        eq_d(self, a: [v128; 2], b: [v128; 2]) -> v128 {
            i32x4_shuffle::<0, 2, 4, 6>(f64x2_eq(a[0], b[0]), f64x2_eq(a[1], b[1]))
        }
        select_d(self, mask: v128, x: [v128; 2]) -> [v128; 2] {
            [
                v128_and(i64x2_extend_low_i32x4(mask), x[0]),
                v128_and(i64x2_extend_high_i32x4(mask), x[1]),
            ]
        }
        to_d(self, a: v128) -> [v128; 2] {
            let high = i32x4_shuffle::<2, 3, 2, 3>(a, a);
            [f64x2_convert_low_i32x4(a), f64x2_convert_low_i32x4(high)]
        }

        dot(self, sum: v128, pixels: v128, weights: v128) -> v128 {
            u32x4_add(sum, i32x4_dot_i16x8(pixels, weights))
        }
    }
}
