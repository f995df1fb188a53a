//! Vectors of several registers.
//!
//! An instruction set says what it does with one register, in [`Registers`]; how a vector of 16 lanes is
//! spread over registers is said here, once.

use super::simd::{LANES, Simd};

/// Operations on one register: `L` lanes of 32 bits, or `H` of 64, half as many.
///
/// A truth value is a lane of all ones or of zeros. The operations are those of [`Simd`] by the same names.
pub(crate) trait Registers<const L: usize, const H: usize>: Copy {
    /// Integers of 32 bits.
    type U: Copy;
    /// Floats of 32 bits.
    type F: Copy;
    /// Floats of 64 bits.
    type D: Copy;
    /// 16 floats to look up.
    type Table: Copy;

    fn splat_u(self, x: u32) -> Self::U;
    fn load_u(self, x: &[u32; L]) -> Self::U;
    fn store_u(self, x: Self::U, out: &mut [u32; L]);
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
    fn load_f(self, x: &[f32; L]) -> Self::F;
    fn store_f(self, x: Self::F, out: &mut [f32; L]);
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    fn gt(self, a: Self::F, b: Self::F) -> Self::U;
    fn eq(self, a: Self::F, b: Self::F) -> Self::U;
    fn to_f(self, a: Self::U) -> Self::F;
    fn table(self, x: &[f32; LANES]) -> Self::Table;
    fn lookup(self, table: Self::Table, index: Self::U) -> Self::F;

    fn splat_d(self, x: f64) -> Self::D;
    fn load_d(self, x: &[f64; H]) -> Self::D;
    fn store_d(self, x: Self::D, out: &mut [f64; H]);
    fn add_d(self, a: Self::D, b: Self::D) -> Self::D;
    fn mul_d(self, a: Self::D, b: Self::D) -> Self::D;
    /// Lanes of 32 bits from two registers' comparisons of 64.
    fn gt_d(self, a: [Self::D; 2], b: [Self::D; 2]) -> Self::U;
    fn eq_d(self, a: [Self::D; 2], b: [Self::D; 2]) -> Self::U;
    fn select_d(self, mask: Self::U, x: [Self::D; 2]) -> [Self::D; 2];
    fn to_d(self, a: Self::U) -> [Self::D; 2];

    /// Adds the products of two 16-bit pixels in each lane with their weights.
    fn dot(self, sum: Self::U, pixels: Self::U, weights: Self::U) -> Self::U;
    /// Halves of lanes.
    #[inline(always)]
    fn load_halves(self, x: &[u16; L]) -> Self::U {
        self.load_u(&x.map(u32::from))
    }
    /// Signed bytes as lanes.
    #[inline(always)]
    fn load_levels(self, x: &[i8; L]) -> Self::U {
        self.load_u(&x.map(|x| i32::from(x) as u32))
    }
    /// Asks for a line that will be read soon.
    #[inline(always)]
    fn prefetch(self, _line: &[f32; LANES]) {}
}

/// Operations of registers or vectors, each by its signature and instructions.
macro_rules! operations {
    ($(
        $(#[$doc:meta])*
        $name:ident($self:ident $(, $argument:ident: $type:ty)*) $(-> $out:ty)? { $($body:tt)* }
    )*) => {$(
        $(#[$doc])*
        #[inline(always)]
        fn $name($self $(, $argument: $type)*) $(-> $out)? {
            #[allow(unused_unsafe)] // Instructions that take no pointer are safe in some places.
            // SAFETY: an instruction set is a value only where the machine has the instructions, and
            // pointers are those of arrays as long as a register.
            unsafe { $($body)* }
        }
    )*};
}
pub(crate) use operations;

/// Vectors of `N` registers, of `L` lanes of 32 bits or `H` of 64.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vectors<R, const N: usize, const L: usize, const H: usize>(pub(crate) R);

/// What there is for each register. A loop, because closures need not become part of the function that
/// enables the instructions.
macro_rules! registers {
    ($i:ident => $value:expr) => {{
        let $i = 0;
        let mut out = [$value; N];
        for $i in 1..N {
            out[$i] = $value;
        }
        out
    }};
}

/// Operations that do the same with each register of vectors.
macro_rules! each {
    ($($name:ident($($argument:ident: $of:ident),*) -> $out:ident;)*) => {$(
        #[inline(always)]
        fn $name(self, $($argument: Self::$of),*) -> Self::$out {
            registers!(i => self.0.$name($($argument[i]),*))
        }
    )*};
}

/// The part of an array that a register holds.
#[inline(always)]
fn part<T, const P: usize>(x: &[T; LANES], register: usize) -> &[T; P] {
    &x.as_chunks().0[register]
}

#[inline(always)]
fn part_mut<T, const P: usize>(x: &mut [T; LANES], register: usize) -> &mut [T; P] {
    &mut x.as_chunks_mut().0[register]
}

impl<R: Registers<L, H>, const N: usize, const L: usize, const H: usize> Simd
    for Vectors<R, N, L, H>
{
    type U = [R::U; N];
    type F = [R::F; N];
    /// For each register of 32-bit lanes the two that go with it.
    type D = [[R::D; 2]; N];
    type M = [R::U; N];
    type Table = R::Table;

    // A byte holds 255, and a word adds up to 8.
    const COUNTS: usize = 31;
    const PIXELS: usize = 2;

    each! {
        xor(a: U, b: U) -> U;
        and(a: U, b: U) -> U;
        or(a: U, b: U) -> U;
        add_u(a: U, b: U) -> U;
        sub_u(a: U, b: U) -> U;
        min_u(a: U, b: U) -> U;
        shift_right_4(a: U) -> U;
        count(counts: U, x: U) -> U;
        widen(counts: U) -> U;
        gt_u(a: U, b: U) -> M;
        test(a: U, b: U) -> M;
        add(a: F, b: F) -> F;
        sub(a: F, b: F) -> F;
        mul(a: F, b: F) -> F;
        div(a: F, b: F) -> F;
        max(a: F, b: F) -> F;
        min(a: F, b: F) -> F;
        gt(a: F, b: F) -> M;
        eq(a: F, b: F) -> M;
        to_f(a: U) -> F;
        gt_d(a: D, b: D) -> M;
        eq_d(a: D, b: D) -> M;
        select_d(mask: M, x: D) -> D;
        to_d(a: U) -> D;
        dot(sum: U, pixels: U, weights: U) -> U;
    }

    #[inline(always)]
    fn splat_u(self, x: u32) -> Self::U {
        [self.0.splat_u(x); N]
    }
    #[inline(always)]
    fn load_u(self, x: &[u32; LANES]) -> Self::U {
        registers!(i => self.0.load_u(part(x, i)))
    }
    #[inline(always)]
    fn store_u(self, x: Self::U, out: &mut [u32; LANES]) {
        for i in 0..N {
            self.0.store_u(x[i], part_mut(out, i));
        }
    }
    #[inline(always)]
    fn select_u(self, mask: Self::M, x: Self::U) -> Self::U {
        self.and(mask, x)
    }
    #[inline(always)]
    fn mask_bits(self, mask: Self::M) -> u16 {
        let mut bits = 0;
        for i in 0..N {
            bits |= self.0.mask_bits(mask[i]) << (L * i);
        }
        bits
    }
    #[inline(always)]
    fn or_m(self, a: Self::M, b: Self::M) -> Self::M {
        self.or(a, b)
    }

    #[inline(always)]
    fn splat_f(self, x: f32) -> Self::F {
        [self.0.splat_f(x); N]
    }
    #[inline(always)]
    fn load_f(self, x: &[f32; LANES]) -> Self::F {
        registers!(i => self.0.load_f(part(x, i)))
    }
    #[inline(always)]
    fn store_f(self, x: Self::F, out: &mut [f32; LANES]) {
        for i in 0..N {
            self.0.store_f(x[i], part_mut(out, i));
        }
    }
    #[inline(always)]
    fn table(self, x: &[f32; LANES]) -> Self::Table {
        self.0.table(x)
    }
    #[inline(always)]
    fn lookup(self, table: Self::Table, index: Self::U) -> Self::F {
        registers!(i => self.0.lookup(table, index[i]))
    }

    #[inline(always)]
    fn splat_d(self, x: f64) -> Self::D {
        [[self.0.splat_d(x); 2]; N]
    }
    #[inline(always)]
    fn load_d(self, x: &[f64; LANES]) -> Self::D {
        registers!(i => [self.0.load_d(part(x, 2 * i)), self.0.load_d(part(x, 2 * i + 1))])
    }
    #[inline(always)]
    fn store_d(self, x: Self::D, out: &mut [f64; LANES]) {
        for i in 0..N {
            for half in 0..2 {
                self.0.store_d(x[i][half], part_mut(out, 2 * i + half));
            }
        }
    }
    #[inline(always)]
    fn add_d(self, a: Self::D, b: Self::D) -> Self::D {
        registers!(i => [self.0.add_d(a[i][0], b[i][0]), self.0.add_d(a[i][1], b[i][1])])
    }
    #[inline(always)]
    fn mul_d(self, a: Self::D, b: Self::D) -> Self::D {
        registers!(i => [self.0.mul_d(a[i][0], b[i][0]), self.0.mul_d(a[i][1], b[i][1])])
    }

    #[inline(always)]
    fn prefetch(self, line: &[f32; LANES]) {
        self.0.prefetch(line);
    }
    #[inline(always)]
    fn load_halves(self, x: &[u16; LANES]) -> Self::U {
        registers!(i => self.0.load_halves(part(x, i)))
    }

    #[inline(always)]
    fn load_levels(self, x: &[i8; LANES]) -> Self::U {
        registers!(i => self.0.load_levels(part(x, i)))
    }
}
