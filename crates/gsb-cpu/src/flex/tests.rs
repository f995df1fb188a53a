//! The fused loops against the primitive operations, and their gradients against differences.

use burn::backend::{Scalar, ops::FloatTensorOps};
use burn::tensor::Slice;

use super::*;

/// Shapes of one element, of less than a vector, of several chunks with a rest.
const SHAPES: [[usize; 3]; 5] = [
    [1, 1, 1],
    [2, 3, 5],
    [3, 7, 33],
    [4, 170, 198],
    [3, 2, 30_000],
];

fn data(shape: impl Into<Shape>, seed: u64) -> FlexTensor {
    let shape = shape.into();
    let values = (0..shape.num_elements()).map(|i| {
        // A multiplicative hash, spread over -2..2.
        let hash = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15 ^ (seed << 7)) >> 40;
        hash as f32 / (1 << 22) as f32 - 2.0
    });
    vector(values.collect(), shape)
}

fn floats(x: &FlexTensor) -> Vec<f32> {
    elements(&contiguous(x.clone())).to_vec()
}

/// Equal but for the order of sums of `n` terms of size `largest`.
fn close(fused: &FlexTensor, primitive: &FlexTensor, n: usize, largest: f32) {
    assert_eq!(fused.shape(), primitive.shape());
    let bound = f32::EPSILON * (n as f32).sqrt() * largest * 4.0;
    for (a, b) in floats(fused).iter().zip(floats(primitive)) {
        assert!((a - b).abs() <= bound, "{a} against {b}, bound {bound}");
    }
}

fn equal(fused: &FlexTensor, primitive: &FlexTensor) {
    assert_eq!(fused.shape(), primitive.shape());
    assert_eq!(floats(fused), floats(primitive));
}

#[test]
fn products_equal_the_primitive_ones() {
    for [batch, tokens, inputs] in [[1, 1, 1], [2, 3, 5], [3, 50, 33], [8, 40, 198]] {
        for outputs in [1, 7, 150] {
            let x = data([batch, tokens, inputs], 1);
            let weight = data([inputs, outputs], 2);
            let bias = data([outputs], 3);
            let grad = data([batch, tokens, outputs], 4);
            close(
                &Flex::affine(x.clone(), weight.clone(), bias.clone()),
                &Flex::linear(x.clone(), weight.clone(), Some(bias)),
                inputs,
                16.0,
            );
            close(
                &Flex::affine_x_backward(weight.clone(), grad.clone()),
                &Flex::linear_x_backward(weight, grad.clone()),
                outputs,
                16.0,
            );
            close(
                &Flex::affine_weight_backward(x.clone(), grad.clone()),
                &Flex::linear_weight_backward(x, grad),
                batch * tokens,
                16.0,
            );
        }
    }
}

#[test]
fn shifts_equal_the_primitive_ones() {
    for [a, b, c] in SHAPES {
        for kept in [vec![c], vec![b, c], vec![a, b, c]] {
            let (x, rank) = (data([a, b, c], 1), kept.len());
            let shift = data(Shape::from(kept.clone()), 2);
            let expected = primitive::add_shift::<Flex>(x.clone(), shift.clone());
            equal(&Flex::add_shift(x.clone(), shift.clone()), &expected);
            equal(&Flex::add_shift(data([a, b, c], 1), shift), &expected);
            close(
                &Flex::sum_leading(x.clone(), rank),
                &primitive::sum_leading::<Flex>(x, rank),
                a * b,
                2.0,
            );
        }
    }
}

#[test]
fn normalization_equals_the_primitive_one() {
    for [a, b, c] in SHAPES {
        if c == 1 {
            continue; // the row is its mean: both divide rounding by rounding
        }
        let (x, grad) = (data([a, b, c], 1), data([a, b, c], 2));
        let (gamma, beta) = (data([c], 3), data([c], 4));
        let y = Flex::normalize(x.clone(), gamma.clone(), beta.clone(), 1e-12);
        let expected = Flex::layer_norm(x.clone(), gamma.clone(), Some(beta), 1e-12);
        close(&y, &expected, 16, 8.0);
        let args = || (x.clone(), gamma.clone(), grad.clone());
        let (x, gamma, grad) = args();
        let fused = Flex::normalize_backward(x, gamma, grad, 1e-12);
        let (x, gamma, grad) = args();
        let expected = primitive::normalize_backward::<Flex>(x, gamma, grad, 1e-12);
        close(&fused.0, &expected.0, 16, 16.0);
        // The data are alike from row to row: sums grow with the rows, and their rounding with them.
        let sums = (a * b) as f32 * 2.0;
        close(&fused.1, &expected.1, a * b, sums);
        close(&fused.2, &expected.2, a * b, sums);
    }
}

#[test]
fn softmax_equals_the_primitive_one() {
    for shape in SHAPES {
        for scale in [1.0, 0.125, -3.0, 200.0] {
            let (x, grad) = (data(shape, 1), data(shape, 2));
            let y = Flex::scaled_softmax(x.clone(), scale);
            let expected = primitive::scaled_softmax::<Flex>(x, scale);
            // The exponent of a product of up to 400 is rounded to 2e-5.
            let wide = scale.abs().max(1.0) as f32;
            close(&y, &expected, 16, wide);
            close(
                &Flex::scaled_softmax_backward(expected.clone(), grad.clone(), scale),
                &primitive::scaled_softmax_backward::<Flex>(expected, grad, scale),
                16,
                4.0 * wide,
            );
        }
    }
}

#[test]
fn softmax_has_the_usual_ends() {
    let row = |values: [f32; 3]| {
        let x = vector(values.to_vec(), Shape::new([1, 3]));
        floats(&Flex::scaled_softmax(x, 1.0))
    };
    assert_eq!(row([0.0, f32::NEG_INFINITY, 0.0]), [0.5, 0.0, 0.5]);
    assert_eq!(row([1e30, -1e30, 0.0]), [1.0, 0.0, 0.0]);
    assert!(row([0.0, f32::NAN, 1.0]).iter().all(|y| y.is_nan()));
}

#[test]
fn gelu_equals_the_primitive_one() {
    for (seed, shape) in SHAPES.into_iter().enumerate() {
        for bound in [None, Some(1.25), Some(10.0)] {
            // Most of it beyond the bounds.
            let x = Flex::float_mul_scalar(
                data(shape, seed as u64),
                Scalar::from(if bound.is_some() { 50.0 } else { 1.0 }),
            );
            let grad = data(shape, 100);
            // Each rounds some ten numbers of the size of the largest, of gradients the product.
            let expected = primitive::erf_gelu::<Flex>(x.clone(), bound);
            close(&Flex::erf_gelu(x.clone(), bound), &expected, 10, 200.0);
            let expected = primitive::erf_gelu_backward::<Flex>(x.clone(), grad.clone(), bound);
            close(
                &Flex::erf_gelu_backward(x, grad, bound),
                &expected,
                10,
                200.0,
            );
        }
    }
}

#[test]
fn heads_equal_the_primitive_ones() {
    for [batch, tokens, head_width] in [[1, 1, 1], [2, 3, 5], [3, 70, 33]] {
        for (heads, parts) in [(1, 1), (1, 3), (6, 1), (6, 3)] {
            for part in 0..parts {
                let x = data([batch, tokens, parts * heads * head_width], 1);
                let split = Flex::split_heads(x.clone(), heads, parts, part);
                equal(
                    &split,
                    &primitive::split_heads::<Flex>(x, heads, parts, part),
                );
                equal(
                    &Flex::merge_heads(split.clone(), parts, part),
                    &primitive::merge_heads::<Flex>(split, parts, part),
                );
            }
        }
    }
}

#[test]
fn attention_equals_the_primitive_one() {
    for [batch, tokens, head_width] in [[1, 1, 1], [2, 3, 5], [3, 70, 33]] {
        for heads in [1, 6] {
            let qkv = data([batch, tokens, 3 * heads * head_width], 1);
            let grad = data([batch, tokens, heads * head_width], 2);
            let scale = (head_width as f64).powf(-0.5);
            let (y, matrix) = Flex::attend(qkv.clone(), heads, scale);
            let expected = primitive::attend::<Flex>(qkv.clone(), heads, |scores| {
                primitive::scaled_softmax::<Flex>(scores, scale)
            });
            let terms = head_width.max(tokens);
            close(&matrix, &expected.1, terms, 16.0);
            close(&y, &expected.0, terms, 16.0);
            close(
                &Flex::attend_backward(qkv.clone(), matrix.clone(), grad.clone(), scale),
                &primitive::attend_backward::<Flex>(qkv, matrix, grad, |matrix, grad| {
                    primitive::scaled_softmax_backward::<Flex>(matrix, grad, scale)
                }),
                terms,
                64.0,
            );
        }
    }
}

#[test]
fn adamw_is_the_primitive_one_to_the_bit() {
    let step = AdamWStep {
        mix_1: 0.1,
        keep_2: 0.999,
        mix_2: 0.001,
        root_correction: 0.0447,
        epsilon: 1e-8,
        rate: 1e-3,
        keep: 0.9995,
    };
    for shape in SHAPES {
        let second = Flex::float_abs(data(shape, 4));
        let args = || {
            (
                data(shape, 1),
                data(shape, 2),
                data(shape, 3),
                second.clone(),
            )
        };
        let (w, g, m, v) = args();
        let fused = Flex::adamw(w, g, m, v, step);
        let (w, g, m, v) = args();
        let expected = primitive::adamw::<Flex>(w, g, m, v, step);
        equal(&fused.0, &expected.0);
        equal(&fused.1, &expected.1);
        equal(&fused.2, &expected.2);
    }
}

#[test]
fn views_are_read_in_order_and_shared_tensors_left_alone() {
    let x = data([4, 6, 50], 7);
    let view = |x: FlexTensor| {
        let x = Flex::float_swap_dims(x, 0, 2);
        Flex::float_slice(
            x,
            &[Slice::from(3..40), Slice::from(1..5), Slice::from(0..4)],
        )
    };
    let before = floats(&x);
    let y = Flex::scaled_softmax(view(x.clone()), 0.5);
    let copy = contiguous(view(x.clone()));
    equal(&y, &Flex::scaled_softmax(copy.clone(), 0.5));
    let shift = data([4], 1);
    let expected = Flex::add_shift(copy.clone(), shift.clone());
    equal(&Flex::add_shift(view(x.clone()), shift), &expected);
    Flex::scaled_softmax_backward(copy.clone(), copy.clone(), 0.5);
    let (gamma, beta) = (data([50], 1), data([50], 2));
    Flex::normalize_backward(x.clone(), gamma.clone(), x.clone(), 1e-6);
    Flex::normalize(x.clone(), gamma, beta, 1e-6);
    Flex::add_shift(x.clone(), data([50], 1));
    assert_eq!(floats(&x), before);
}

/// What is computed on so many threads.
fn on_threads<T: Send>(threads: usize, run: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().unwrap().install(run)
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let run = |threads| {
        on_threads(threads, || {
            let (x, grad) = (data([8, 198, 96], 1), data([8, 198, 96], 2));
            let gamma = data([96], 3);
            let (dx, dgamma, dbeta) =
                Flex::normalize_backward(x.clone(), gamma, grad.clone(), 1e-6);
            let weight = Flex::affine_weight_backward(x.clone(), grad.clone());
            [dx, dgamma, dbeta, weight, Flex::sum_leading(grad, 1)].map(|x| floats(&x))
        })
    };
    assert_eq!(run(1), run(3));
}

/// Narrow products of many terms, parts of one row and of few elements, which the crate behind them adds up in other ways.
#[test]
fn products_do_not_depend_on_the_number_of_threads() {
    let (x, grad) = (data([32, 18, 256], 1), data([32, 18, 64], 2));
    let (row, weight) = (data([1, 49, 1024], 3), data([1024, 128], 4));
    let (wide, narrow) = (data([17, 17, 256], 6), data([64, 256], 7));
    let run = |threads| {
        on_threads(threads, || {
            let gradient = Flex::affine_weight_backward(x.clone(), grad.clone());
            let product = Flex::affine(row.clone(), weight.clone(), data([128], 5));
            let input = Flex::affine_x_backward(narrow.clone(), wide.clone());
            [gradient, product, input].map(|x| floats(&x))
        })
    };
    let expected = run(1);
    for threads in (2..=8).chain([16]) {
        assert_eq!(run(threads), expected, "{threads} threads");
    }
}

#[test]
fn nothing_is_fine() {
    let empty = |shape: [usize; 3]| vector(vec![], Shape::new(shape));
    let shape = |x: FlexTensor| x.shape().as_slice().to_vec();
    let y = Flex::affine(empty([0, 2, 3]), data([3, 4], 1), data([4], 1));
    assert_eq!(shape(y), [0, 2, 4]);
    let weight = Flex::affine_weight_backward(empty([0, 2, 3]), empty([0, 2, 4]));
    assert_eq!(floats(&weight), [0.0; 12]);
    assert_eq!(
        shape(Flex::scaled_softmax(empty([0, 2, 3]), 1.0)),
        [0, 2, 3]
    );
    assert_eq!(floats(&Flex::sum_leading(empty([0, 2, 3]), 1)), [0.0; 3]);
    let y = Flex::normalize(empty([0, 2, 3]), data([3], 1), data([3], 1), 1e-6);
    assert_eq!(shape(y), [0, 2, 3]);
    assert_eq!(
        shape(Flex::split_heads(empty([0, 2, 6]), 2, 3, 1)),
        [0, 2, 2, 1]
    );
}

/// All products that the machine computes besides those of floats, none on most, and how far a factor is rounded.
fn rounded() -> impl Iterator<Item = (Products, f32)> {
    let all = [
        (Products::Bfloat16, 2.0_f32.powi(-8)),
        (Products::Bfloat16x3, 2.0_f32.powi(-16)),
        (Products::Bfloat16x6, 2.0_f32.powi(-23)),
    ];
    all.into_iter()
        .filter(|(products, _)| products.check().is_ok())
}

#[test]
fn layers_of_rounded_factors_are_near_those_of_floats() {
    for (products, rounding) in rounded() {
        let ([rows, inputs, outputs], x) = ([50, 130, 150], data([2, 50, 130], 1));
        let (weight, bias) = (data([inputs, outputs], 2), data([outputs], 3));
        let grad = data([2, rows, outputs], 4);
        let run = || {
            [
                Flex::affine(x.clone(), weight.clone(), bias.clone()),
                Flex::affine_x_backward(weight.clone(), grad.clone()),
                Flex::affine_weight_backward(x.clone(), grad.clone()),
            ]
        };
        for ((y, exact), terms) in
            products
                .during(run)
                .iter()
                .zip(run())
                .zip([inputs, outputs, 2 * rows])
        {
            assert_eq!(y.shape(), exact.shape());
            // Both factors of each term, of up to 4, are rounded, and of two parts the product of the smaller ones is left
            // out; floats are rounded as `close` says.
            let bound = terms as f32 * 4.0 * 3.1 * rounding
                + f32::EPSILON * (terms as f32).sqrt() * 16.0 * 4.0;
            let errors = floats(y)
                .into_iter()
                .zip(floats(&exact))
                .map(|(y, exact)| (y - exact).abs());
            let largest = errors.fold(0.0, f32::max);
            assert!(largest <= bound, "{products}: {largest}, bound {bound}");
            assert!(largest > 0.0, "{products} were not computed");
        }
    }
}

#[test]
fn attention_of_rounded_factors_is_near_that_of_floats() {
    let (tokens, head_width) = (64, 64);
    // Eighths of -2..2, so that products are exact but for those of probabilities and their gradients.
    let eighths = |shape: [usize; 3], seed| {
        Flex::float_round(Flex::float_mul_scalar(data(shape, seed), Scalar::from(8.0)))
    };
    let eighths = |shape, seed| Flex::float_mul_scalar(eighths(shape, seed), Scalar::from(0.125));
    let qkv = eighths([2, tokens, 3 * 2 * head_width], 1);
    let grad = eighths([2, tokens, 2 * head_width], 2);
    let even = vector(
        vec![1.0 / 64.0; 4 * tokens * tokens],
        Shape::new([2, 2, tokens, tokens]),
    );
    let run = || {
        let (y, matrix) = Flex::attend(qkv.clone(), 2, 0.125);
        [
            y,
            matrix,
            Flex::attend_backward(qkv.clone(), even.clone(), grad.clone(), 0.125),
        ]
    };
    let exact = run();
    for (products, rounding) in rounded() {
        let [y, matrix, grad] = products.during(run);
        let error = |x: &FlexTensor, exact: &FlexTensor| {
            let errors = floats(x).into_iter().zip(floats(exact));
            errors.fold(0.0, |most: f32, (x, exact)| most.max((x - exact).abs()))
        };
        equal(&matrix, &exact[1]);
        // Means of values of up to 2, with rounded probabilities; sums are rounded as `close` says.
        let most = error(&y, &exact[0]);
        assert!(
            most > 0.0 && most <= 2.0 * rounding + f32::EPSILON * 64.0,
            "{products}: {most}"
        );
        // Gradients of probabilities are sums of 64 terms of up to 4, and those of scores at most twice that, times 1/64
        // and the scale of 1/8, and rounded; 64 of them are added up, times up to 2.
        let most = error(&grad, &exact[2]);
        let sizes = 2.0 * 256.0 / 8.0 * 2.0;
        assert!(
            most > 0.0 && most <= sizes * (rounding + f32::EPSILON * 64.0),
            "{products}: {most}"
        );
    }
}

#[test]
fn batches_of_products_are_near_those_of_floats() {
    let transposed = |x| Flex::float_swap_dims(x, 1, 2);
    // More threads than matrices, so that they share each.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build();
    let pool = pool.expect("threads");
    for (products, rounding) in rounded() {
        for [rows, terms, columns] in [[1, 1, 1], [70, 64, 70], [70, 70, 64]] {
            let a = || {
                [
                    data([3, rows, terms], 1),
                    transposed(data([3, terms, rows], 2)),
                ]
            };
            let b = || {
                [
                    data([3, terms, columns], 3),
                    transposed(data([3, columns, terms], 4)),
                ]
            };
            for (a, b) in a().into_iter().flat_map(|a| b().map(|b| (a.clone(), b))) {
                let exact = Flex::matmul(a.clone(), b.clone());
                equal(&exact, &Flex::float_matmul(a.clone(), b.clone()));
                let y = products.during(|| Flex::matmul(a.clone(), b.clone()));
                assert_eq!(y.shape(), exact.shape());
                let errors = floats(&y).into_iter().zip(floats(&exact));
                let most = errors.fold(0.0, |most: f32, (y, exact)| most.max((y - exact).abs()));
                // As in linear layers.
                let bound = terms as f32 * 4.0 * (3.1 * rounding + f32::EPSILON * 4.0);
                assert!(most <= bound, "{products}: {most}, bound {bound}");
                assert!(most > 0.0 || terms == 1, "{products} were not computed");
                let shared = pool.install(|| products.during(|| Flex::matmul(a, b)));
                assert_eq!(floats(&shared), floats(&y));
            }
        }
        let nothing = products.during(|| Flex::matmul(data([2, 3, 0], 1), data([2, 0, 4], 1)));
        assert_eq!(floats(&nothing), [0.0; 24]);
        let nothing = products.during(|| Flex::matmul(data([0, 3, 2], 1), data([0, 2, 4], 1)));
        assert_eq!(nothing.shape().as_slice(), [0, 3, 4]);
    }
}

#[test]
fn infinite_factors_give_what_floats_give() {
    for (products, _) in rounded() {
        let mut values = vec![1.0; 100 * 64];
        values[70] = f32::INFINITY;
        let x = vector(values, Shape::new([100, 64]));
        let (weight, bias) = (data([64, 70], 1), data([70], 2));
        let run = || floats(&Flex::affine(x.clone(), weight.clone(), bias.clone()));
        assert_eq!(products.during(run), run());
    }
}
