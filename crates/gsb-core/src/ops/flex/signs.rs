//! Products of signs, as counts of bits.
//!
//! Both factors of a one-bit layer have a single magnitude, so their product counts the pairs of signs that differ,
//! 64 in an instruction, and multiplies once per element of the result. What is counted is exact: the result is
//! rounded less often than a sum of products.

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
/// are plus or minus some magnitude and those of `x` either that as well or some magnitude and 0.
pub(super) fn product(x: &[f32], weight: &[f32], inputs: usize, bias: &[f32]) -> Option<Vec<f32>> {
    let outputs = bias.len();
    if x.is_empty() || inputs == 0 || outputs == 0 {
        return None;
    }
    let factor = Factor::of_row(&x[..inputs])?;
    let weight = Columns::new(weight, inputs, outputs)?;
    let rows = x.len() / inputs;
    let mut out = vec![0.0; rows * outputs];
    let task = |(x, out): (&[f32], &mut [f32])| weight.multiply(factor, x, bias, out);
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

/// What the elements of the left factor are.
#[derive(Debug, Clone, Copy)]
enum Factor {
    /// Plus or minus a magnitude.
    Signs(f32),
    /// A magnitude or 0.
    Bits(f32),
}

impl Factor {
    /// Decided by one row; the others are compared with it.
    fn of_row(row: &[f32]) -> Option<Self> {
        let magnitude = row.iter().copied().find(|&value| value != 0.0)?.abs();
        match row.contains(&0.0) {
            _ if !magnitude.is_finite() => None,
            true => Some(Self::Bits(magnitude)),
            false => Some(Self::Signs(magnitude)),
        }
    }

    fn magnitude(self) -> f32 {
        match self {
            Self::Signs(magnitude) | Self::Bits(magnitude) => magnitude,
        }
    }

    #[inline(always)]
    fn holds(self, value: f32) -> bool {
        match self {
            Self::Signs(magnitude) => value.abs() == magnitude,
            Self::Bits(magnitude) => value == magnitude || value == 0.0,
        }
    }
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

    /// Some rows of a product with it; false if an element of them is none of the factor's.
    fn multiply(&self, factor: Factor, x: &[f32], bias: &[f32], out: &mut [f32]) -> bool {
        let words = self.rows.div_ceil(WORD);
        let mut bits = vec![0; ROWS * words];
        let mut counts: [Vec<u32>; ROWS] = std::array::from_fn(|_| vec![0; bias.len()]);
        let both = matches!(factor, Factor::Bits(_));
        let scale = factor.magnitude() * self.magnitude;
        let rows = x.chunks(ROWS * self.rows);
        for (x, out) in rows.zip(out.chunks_mut(ROWS * bias.len())) {
            for (row, bits) in x.chunks_exact(self.rows).zip(bits.chunks_exact_mut(words)) {
                if !Arch::new().dispatch(Pack { row, factor, bits }) {
                    return false;
                }
            }
            count(&bits, &self.words, both, &mut counts);
            for (row, out) in out.chunks_exact_mut(bias.len()).enumerate() {
                // Pairs of one sign less those of two; or bits at a plus less those at a minus.
                let (whole, twice) = match factor {
                    Factor::Signs(_) => (self.rows as i32, -2),
                    Factor::Bits(_) => (-ones(&bits[row * words..][..words]), 2),
                };
                Arch::new().dispatch(Scale {
                    counts: &counts[row],
                    whole,
                    twice,
                    scale,
                    bias,
                    out,
                });
            }
        }
        true
    }
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

/// The bits of a row; false if an element is none of the factor's.
struct Pack<'a> {
    row: &'a [f32],
    factor: Factor,
    bits: &'a mut [u64],
}

impl WithSimd for Pack<'_> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> bool {
        // With its length known, a word is packed by vector instructions.
        let whole = self.row.chunks_exact(WORD);
        let rest = whole.remainder();
        let mut known = true;
        for (values, word) in whole.zip(&mut *self.bits) {
            known &= pack(values, self.factor, word);
        }
        if let (false, Some(word)) = (rest.is_empty(), self.bits.last_mut()) {
            known &= pack(rest, self.factor, word);
        }
        known
    }
}

#[inline(always)]
fn pack(values: &[f32], factor: Factor, word: &mut u64) -> bool {
    let mut bits = 0;
    let mut strange = 0;
    for (bit, &value) in values.iter().enumerate() {
        bits |= u64::from(value > 0.0) << bit;
        strange |= u32::from(!factor.holds(value));
    }
    *word = bits;
    strange == 0
}

/// For each column how many of its bits differ from those of each row or, for `both`, are set in both.
fn count(bits: &[u64], columns: &[u64], both: bool, counts: &mut [Vec<u32>; ROWS]) {
    let count = Count {
        bits,
        columns,
        both,
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
    bits: &'a [u64],
    columns: &'a [u64],
    both: bool,
    counts: &'a mut [Vec<u32>; ROWS],
}

impl Count<'_> {
    #[inline(always)]
    fn of(self, together: impl Fn(u64, u64) -> u64) {
        let words = self.bits.len() / ROWS;
        let (first, rest) = self.bits.split_at(words);
        let (second, rest) = rest.split_at(words);
        let (third, fourth) = rest.split_at(words);
        let columns = self.columns.chunks_exact(words);
        let [a, b, c, d] = self.counts;
        let counts = a.iter_mut().zip(b).zip(c).zip(d);
        for (column, (((a, b), c), d)) in columns.zip(counts) {
            let mut sums = (0, 0, 0, 0);
            let rows = first.iter().zip(second).zip(third).zip(fourth);
            for (column, (((a, b), c), d)) in column.iter().zip(rows) {
                sums.0 += together(*a, *column).count_ones();
                sums.1 += together(*b, *column).count_ones();
                sums.2 += together(*c, *column).count_ones();
                sums.3 += together(*d, *column).count_ones();
            }
            (*a, *b, *c, *d) = sums;
        }
    }
}

impl NullaryFnOnce for Count<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        match self.both {
            true => self.of(|row, column| row & column),
            false => self.of(|row, column| row ^ column),
        }
    }
}

fn ones(bits: &[u64]) -> i32 {
    bits.iter().map(|word| word.count_ones() as i32).sum()
}

/// `(whole + twice * count) * scale + bias` of the counts of a row.
struct Scale<'a> {
    counts: &'a [u32],
    whole: i32,
    twice: i32,
    scale: f32,
    bias: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for ((y, &count), bias) in self.out.iter_mut().zip(self.counts).zip(self.bias) {
            let sum = self.whole + self.twice * count as i32;
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
            let mut x: Vec<f32> = x.iter().map(|x| x.max(0.0)).collect();
            x[0] = 0.125;
            if inputs > 1 {
                x[1] = 0.0;
            }
            let y = product(&x, &weight, inputs, &bias).expect("bits");
            assert_eq!(y, plain(&x, &weight, inputs, &bias));
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
            // Of the last row, and of one that has been taken for signs already.
            for at in [inputs, rows * inputs / 2, rows * inputs - 1] {
                let mut x = x.clone();
                x[at] = strange;
                assert_eq!(product(&x, &weight, inputs, &bias), None, "{strange} in x");
            }
        }
        let bits: Vec<f32> = x.iter().map(|x| x.max(0.0)).collect();
        for strange in [-1.0, 0.5, f32::NAN] {
            let mut bits = bits.clone();
            bits[3 * inputs] = strange;
            assert_eq!(
                product(&bits, &weight, inputs, &bias),
                None,
                "{strange} in bits"
            );
        }
        assert_eq!(product(&[], &weight, inputs, &bias), None);
        assert_eq!(product(&vec![0.0; inputs], &weight, inputs, &bias), None);
    }
}
