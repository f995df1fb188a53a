//! Plain arithmetic: the truth that other instruction sets are compared with, and what runs where
//! there is none that is known.

use super::instruction_set::InstructionSet;
use super::micro::linear::{self, Epilogue, Inputs, Plain, Weights};
use super::micro::patches::{self, Patches};
use super::simd::{LANES, Simd};

/// Arithmetic without vector instructions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scalar;

#[inline(always)]
fn map<T: Copy, O: Copy + Default>(a: [T; LANES], f: impl Fn(T) -> O) -> [O; LANES] {
    let mut out = [O::default(); LANES];
    for i in 0..LANES {
        out[i] = f(a[i]);
    }
    out
}

#[inline(always)]
fn zip<A: Copy, B: Copy, O: Copy + Default>(
    a: [A; LANES],
    b: [B; LANES],
    f: impl Fn(A, B) -> O,
) -> [O; LANES] {
    let mut out = [O::default(); LANES];
    for i in 0..LANES {
        out[i] = f(a[i], b[i]);
    }
    out
}

impl Simd for Scalar {
    type U = [u32; LANES];
    type F = [f32; LANES];
    type D = [f64; LANES];
    type M = [bool; LANES];
    type Table = [f32; LANES];

    const COUNTS: usize = usize::MAX;
    const PIXELS: usize = 2;

    #[inline(always)]
    fn splat_u(self, x: u32) -> Self::U {
        [x; LANES]
    }
    #[inline(always)]
    fn load_u(self, x: &[u32; LANES]) -> Self::U {
        *x
    }
    #[inline(always)]
    fn store_u(self, x: Self::U, out: &mut [u32; LANES]) {
        *out = x;
    }
    #[inline(always)]
    fn xor(self, a: Self::U, b: Self::U) -> Self::U {
        zip(a, b, |a, b| a ^ b)
    }
    #[inline(always)]
    fn and(self, a: Self::U, b: Self::U) -> Self::U {
        zip(a, b, |a, b| a & b)
    }
    #[inline(always)]
    fn or(self, a: Self::U, b: Self::U) -> Self::U {
        zip(a, b, |a, b| a | b)
    }
    #[inline(always)]
    fn add_u(self, a: Self::U, b: Self::U) -> Self::U {
        zip(a, b, u32::wrapping_add)
    }
    #[inline(always)]
    fn sub_u(self, a: Self::U, b: Self::U) -> Self::U {
        zip(a, b, u32::wrapping_sub)
    }
    #[inline(always)]
    fn min_u(self, a: Self::U, b: Self::U) -> Self::U {
        zip(a, b, u32::min)
    }
    #[inline(always)]
    fn shift_right_4(self, a: Self::U) -> Self::U {
        map(a, |a| a >> 4)
    }
    #[inline(always)]
    fn count(self, counts: Self::U, x: Self::U) -> Self::U {
        zip(counts, x, |count, x| count + x.count_ones())
    }
    #[inline(always)]
    fn widen(self, counts: Self::U) -> Self::U {
        counts
    }
    #[inline(always)]
    fn gt_u(self, a: Self::U, b: Self::U) -> Self::M {
        zip(a, b, |a, b| a > b)
    }
    #[inline(always)]
    fn test(self, a: Self::U, b: Self::U) -> Self::M {
        zip(a, b, |a, b| a & b != 0)
    }
    #[inline(always)]
    fn select_u(self, mask: Self::M, x: Self::U) -> Self::U {
        zip(mask, x, |mask, x| if mask { x } else { 0 })
    }
    #[inline(always)]
    fn mask_bits(self, mask: Self::M) -> u16 {
        let mut bits = 0;
        for i in 0..LANES {
            bits |= u16::from(mask[i]) << i;
        }
        bits
    }
    #[inline(always)]
    fn or_m(self, a: Self::M, b: Self::M) -> Self::M {
        zip(a, b, |a, b| a | b)
    }

    #[inline(always)]
    fn splat_f(self, x: f32) -> Self::F {
        [x; LANES]
    }
    #[inline(always)]
    fn load_f(self, x: &[f32; LANES]) -> Self::F {
        *x
    }
    #[inline(always)]
    fn store_f(self, x: Self::F, out: &mut [f32; LANES]) {
        *out = x;
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn gt(self, a: Self::F, b: Self::F) -> Self::M {
        zip(a, b, |a, b| a > b)
    }
    #[inline(always)]
    fn eq(self, a: Self::F, b: Self::F) -> Self::M {
        zip(a, b, |a, b| a == b)
    }
    #[inline(always)]
    fn to_f(self, a: Self::U) -> Self::F {
        map(a, |a| a as i32 as f32)
    }
    #[inline(always)]
    fn table(self, x: &[f32; LANES]) -> Self::Table {
        *x
    }
    #[inline(always)]
    fn lookup(self, table: Self::Table, index: Self::U) -> Self::F {
        map(index, |index| table[index as usize % LANES])
    }

    #[inline(always)]
    fn splat_d(self, x: f64) -> Self::D {
        [x; LANES]
    }
    #[inline(always)]
    fn load_d(self, x: &[f64; LANES]) -> Self::D {
        *x
    }
    #[inline(always)]
    fn store_d(self, x: Self::D, out: &mut [f64; LANES]) {
        *out = x;
    }
    #[inline(always)]
    fn add_d(self, a: Self::D, b: Self::D) -> Self::D {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn mul_d(self, a: Self::D, b: Self::D) -> Self::D {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn gt_d(self, a: Self::D, b: Self::D) -> Self::M {
        zip(a, b, |a, b| a > b)
    }
    #[inline(always)]
    fn eq_d(self, a: Self::D, b: Self::D) -> Self::M {
        zip(a, b, |a, b| a == b)
    }
    #[inline(always)]
    fn select_d(self, mask: Self::M, x: Self::D) -> Self::D {
        zip(mask, x, |mask, x| if mask { x } else { 0.0 })
    }
    #[inline(always)]
    fn to_d(self, a: Self::U) -> Self::D {
        map(a, |a| f64::from(a as i32))
    }

    #[inline(always)]
    fn dot(self, sum: Self::U, pixels: Self::U, weights: Self::U) -> Self::U {
        let halves = |x: u32| [i32::from(x as i16), i32::from((x >> 16) as i16)];
        let mut out = sum;
        for i in 0..LANES {
            let ([a, b], [c, d]) = (halves(pixels[i]), halves(weights[i]));
            out[i] = sum[i].wrapping_add((a * c + b * d) as u32);
        }
        out
    }
}

impl InstructionSet for Scalar {
    #[inline(always)]
    fn linear<E: Epilogue>(self, inputs: Inputs<'_>, weights: Weights<'_>, epilogue: &mut E) {
        linear::run::<Self, Plain, E, 1>(self, inputs, weights, epilogue);
    }

    #[inline(always)]
    fn patches(self, patches: Patches<'_>) {
        patches::run::<Self, 1, 2>(self, patches);
    }
}
