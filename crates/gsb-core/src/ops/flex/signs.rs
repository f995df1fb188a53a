//! Products of signs, as counts of bits.
//!
//! Both factors of a one-bit layer have a single magnitude, so their product counts the pairs of signs that differ,
//! 64 in an instruction, and multiplies once per element of the result. What is counted is exact: the result is
//! rounded less often than a sum of products. Processors with tiles (AMX) add up signs faster still, with the same result.

use gsb_cpu::flex::product_of_signs;
use pulp::{Arch, NullaryFnOnce, Simd, WithSimd};
use rayon::prelude::*;

/// Bits of a word.
const WORD: usize = u64::BITS as usize;

/// Rows that share what is read of the weight.
const ROWS: usize = 4;

/// Rows of a task, and multiplications that are worth a second thread.
const ROWS_OF_TASK: usize = 16;
const WORTH_A_THREAD: usize = 1 << 22;

/// `x w + bias`, with rows of `x` of `inputs` elements and a weight `[inputs, outputs]`, if the elements of the weight
/// are plus or minus some magnitude and those of `x` plus or minus some magnitude or 0. Tiles also take zeros in the weight.
pub(super) fn product(x: &[f32], weight: &[f32], inputs: usize, bias: &[f32]) -> Option<Vec<f32>> {
    let outputs = bias.len();
    if x.is_empty() || inputs == 0 || outputs == 0 {
        return None;
    }
    product_of_signs(x, weight, inputs, bias).or_else(|| counted(x, weight, inputs, bias))
}

fn counted(x: &[f32], weight: &[f32], inputs: usize, bias: &[f32]) -> Option<Vec<f32>> {
    let outputs = bias.len();
    let magnitude = x
        .iter()
        .find(|&&value| value != 0.0)
        .map_or(1.0, |x| x.abs());
    if !magnitude.is_finite() {
        return None;
    }
    let weight = Columns::new(weight, inputs, outputs)?;
    let rows = x.len() / inputs;
    let mut out = vec![0.0; rows * outputs];
    let task = |(x, out): (&[f32], &mut [f32])| weight.multiply(magnitude, x, bias, out);
    let threads = rayon::current_num_threads();
    let work = rows.saturating_mul(inputs).saturating_mul(outputs);
    let all = if threads > 1 && work >= WORTH_A_THREAD && rows >= 2 * ROWS_OF_TASK {
        let len = rows.div_ceil(threads).max(ROWS_OF_TASK);
        let xs = x.par_chunks(len * inputs);
        xs.zip(out.par_chunks_mut(len * outputs)).all(task)
    } else {
        task((x, &mut out))
    };
    all.then_some(out)
}

/// A matrix of plus or minus a magnitude, the words of a column one after the other.
struct Columns {
    words: Vec<u64>,
    rows: usize,
    magnitude: f32,
}

impl Columns {
    fn new(values: &[f32], rows: usize, columns: usize) -> Option<Self> {
        let magnitude = values[0].abs();
        if magnitude == 0.0 || !magnitude.is_finite() {
            return None;
        }
        let mut across = vec![0; rows.div_ceil(WORD) * columns];
        let parts = values.chunks(WORD * columns);
        for (values, words) in parts.zip(across.chunks_exact_mut(columns)) {
            let signs = SignsOfRows {
                values,
                magnitude,
                words,
            };
            if !Arch::new().dispatch(signs) {
                return None;
            }
        }
        let column = |column| across[column..].iter().step_by(columns).copied();
        Some(Self {
            words: (0..columns).flat_map(column).collect(),
            rows,
            magnitude,
        })
    }

    /// Some rows of a product with it; false if an element of theirs has another magnitude.
    fn multiply(&self, magnitude: f32, x: &[f32], bias: &[f32], out: &mut [f32]) -> bool {
        let words = self.rows.div_ceil(WORD);
        let mut bits = RowBits {
            plus: vec![0; ROWS * words],
            any: vec![0; ROWS * words],
        };
        let mut counts: [Vec<u32>; ROWS] = std::array::from_fn(|_| vec![0; bias.len()]);
        let scale = magnitude * self.magnitude;
        let rows = x.chunks(ROWS * self.rows);
        for (x, out) in rows.zip(out.chunks_mut(ROWS * bias.len())) {
            for (index, row) in x.chunks_exact(self.rows).enumerate() {
                let of_row = index * words..(index + 1) * words;
                let pack = Pack {
                    row,
                    magnitude,
                    plus: &mut bits.plus[of_row.clone()],
                    any: &mut bits.any[of_row],
                };
                if !Arch::new().dispatch(pack) {
                    return false;
                }
            }
            count(&bits, &self.words, self.rows, &mut counts);
            for (index, out) in out.chunks_exact_mut(bias.len()).enumerate() {
                Arch::new().dispatch(Scale {
                    counts: &counts[index],
                    ones: ones(&bits.any[index * words..][..words]),
                    scale,
                    bias,
                    out,
                });
            }
        }
        true
    }
}

/// Which elements of `ROWS` rows are plus the magnitude, and which are not 0.
struct RowBits {
    plus: Vec<u64>,
    any: Vec<u64>,
}

/// The signs of up to 64 rows, a word for each column; false if an element has another magnitude.
struct SignsOfRows<'a> {
    values: &'a [f32],
    magnitude: f32,
    words: &'a mut [u64],
}

impl WithSimd for SignsOfRows<'_> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> bool {
        let rows = self.values.chunks_exact(self.words.len());
        for (bit, row) in rows.enumerate() {
            let mut strange = 0;
            for (word, &value) in self.words.iter_mut().zip(row) {
                *word |= u64::from(value > 0.0) << bit;
                strange |= u32::from(value.abs() != self.magnitude);
            }
            if strange != 0 {
                return false;
            }
        }
        true
    }
}

/// The bits of a row; false if an element has another magnitude.
struct Pack<'a> {
    row: &'a [f32],
    magnitude: f32,
    plus: &'a mut [u64],
    any: &'a mut [u64],
}

impl WithSimd for Pack<'_> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> bool {
        // With its length known, a word is packed by vector instructions.
        let whole = self.row.chunks_exact(WORD);
        let rest = whole.remainder();
        let mut known = true;
        let mut words = self.plus.iter_mut().zip(self.any);
        for (values, (plus, any)) in whole.zip(&mut words) {
            known &= pack(values, self.magnitude, plus, any);
        }
        if let Some((plus, any)) = words.next() {
            known &= pack(rest, self.magnitude, plus, any);
        }
        known
    }
}

#[inline(always)]
fn pack(values: &[f32], magnitude: f32, plus: &mut u64, any: &mut u64) -> bool {
    (*plus, *any) = (0, 0);
    let mut strange = 0;
    for (bit, &value) in values.iter().enumerate() {
        *plus |= u64::from(value > 0.0) << bit;
        *any |= u64::from(value != 0.0) << bit;
        strange |= u32::from(value.abs() != magnitude && value != 0.0);
    }
    strange == 0
}

/// For each column, how many of the elements of each row that are not 0 have another sign.
fn count(bits: &RowBits, columns: &[u64], len: usize, counts: &mut [Vec<u32>; ROWS]) {
    let count = Count {
        bits,
        columns,
        len,
        counts,
    };
    // An instruction for a word beats vectors without one for it.
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V2::try_new() {
        return simd.vectorize(count);
    }
    Arch::new().dispatch(count)
}

struct Count<'a> {
    bits: &'a RowBits,
    columns: &'a [u64],
    /// Elements of a row.
    len: usize,
    counts: &'a mut [Vec<u32>; ROWS],
}

impl Count<'_> {
    /// `differing` of a word of a row and the word of a column.
    #[inline(always)]
    fn of<T: Copy>(self, words: &[T], differing: impl Fn(T, u64) -> u64) {
        let (first, rest) = words.split_at(words.len() / ROWS);
        let (second, rest) = rest.split_at(first.len());
        let (third, fourth) = rest.split_at(first.len());
        let columns = self.columns.chunks_exact(first.len());
        let [a, b, c, d] = self.counts;
        let counts = a.iter_mut().zip(b).zip(c).zip(d);
        for (column, (((a, b), c), d)) in columns.zip(counts) {
            let mut sums = (0, 0, 0, 0);
            let rows = first.iter().zip(second).zip(third).zip(fourth);
            for (column, (((a, b), c), d)) in column.iter().zip(rows) {
                sums.0 += differing(*a, *column).count_ones();
                sums.1 += differing(*b, *column).count_ones();
                sums.2 += differing(*c, *column).count_ones();
                sums.3 += differing(*d, *column).count_ones();
            }
            (*a, *b, *c, *d) = sums;
        }
    }
}

impl NullaryFnOnce for Count<'_> {
    type Output = ();

    /// Signs without a 0 and bits without a minus, which nearly all rows are, need one of their two words.
    #[inline(always)]
    fn call(self) {
        let RowBits { plus, any } = self.bits;
        if plus == any {
            self.of(any, |any, column| any & !column);
        } else if ones(any) as usize == ROWS * self.len {
            self.of(plus, |plus, column| plus ^ column);
        } else {
            let both: Vec<_> = plus.iter().copied().zip(any.iter().copied()).collect();
            self.of(&both, |(plus, any), column| any & (plus ^ column));
        }
    }
}

fn ones(bits: &[u64]) -> u32 {
    bits.iter().map(|word| word.count_ones()).sum()
}

/// `(ones - 2 * count) * scale + bias` of the counts of a row, as packed models compute it.
struct Scale<'a> {
    counts: &'a [u32],
    ones: u32,
    scale: f32,
    bias: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for ((y, &count), bias) in self.out.iter_mut().zip(self.counts).zip(self.bias) {
            let sum = self.ones as i32 - 2 * count as i32;
            *y = sum as f32 * self.scale + bias;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signs that follow no pattern.
    fn signs(n: usize, seed: u64) -> impl Iterator<Item = f32> {
        (0..n as u64).map(move |i| {
            let hash = (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15 ^ (seed << 9));
            if (hash ^ (hash >> 29)).count_ones() % 2 == 0 {
                1.0
            } else {
                -1.0
            }
        })
    }

    fn plain(x: &[f32], weight: &[f32], inputs: usize, bias: &[f32]) -> Vec<f32> {
        let outputs = bias.len();
        let row = |x: &[f32]| {
            let sum = |column: usize| {
                let products = x.iter().enumerate();
                products
                    .map(|(at, x)| f64::from(*x) * f64::from(weight[at * outputs + column]))
                    .sum::<f64>() as f32
            };
            (0..outputs)
                .map(|column| sum(column) + bias[column])
                .collect::<Vec<f32>>()
        };
        x.chunks_exact(inputs).flat_map(row).collect()
    }

    /// Magnitudes are powers of two, so nothing is rounded.
    #[test]
    fn counts_are_products() {
        for (rows, inputs, outputs) in [
            (1, 1, 1),
            (3, 7, 5),
            (5, 64, 8),
            (9, 130, 33),
            (70, 384, 200),
        ] {
            let weight: Vec<f32> = signs(inputs * outputs, 1).map(|sign| sign * 0.5).collect();
            let bias: Vec<f32> = (0..outputs).map(|at| at as f32 * 0.25 - 3.0).collect();
            let x: Vec<f32> = signs(rows * inputs, 2).map(|sign| sign * 0.125).collect();
            let y = product(&x, &weight, inputs, &bias).expect("signs");
            assert_eq!(y, plain(&x, &weight, inputs, &bias));
            // Bits, and signs with a 0 here and there.
            for floor in [0.0, f32::NEG_INFINITY] {
                let mut x: Vec<f32> = x.iter().map(|x| x.max(floor)).collect();
                x.iter_mut().step_by(7).for_each(|x| *x = 0.0);
                let y = product(&x, &weight, inputs, &bias).expect("bits or zeros");
                assert_eq!(y, plain(&x, &weight, inputs, &bias));
            }
        }
    }

    #[test]
    fn other_values_are_not_counted() {
        let (inputs, outputs, rows) = (70, 9, 40);
        let weight: Vec<f32> = signs(inputs * outputs, 3).collect();
        let x: Vec<f32> = signs(rows * inputs, 4).collect();
        let bias = vec![0.0; outputs];
        assert!(product(&x, &weight, inputs, &bias).is_some());
        for strange in [0.0, -0.5, 2.0, f32::NAN, f32::INFINITY] {
            for at in [0, inputs * outputs / 2, inputs * outputs - 1] {
                let mut weight = weight.clone();
                weight[at] = strange;
                assert_eq!(
                    product(&x, &weight, inputs, &bias),
                    None,
                    "{strange} in the weight"
                );
            }
        }
        for strange in [-0.5, 2.0, f32::NAN, f32::INFINITY] {
            for at in [0, inputs, rows * inputs / 2, rows * inputs - 1] {
                let mut x = x.clone();
                x[at] = strange;
                assert_eq!(product(&x, &weight, inputs, &bias), None, "{strange} in x");
            }
        }
        assert_eq!(product(&[], &weight, inputs, &bias), None);
        let nothing = product(&vec![0.0; inputs], &weight, inputs, &bias);
        assert_eq!(nothing, Some(bias));
    }

    /// Nothing to see on a machine without tiles.
    #[test]
    fn tiles_give_what_counts_give() {
        let has_tiles = gsb_cpu::Products::Bfloat16.check().is_ok();
        for (rows, inputs, outputs) in [(70, 200, 33), (300, 384, 130), (20, 1700, 33)] {
            let weight: Vec<f32> = signs(inputs * outputs, 1).map(|sign| sign * 0.3).collect();
            let bias: Vec<f32> = (0..outputs).map(|at| at as f32 * 0.1 - 3.0).collect();
            let x: Vec<f32> = signs(rows * inputs, 2).map(|sign| sign * 0.7).collect();
            let bits: Vec<f32> = x.iter().map(|x| x.max(0.0)).collect();
            for x in [x, bits, vec![0.0; rows * inputs]] {
                let by_tiles = product_of_signs(&x, &weight, inputs, &bias);
                assert_eq!(by_tiles.is_some(), has_tiles);
                let y = product(&x, &weight, inputs, &bias);
                assert_eq!(y, counted(&x, &weight, inputs, &bias));
                assert!(y.is_some());
                for strange in [0.71, f32::NAN, f32::INFINITY] {
                    let mut other = x.clone();
                    other[0] = 0.7;
                    other[rows * inputs - 1] = strange;
                    assert_eq!(product(&other, &weight, inputs, &bias), None);
                }
            }
        }
    }

    /// So a sample has the same bits whatever it is in a batch with.
    #[test]
    fn a_row_does_not_depend_on_others() {
        let (inputs, outputs, rows) = (100, 19, 11);
        let weight: Vec<f32> = signs(inputs * outputs, 5).map(|sign| sign * 0.3).collect();
        let bias: Vec<f32> = signs(outputs, 6).map(|sign| sign * 0.7).collect();
        let mut x: Vec<f32> = signs(rows * inputs, 7).map(|sign| sign * 0.1).collect();
        x[3 * inputs..4 * inputs].fill(0.0);
        x[5 * inputs..6 * inputs]
            .iter_mut()
            .step_by(3)
            .for_each(|x| *x = 0.0);
        x[7 * inputs..8 * inputs]
            .iter_mut()
            .for_each(|x| *x = x.abs());
        let all = product(&x, &weight, inputs, &bias).expect("signs and zeros");
        for (row, y) in x.chunks_exact(inputs).zip(all.chunks_exact(outputs)) {
            let alone = product(row, &weight, inputs, &bias).expect("signs and zeros");
            assert_eq!(alone, y);
        }
    }
}
