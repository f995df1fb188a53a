//! Vectors of four registers of 128 bits: what NEON and SIMD128 have in common.
//!
//! An instruction set says what it does with one register, in [`Registers`]; how a vector of 16 lanes is
//! spread over registers is said here, once.

use std::array::from_fn;

use super::linear::{self, Epilogue, Inputs, Weights};
use super::patches::{self, PatchTask};
use super::simd::{LANES, Simd};

/// Operations on one register: 4 lanes of 32 bits, or 2 of 64.
///
/// A truth value is a lane of all ones or of zeros. The operations are those of [`Simd`] by the same names.
pub(crate) trait Registers: Copy {
    /// 4 integers of 32 bits.
    type U: Copy;
    /// 4 floats of 32 bits.
    type F: Copy;
    /// 2 floats of 64 bits.
    type D: Copy;

    fn splat_u(self, x: u32) -> Self::U;
    fn load_u(self, x: &[u32; 4]) -> Self::U;
    fn store_u(self, x: Self::U, out: &mut [u32; 4]);
    fn xor(self, a: Self::U, b: Self::U) -> Self::U;
    fn and(self, a: Self::U, b: Self::U) -> Self::U;
    fn or(self, a: Self::U, b: Self::U) -> Self::U;
    fn add_u(self, a: Self::U, b: Self::U) -> Self::U;
    fn sub_u(self, a: Self::U, b: Self::U) -> Self::U;
    fn min_u(self, a: Self::U, b: Self::U) -> Self::U;
    fn shift_right_4(self, a: Self::U) -> Self::U;
    /// Adds the number of ones of each byte of `x` to the bytes of `counts`.
    fn count(self, counts: Self::U, x: Self::U) -> Self::U;
    /// The bytes of each lane added up.
    fn widen(self, counts: Self::U) -> Self::U;
    fn gt_u(self, a: Self::U, b: Self::U) -> Self::U;
    fn test(self, a: Self::U, b: Self::U) -> Self::U;
    /// A bit for each lane, the first lane's the lowest.
    fn mask_bits(self, mask: Self::U) -> u16;

    fn splat_f(self, x: f32) -> Self::F;
    fn load_f(self, x: &[f32; 4]) -> Self::F;
    fn store_f(self, x: Self::F, out: &mut [f32; 4]);
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    fn gt(self, a: Self::F, b: Self::F) -> Self::U;
    fn eq(self, a: Self::F, b: Self::F) -> Self::U;
    fn to_f(self, a: Self::U) -> Self::F;

    fn splat_d(self, x: f64) -> Self::D;
    fn load_d(self, x: &[f64; 2]) -> Self::D;
    fn store_d(self, x: Self::D, out: &mut [f64; 2]);
    fn add_d(self, a: Self::D, b: Self::D) -> Self::D;
    fn mul_d(self, a: Self::D, b: Self::D) -> Self::D;
    /// Lanes of 32 bits from two registers' comparisons of 64.
    fn gt_d(self, a: [Self::D; 2], b: [Self::D; 2]) -> Self::U;
    fn eq_d(self, a: [Self::D; 2], b: [Self::D; 2]) -> Self::U;
    /// `x` where the mask's 32-bit lanes are set, 0 elsewhere.
    fn select_d(self, mask: Self::U, x: [Self::D; 2]) -> [Self::D; 2];
    fn to_d(self, a: Self::U) -> [Self::D; 2];

    /// Adds the products of two 16-bit pixels in each lane with their weights.
    fn dot(self, sum: Self::U, pixels: Self::U, weights: Self::U) -> Self::U;
}

/// An instruction set with registers of 128 bits, four of them a vector.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quarters<R>(pub(crate) R);

/// Operations that do the same with each register of two vectors.
macro_rules! each {
    ($($name:ident: $of:ident -> $out:ident;)*) => {$(
        #[inline(always)]
        fn $name(self, a: Self::$of, b: Self::$of) -> Self::$out {
            from_fn(|i| self.0.$name(a[i], b[i]))
        }
    )*};
}

/// The part of an array that a register holds.
#[inline(always)]
fn part<T, const N: usize>(x: &[T; LANES], register: usize) -> &[T; N] {
    &x.as_chunks().0[register]
}

#[inline(always)]
fn part_mut<T, const N: usize>(x: &mut [T; LANES], register: usize) -> &mut [T; N] {
    &mut x.as_chunks_mut().0[register]
}

/// The two registers of 64-bit lanes that go with one of 32.
#[inline(always)]
fn pair<T: Copy>(x: [T; 8], register: usize) -> [T; 2] {
    [x[2 * register], x[2 * register + 1]]
}

impl<R: Registers> Simd for Quarters<R> {
    type U = [R::U; 4];
    type F = [R::F; 4];
    type D = [R::D; 8];
    type M = [R::U; 4];
    type Table = [f32; LANES];

    // A byte holds 255, and a word adds up to 8.
    const COUNTS: usize = 31;
    const PIXELS: usize = 2;

    #[inline(always)]
    fn splat_u(self, x: u32) -> Self::U {
        [self.0.splat_u(x); 4]
    }
    #[inline(always)]
    fn load_u(self, x: &[u32; LANES]) -> Self::U {
        from_fn(|i| self.0.load_u(part(x, i)))
    }
    #[inline(always)]
    fn store_u(self, x: Self::U, out: &mut [u32; LANES]) {
        for i in 0..4 {
            self.0.store_u(x[i], part_mut(out, i));
        }
    }
    each! {
        xor: U -> U;
        and: U -> U;
        or: U -> U;
        add_u: U -> U;
        sub_u: U -> U;
        min_u: U -> U;
        count: U -> U;
        gt_u: U -> M;
        test: U -> M;
        add: F -> F;
        sub: F -> F;
        mul: F -> F;
        div: F -> F;
        max: F -> F;
        min: F -> F;
        gt: F -> M;
        eq: F -> M;
        add_d: D -> D;
        mul_d: D -> D;
    }
    #[inline(always)]
    fn shift_right_4(self, a: Self::U) -> Self::U {
        from_fn(|i| self.0.shift_right_4(a[i]))
    }
    #[inline(always)]
    fn widen(self, counts: Self::U) -> Self::U {
        from_fn(|i| self.0.widen(counts[i]))
    }
    #[inline(always)]
    fn select_u(self, mask: Self::M, x: Self::U) -> Self::U {
        self.and(mask, x)
    }
    #[inline(always)]
    fn mask_bits(self, mask: Self::M) -> u16 {
        (0..4).fold(0, |bits, i| bits | self.0.mask_bits(mask[i]) << (4 * i))
    }
    #[inline(always)]
    fn or_m(self, a: Self::M, b: Self::M) -> Self::M {
        self.or(a, b)
    }

    #[inline(always)]
    fn splat_f(self, x: f32) -> Self::F {
        [self.0.splat_f(x); 4]
    }
    #[inline(always)]
    fn load_f(self, x: &[f32; LANES]) -> Self::F {
        from_fn(|i| self.0.load_f(part(x, i)))
    }
    #[inline(always)]
    fn store_f(self, x: Self::F, out: &mut [f32; LANES]) {
        for i in 0..4 {
            self.0.store_f(x[i], part_mut(out, i));
        }
    }
    #[inline(always)]
    fn to_f(self, a: Self::U) -> Self::F {
        from_fn(|i| self.0.to_f(a[i]))
    }
    #[inline(always)]
    fn table(self, x: &[f32; LANES]) -> Self::Table {
        *x
    }
    #[inline(always)]
    fn lookup(self, table: Self::Table, index: Self::U) -> Self::F {
        let mut lanes = [0; LANES];
        self.store_u(index, &mut lanes);
        self.load_f(&lanes.map(|lane| table[lane as usize % LANES]))
    }

    #[inline(always)]
    fn splat_d(self, x: f64) -> Self::D {
        [self.0.splat_d(x); 8]
    }
    #[inline(always)]
    fn load_d(self, x: &[f64; LANES]) -> Self::D {
        from_fn(|i| self.0.load_d(part(x, i)))
    }
    #[inline(always)]
    fn store_d(self, x: Self::D, out: &mut [f64; LANES]) {
        for i in 0..8 {
            self.0.store_d(x[i], part_mut(out, i));
        }
    }
    #[inline(always)]
    fn gt_d(self, a: Self::D, b: Self::D) -> Self::M {
        from_fn(|i| self.0.gt_d(pair(a, i), pair(b, i)))
    }
    #[inline(always)]
    fn eq_d(self, a: Self::D, b: Self::D) -> Self::M {
        from_fn(|i| self.0.eq_d(pair(a, i), pair(b, i)))
    }
    #[inline(always)]
    fn select_d(self, mask: Self::M, x: Self::D) -> Self::D {
        let mut out = x;
        for i in 0..4 {
            [out[2 * i], out[2 * i + 1]] = self.0.select_d(mask[i], pair(x, i));
        }
        out
    }
    #[inline(always)]
    fn to_d(self, a: Self::U) -> Self::D {
        let mut out = self.splat_d(0.0);
        for i in 0..4 {
            [out[2 * i], out[2 * i + 1]] = self.0.to_d(a[i]);
        }
        out
    }

    #[inline(always)]
    fn dot(self, sum: Self::U, pixels: Self::U, weights: Self::U) -> Self::U {
        from_fn(|i| self.0.dot(sum[i], pixels[i], weights[i]))
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
