//! The operations that kernels are written in.
//!
//! A vector has 16 lanes on every machine, whatever its registers hold: one AVX-512 register, two of
//! AVX2, four of NEON. So memory layouts, the order of additions and with it every rounded result
//! are the same everywhere. For the same reason there is no fused multiply-add.

/// Lanes of a vector.
pub(crate) const LANES: usize = 16;

/// The elements of a vector in memory, on a cache line of their own.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
pub(crate) struct Line<T = u32>(pub(crate) [T; LANES]);

#[allow(unsafe_code)]
// SAFETY: an array of numbers, for which 0 is one.
unsafe impl bytemuck::Zeroable for Line {}

#[allow(unsafe_code)]
// SAFETY: any bits are numbers, and there is no padding: the 64 bytes of the array are its alignment.
unsafe impl bytemuck::Pod for Line {}

/// Vectors, as a value that can only be had where their instructions can be executed.
pub(crate) trait Simd: Copy {
    /// 32-bit integers.
    type U: Copy;
    /// 32-bit floats.
    type F: Copy;
    /// 64-bit floats.
    type D: Copy;
    /// A truth value for each lane.
    type M: Copy;
    /// 16 floats to look up.
    type Table: Copy;

    /// How many words [`count`](Self::count) can add up before [`widen`](Self::widen).
    const COUNTS: usize;
    /// Pixels in a lane of [`dot`](Self::dot): 4 bytes or 2 halves.
    const PIXELS: usize;

    fn splat_u(self, x: u32) -> Self::U;
    fn load_u(self, x: &[u32; LANES]) -> Self::U;
    fn store_u(self, x: Self::U, out: &mut [u32; LANES]);
    fn xor(self, a: Self::U, b: Self::U) -> Self::U;
    fn and(self, a: Self::U, b: Self::U) -> Self::U;
    fn or(self, a: Self::U, b: Self::U) -> Self::U;
    fn add_u(self, a: Self::U, b: Self::U) -> Self::U;
    fn sub_u(self, a: Self::U, b: Self::U) -> Self::U;
    fn min_u(self, a: Self::U, b: Self::U) -> Self::U;
    fn shift_right_4(self, a: Self::U) -> Self::U;
    /// Adds the number of ones of `x` to counters, which may be smaller than a lane.
    fn count(self, counts: Self::U, x: Self::U) -> Self::U;
    /// The counters of each lane added up.
    fn widen(self, counts: Self::U) -> Self::U;
    /// `a > b`, both unsigned.
    fn gt_u(self, a: Self::U, b: Self::U) -> Self::M;
    /// Whether `a` and `b` have a common one.
    fn test(self, a: Self::U, b: Self::U) -> Self::M;
    /// `x` where the mask is set, 0 elsewhere.
    fn select_u(self, mask: Self::M, x: Self::U) -> Self::U;
    /// A bit for each lane, the first lane's the lowest.
    fn mask_bits(self, mask: Self::M) -> u16;
    fn or_m(self, a: Self::M, b: Self::M) -> Self::M;

    fn splat_f(self, x: f32) -> Self::F;
    fn load_f(self, x: &[f32; LANES]) -> Self::F;
    fn store_f(self, x: Self::F, out: &mut [f32; LANES]);
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    fn gt(self, a: Self::F, b: Self::F) -> Self::M;
    fn eq(self, a: Self::F, b: Self::F) -> Self::M;
    /// Signed integers as floats.
    fn to_f(self, a: Self::U) -> Self::F;
    fn table(self, x: &[f32; LANES]) -> Self::Table;
    /// The entry of each lane's lowest four bits.
    fn lookup(self, table: Self::Table, index: Self::U) -> Self::F;

    fn splat_d(self, x: f64) -> Self::D;
    fn load_d(self, x: &[f64; LANES]) -> Self::D;
    fn store_d(self, x: Self::D, out: &mut [f64; LANES]);
    fn add_d(self, a: Self::D, b: Self::D) -> Self::D;
    fn mul_d(self, a: Self::D, b: Self::D) -> Self::D;
    fn gt_d(self, a: Self::D, b: Self::D) -> Self::M;
    fn eq_d(self, a: Self::D, b: Self::D) -> Self::M;
    /// `x` where the mask is set, 0 elsewhere.
    fn select_d(self, mask: Self::M, x: Self::D) -> Self::D;
    /// Signed integers as floats.
    fn to_d(self, a: Self::U) -> Self::D;

    /// Adds the products of unsigned pixels with signed weights, [`PIXELS`](Self::PIXELS) in a lane.
    fn dot(self, sum: Self::U, pixels: Self::U, weights: Self::U) -> Self::U;

    /// Asks for a line that will be read soon.
    #[inline(always)]
    fn prefetch(self, _line: &[f32; LANES]) {}

    /// Halves of lanes.
    #[inline(always)]
    fn load_halves(self, x: &[u16; LANES]) -> Self::U {
        self.load_u(&x.map(u32::from))
    }

    /// Signed bytes as lanes.
    #[inline(always)]
    fn load_levels(self, x: &[i8; LANES]) -> Self::U {
        self.load_u(&x.map(|x| i32::from(x) as u32))
    }
}
