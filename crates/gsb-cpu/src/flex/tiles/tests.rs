//! Against sums in `f64`. Machines without tiles have nothing to test: each test returns there.

use super::*;

/// Every kind of product that the machine has; none on most.
fn kinds() -> impl Iterator<Item = (Products, Tiles)> {
    let tiles = |products| Some((products, Tiles::new(products)?));
    Products::ALL.into_iter().filter_map(tiles)
}

/// Numbers by a multiplicative hash, in 0..1.
fn hash(index: usize, seed: usize) -> f64 {
    let hash = (index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15 ^ ((seed as u64) << 7));
    (hash >> 40) as f64 / f64::from(1 << 24)
}

/// Both factors as they may lie in memory: `[rows, columns]` in order, in order with a gap after each row, or transposed.
#[derive(Clone, Copy)]
enum Lies {
    Plain,
    Apart,
    Transposed,
}

const LIES: [Lies; 3] = [Lies::Plain, Lies::Apart, Lies::Transposed];

struct Stored {
    values: Vec<f32>,
    rows: usize,
    columns: usize,
    lies: Lies,
}

impl Stored {
    fn new(rows: usize, columns: usize, lies: Lies, value: impl Fn(usize) -> f32) -> Self {
        let (outer, inner, gap) = match lies {
            Lies::Plain => (rows, columns, 0),
            Lies::Apart => (rows, columns, 5),
            Lies::Transposed => (columns, rows, 3),
        };
        // What nobody may read is no number.
        let mut values = vec![f32::NAN; outer * (inner + gap)];
        for (line, values) in values.chunks_exact_mut(inner + gap).enumerate() {
            for (place, x) in values[..inner].iter_mut().enumerate() {
                *x = match lies {
                    Lies::Transposed => value(place * columns + line),
                    _ => value(line * columns + place),
                };
            }
        }
        Self {
            values,
            rows,
            columns,
            lies,
        }
    }

    fn matrix(&self) -> Matrix<'_> {
        let (rows, columns) = (self.rows, self.columns);
        match self.lies {
            Lies::Plain => Matrix::rows(&self.values, columns),
            Lies::Apart => Matrix::within(&self.values, rows, columns, columns + 5),
            Lies::Transposed => Matrix::within(&self.values, columns, rows, rows + 3).transposed(),
        }
    }
}

fn element(m: Matrix, row: usize, column: usize) -> f64 {
    let (values, steps) = m.memory();
    f64::from(values[row * steps[0] + column * steps[1]])
}

/// The product, none if a factor is not finite.
fn run(tiles: Tiles, a: Matrix, b: Matrix, bias: Option<&[f32]>, shared: bool) -> Option<Vec<f32>> {
    let mut out = vec![MaybeUninit::new(f32::NAN); a.shape()[0] * b.shape()[1]];
    let is_finite = tiles.multiply([a, b], bias, &mut out, shared);
    #[allow(unsafe_code)]
    // SAFETY: it was initialised above.
    let values = out.iter().map(|x| unsafe { x.assume_init() }).collect();
    is_finite.then_some(values)
}

/// Calls `check` with each element of the product, and its sum and that of the magnitudes of its terms in `f64`.
fn elements(a: Matrix, b: Matrix, y: &[f32], check: impl Fn(f32, f64, f64)) {
    assert_eq!(y.len(), a.shape()[0] * b.shape()[1]);
    for (index, &y) in y.iter().enumerate() {
        let (row, column) = (index / b.shape()[1], index % b.shape()[1]);
        let terms = (0..a.shape()[1]).map(|k| element(a, row, k) * element(b, k, column));
        let (mut sum, mut magnitude) = (0.0, 0.0);
        for term in terms {
            sum += term;
            magnitude += term.abs();
        }
        check(y, sum, magnitude);
    }
}

/// Shapes of less than a block, of whole ones, of some with a rest, with sums in one part and in several.
const SHAPES: [[usize; 3]; 10] = [
    [1, 1, 1],
    [1, 2, 1],
    [3, 31, 5],
    [16, 32, 16],
    [17, 33, 15],
    [32, 64, 32],
    [33, 70, 65],
    [70, 1, 64],
    [5, 63, 130],
    [3, 1700, 34],
];

#[test]
fn products_of_numbers_of_bfloat16_are_exact() {
    for (_, tiles) in kinds() {
        for [rows, terms, columns] in SHAPES {
            for of_a in LIES {
                for of_b in LIES {
                    // Integers of up to 8 bits, whose sums have less than 24.
                    let most = if terms < 256 { 255.0 } else { 63.0 };
                    let integer = |index, seed| {
                        ((hash(index, seed) * (2.0 * most + 1.0)).floor() - most) as f32
                    };
                    let a = Stored::new(rows, terms, of_a, |index| integer(index, 1));
                    let b = Stored::new(terms, columns, of_b, |index| integer(index, 2));
                    let bias: Vec<f32> = (0..columns).map(|index| integer(index, 3)).collect();
                    let (a, b) = (a.matrix(), b.matrix());
                    let y = run(tiles, a, b, None, false).expect("finite");
                    elements(a, b, &y, |y, sum, _| assert_eq!(f64::from(y), sum));
                    let shifted = run(tiles, a, b, Some(&bias), true).expect("finite");
                    for (index, (&y, shifted)) in y.iter().zip(shifted).enumerate() {
                        assert_eq!(shifted, y + bias[index % columns]);
                    }
                }
            }
        }
    }
}

#[test]
fn errors_are_those_of_rounding() {
    for (products, tiles) in kinds() {
        for [rows, terms, columns] in (1..=70)
            .step_by(3)
            .flat_map(|n| [[n, 71 - n, 40], [40, n, n]])
            .chain([[4, 2000, 9]])
        {
            for of_a in LIES {
                for of_b in LIES {
                    // Of all sizes from 2^-20 to 2^20.
                    let number = |index, seed| {
                        let size = (hash(index, seed + 10) * 40.0 - 20.0).exp2();
                        ((hash(index, seed) - 0.5) * size) as f32
                    };
                    let a = Stored::new(rows, terms, of_a, |index| number(index, 1));
                    let b = Stored::new(terms, columns, of_b, |index| number(index, 2));
                    let (a, b) = (a.matrix(), b.matrix());
                    let y = run(tiles, a, b, None, false).expect("finite");
                    elements(a, b, &y, |y, sum, magnitude| {
                        let bound = magnitude * relative_bound(products, terms);
                        let error = (f64::from(y) - sum).abs();
                        assert!(error <= bound, "{y} for {sum}: {error}, at most {bound}");
                    });
                }
            }
        }
    }
}

/// How far a sum of `terms` products may be from the exact one, relative to the sum of their magnitudes.
fn relative_bound(products: Products, terms: usize) -> f64 {
    // A number of bfloat16 has 8 bits.
    let rounding = 2.0_f64.powi(-8);
    // Of a factor, what the numbers leave that it is the sum of; of both, the products of those that are left out; and how
    // many are added up.
    let (left, left_out, products) = match products {
        Products::Float => (0.0, 0.0, 0),
        Products::Bfloat16 => (rounding, 0.0, 1),
        Products::Bfloat16x3 => (rounding.powi(2), (rounding * (1.0 + rounding)).powi(2), 3),
        // Of its 24 bits, three times 8 leave nothing.
        Products::Bfloat16x6 => {
            let small = rounding.powi(2);
            (0.0, small * (2.0 * rounding + small), 6)
        }
    };
    let factors = (1.0_f64 + left).powi(2) - 1.0 + left_out;
    // Products of bfloat16 are exact as floats. Those of each term are added up in some order, with two rounded steps for
    // each pair at most, and are at most `(1 + 2 rounding)^2` of the magnitude of the term. Zeros beyond the terms add nothing.
    let steps = f64::from(products) * terms as f64;
    let additions = steps * f64::from(f32::EPSILON) / 2.0;
    factors + additions * (1.0 + 2.0 * rounding).powi(2)
}

#[test]
fn factors_of_one_magnitude_are_exact() {
    // Not a number of bfloat16.
    let magnitude = 0.1_f32;
    let sign = |index| (hash(index, 1) * 3.0).floor() as f32 - 1.0;
    // At most 2^8, so that they are numbers of bfloat16.
    let integer = |index| (hash(index, 2) * 511.0).floor() as f32 - 255.0;
    for (_, tiles) in kinds() {
        for [rows, terms, columns] in SHAPES {
            for (of_a, of_b) in LIES
                .into_iter()
                .zip([Lies::Transposed, Lies::Plain, Lies::Apart])
            {
                let signs = Stored::new(rows, terms, of_a, |index| magnitude * sign(index));
                let exact = Stored::new(rows, terms, of_a, sign);
                let other = Stored::new(terms, columns, of_b, integer);
                let [signs, exact, other] = [&signs, &exact, &other].map(Stored::matrix);
                for (a, b, exact) in [
                    (signs, other, [exact, other]),
                    (
                        other.transposed(),
                        signs.transposed(),
                        [other, exact].map(Matrix::transposed),
                    ),
                ] {
                    let y = run(tiles, a, b, None, true).expect("finite");
                    let [a, b] = exact;
                    elements(a, b, &y, |y, sum, terms_of_sum| {
                        // Sums in several parts are multiplied by the magnitude before they are added up.
                        let parts = if terms < 256 { 0.0 } else { 4.0 };
                        let bound = parts * f64::from(f32::EPSILON * magnitude) * terms_of_sum;
                        let error = f64::from(y - sum as f32 * magnitude).abs();
                        assert!(error <= bound, "{y} for {sum}: {error}");
                    });
                }
            }
        }
    }
}

#[test]
fn what_only_begins_like_signs_is_none() {
    for (products, tiles) in kinds() {
        for lies in LIES {
            for last in [0.3, -2.0e-4, 7.0] {
                let signs = |index: usize| 0.1 * (1.0 - 2.0 * (index % 2) as f32);
                let value = |index| match index {
                    index if index == 40 * 70 - 1 => last,
                    index => 2.0 * signs(index),
                };
                let a = Stored::new(40, 70, lies, value);
                let b = Stored::new(70, 33, lies, |index| (hash(index, 1) - 0.5) as f32);
                let c = Stored::new(70, 33, lies, signs);
                // With floats, and with signs: these stay exact.
                for (b, exact_b) in [(&b, false), (&c, true)] {
                    for [a, b] in [
                        [a.matrix(), b.matrix()],
                        [b.matrix(), a.matrix()].map(Matrix::transposed),
                    ] {
                        let y = run(tiles, a, b, None, false).expect("finite");
                        elements(a, b, &y, |y, sum, magnitude| {
                            let bound = match exact_b {
                                false => magnitude * relative_bound(products, 70),
                                true => magnitude * bound_of_signs(products, 70),
                            };
                            let error = (f64::from(y) - sum).abs();
                            assert!(error <= bound, "{y} for {sum}: {error}, at most {bound}");
                        });
                    }
                }
            }
        }
    }
}

/// As [`relative_bound`] where one factor is one of signs.
fn bound_of_signs(products: Products, terms: usize) -> f64 {
    let rounding = 2.0_f64.powi(-8);
    let (left, products) = match products {
        Products::Float => (0.0, 0),
        Products::Bfloat16 => (rounding, 1),
        Products::Bfloat16x3 => (rounding.powi(2), 2),
        Products::Bfloat16x6 => (0.0, 3),
    };
    // Each sum is multiplied by the magnitude, which rounds once more.
    let steps = f64::from(products) * terms as f64 + 1.0;
    left + steps * f64::from(f32::EPSILON) / 2.0 * (1.0 + 2.0 * rounding)
}

#[test]
fn zeros_are_exact_wherever_they_are() {
    for (_, tiles) in kinds() {
        for lies in LIES {
            let zeros = Stored::new(40, 70, lies, |_| 0.0);
            let numbers = Stored::new(70, 33, lies, |index| hash(index, 1) as f32);
            let bias: Vec<f32> = (0..33).map(|index| hash(index, 2) as f32).collect();
            let y = run(tiles, zeros.matrix(), numbers.matrix(), Some(&bias), true);
            for row in y.expect("finite").chunks_exact(33) {
                assert_eq!(row, bias);
            }
        }
    }
}

#[test]
fn what_is_not_finite_is_left_to_floats() {
    for (_, tiles) in kinds() {
        let rounds_to_infinity = f32::from_bits(0x7F7F_8000);
        for strange in [
            f32::NAN,
            -f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            rounds_to_infinity,
        ] {
            for lies in LIES {
                for place in [0, 33, 40 * 35 - 1] {
                    let value = |index| if index == place { strange } else { 1.0 };
                    let odd = Stored::new(40, 35, lies, value);
                    let ones = Stored::new(35, 70, lies, |_| 1.0);
                    let (odd, ones) = (odd.matrix(), ones.matrix());
                    assert_eq!(run(tiles, odd, ones, None, false), None);
                    let (ones, odd) = (ones.transposed(), odd.transposed());
                    assert_eq!(run(tiles, ones, odd, None, true), None);
                }
            }
        }
        // The largest number that does not, and the smallest that is not lost.
        for x in [f32::from_bits(0x7F7F_7FFF), f32::MIN_POSITIVE] {
            let y = run(
                tiles,
                Matrix::rows(&[x], 1),
                Matrix::rows(&[1.0], 1),
                None,
                false,
            );
            let y = y.expect("finite")[0];
            assert!((y - x).abs() <= x / 256.0, "{y} for {x}");
        }
    }
}

#[test]
fn products_do_not_depend_on_the_number_of_threads() {
    for (_, tiles) in kinds() {
        for [rows, terms, columns] in [[500, 384, 96], [96, 2000, 700]] {
            let number = |index, seed| (hash(index, seed) - 0.5) as f32;
            let a = Stored::new(rows, terms, Lies::Plain, |index| number(index, 1));
            let b = Stored::new(terms, columns, Lies::Transposed, |index| number(index, 2));
            let on = |threads| {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .unwrap();
                pool.install(|| run(tiles, a.matrix(), b.matrix(), None, true).expect("finite"))
            };
            let alone = run(tiles, a.matrix(), b.matrix(), None, false).expect("finite");
            for threads in 1..=4 {
                assert!(on(threads) == alone, "{threads} threads");
            }
        }
    }
}
