//! The loops against the primitive operations.

use burn::tensor::Slice;

use super::*;
use crate::ops::samples::{KINDS, SCOPES, values};

/// Shapes of one element, of less than a vector, of several chunks with a rest.
const SHAPES: [[usize; 3]; 4] = [[1, 1, 1], [2, 3, 5], [3, 7, 33], [4, 170, 198]];

fn data(shape: [usize; 3], seed: u64) -> FlexTensor {
    vector(values(shape, seed), Shape::new(shape))
}

fn scales(values: &[f32]) -> FlexTensor {
    vector(values.to_vec(), Shape::new([values.len()]))
}

fn floats(x: &FlexTensor) -> Vec<f32> {
    elements(&contiguous(x.clone())).to_vec()
}

fn equal(fused: &FlexTensor, primitive: &FlexTensor) {
    assert_eq!(fused.shape(), primitive.shape());
    assert_eq!(floats(fused), floats(primitive));
}

/// Sums in another order: each of `n` additions rounds once, and so do the terms.
fn close(fused: &FlexTensor, primitive: &FlexTensor, n: usize, largest: f32) {
    assert_eq!(fused.shape(), primitive.shape());
    let bound = f32::EPSILON * (n as f32).sqrt() * largest * 4.0;
    for (a, b) in floats(fused).iter().zip(floats(primitive)) {
        assert!((a - b).abs() <= bound, "{a} against {b}, bound {bound}");
    }
}

#[test]
fn quantizers_equal_the_primitive_ones() {
    for levels in [
        Levels::signed(1),
        Levels::signed(2),
        Levels::signed(8),
        Levels::unsigned(1),
        Levels::unsigned(3),
    ] {
        for (seed, shape) in SHAPES.into_iter().enumerate() {
            for scale in [0.5, 0.01, 1e-5, 0.0, -1.0, f32::NAN] {
                let (x, grad) = (data(shape, seed as u64), data(shape, 100));
                let n = x.shape().num_elements();
                let scale = vector(vec![scale], Shape::new([1, 1, 1]));
                equal(
                    &Flex::lsq(x.clone(), scale.clone(), levels, true),
                    &primitive::lsq::<Flex>(x.clone(), scale.clone(), levels, true),
                );
                let (dx, da) =
                    Flex::lsq_backward(x.clone(), scale.clone(), grad.clone(), levels, true);
                let (dx_p, da_p) = primitive::lsq_backward::<Flex>(x, scale, grad, levels, true);
                equal(&dx, &dx_p);
                close(&da, &da_p, n, 255.0 * 100.0);
            }
        }
    }
}

/// Scales that act as they are, below 0 too; 0 as the guard.
#[test]
fn unguarded_quantizers_equal_the_primitive_ones() {
    for levels in [Levels::signed(1), Levels::signed(8), Levels::unsigned(3)] {
        for scale in [0.5, -1.0, 0.0] {
            let (x, grad) = (data([3, 7, 33], 1), data([3, 7, 33], 100));
            let scale = vector(vec![scale], Shape::new([1, 1, 1]));
            equal(
                &Flex::lsq(x.clone(), scale.clone(), levels, false),
                &primitive::lsq::<Flex>(x.clone(), scale.clone(), levels, false),
            );
            let (dx, da) =
                Flex::lsq_backward(x.clone(), scale.clone(), grad.clone(), levels, false);
            let (dx_p, da_p) = primitive::lsq_backward::<Flex>(x, scale, grad, levels, false);
            equal(&dx, &dx_p);
            close(&da, &da_p, 3 * 7 * 33, 255.0 * 100.0);
        }
    }
}

#[test]
fn signs_are_counted_without_a_bias_too() {
    let device = burn::tensor::Device::flex();
    let x = burn::Tensor::<2>::full([1, 6], 0.3, &device);
    let column = [0.7, 0.7, 0.7, -0.7, -0.7, -0.7].map(|w| [w]);
    let weight = burn::Tensor::<2>::from_floats(column, &device);
    // Floats would be rounded after each addition.
    let y = crate::ops::linear_levels(x, weight, None);
    assert_eq!(y.into_scalar::<f32>(), 0.0);
}

/// A training whose values are no numbers any more has to notice.
#[test]
fn what_is_no_number_stays_none() {
    for levels in [Levels::signed(8), Levels::unsigned(1)] {
        for scales in [vec![0.5], vec![0.5; 3]] {
            let x = vector(vec![f32::NAN, 1.0, f32::NAN], Shape::new([1, 1, 3]));
            let shape = Shape::new([1, 1, scales.len()]);
            let y = floats(&Flex::lsq(x, vector(scales, shape), levels, true));
            assert!(y[0].is_nan() && y[2].is_nan(), "{y:?}");
            assert!(y[1].is_finite(), "{y:?}");
        }
    }
    // A sign is 0 then, but the gradient of its scale is none.
    let x = || vector(vec![f32::NAN, 1.0], Shape::new([1, 1, 2]));
    let scale = || vector(vec![1.0], Shape::new([1, 1, 1]));
    let (dx, da) = Flex::lsq_backward(x(), scale(), x(), Levels::signed(1), true);
    let (dx_p, da_p) = primitive::lsq_backward::<Flex>(x(), scale(), x(), Levels::signed(1), true);
    assert!(floats(&da)[0].is_nan() && floats(&da_p)[0].is_nan());
    for gradient in [dx, dx_p] {
        assert!(floats(&gradient)[0].is_nan());
    }
}

#[test]
fn superpositions_equal_the_primitive_ones() {
    for (thresholds, values) in [
        (vec![], vec![0.5]),
        (vec![0.7], vec![0.5, 0.2]),
        (vec![0.7, 0.9], vec![0.5, -1.0, 0.1]),
        (vec![0.5, 0.7, 0.9], vec![0.5, 0.0, 0.1, 0.3]),
    ] {
        for (kind, value_gradient) in KINDS {
            for range in [(0.0, 1.0), (0.0, 7.0), (-1.0, 1.0), (-128.0, 128.0)] {
                for scope in SCOPES {
                    let spec = Superposition {
                        kind,
                        thresholds: thresholds.clone(),
                        range,
                        scope,
                        value_gradient,
                    };
                    superposition_equals_the_primitive_one(&spec, &scales(&values));
                }
            }
        }
    }
}

fn superposition_equals_the_primitive_one(spec: &Superposition, scales: &FlexTensor) {
    for (seed, shape) in SHAPES.into_iter().enumerate() {
        let (x, grad) = (data(shape, seed as u64), data(shape, 100));
        let ends = Flex::extrema(x.clone(), spec.scope);
        equal(&ends, &primitive::extrema::<Flex>(x.clone(), spec.scope));
        let args = || (x.clone(), scales.clone(), ends.clone());

        let (x, a, e) = args();
        let y = Flex::superpose(x, a, e, spec.clone());
        let (x, a, e) = args();
        equal(&y, &primitive::superpose::<Flex>(x, a, e, spec.clone()));

        let (x, a, e) = args();
        let n = x.shape().num_elements();
        let (dx, da) = Flex::superpose_backward(x, a, e, grad.clone(), spec.clone());
        let (x, a, e) = args();
        let (dx_p, da_p) = primitive::superpose_backward::<Flex>(x, a, e, grad, spec.clone());
        equal(&dx, &dx_p);
        close(&da, &da_p, n, 128.0 * 100.0);
    }
}

#[test]
fn the_weight_binarizer_equals_the_primitive_one() {
    for (seed, shape) in SHAPES.into_iter().enumerate() {
        let w = data(shape, seed as u64);
        let fused = Flex::binarize_weight(w.clone(), None);
        close(
            &fused,
            &primitive::binarize_weight::<Flex>(w, None),
            1,
            100.0,
        );
    }
}

#[test]
fn views_are_read_in_order() {
    let x = data([4, 6, 50], 7);
    let view = |x: FlexTensor| {
        use burn::backend::ops::FloatTensorOps;
        let x = Flex::float_swap_dims(x, 0, 2);
        Flex::float_slice(
            x,
            &[Slice::from(3..40), Slice::from(1..5), Slice::from(0..4)],
        )
    };
    let scale = vector(vec![0.3], Shape::new([1, 1, 1]));
    let levels = Levels::signed(4);
    let from_view = Flex::lsq(view(x.clone()), scale.clone(), levels, true);
    equal(&from_view, &view(Flex::lsq(x, scale, levels, true)));
}

#[test]
fn shared_tensors_are_left_alone() {
    let (x, grad) = (data([2, 3, 5], 1), data([2, 3, 5], 2));
    let (x_before, grad_before) = (floats(&x), floats(&grad));
    let scale = vector(vec![0.3], Shape::new([1, 1, 1]));
    Flex::lsq(x.clone(), scale.clone(), Levels::signed(1), true);
    Flex::lsq_backward(x.clone(), scale, grad.clone(), Levels::signed(1), true);
    assert_eq!((floats(&x), floats(&grad)), (x_before, grad_before));
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let (x, grad) = (data([8, 100, 198], 3), data([8, 100, 198], 4));
            let spec = Superposition::paper(Superposed::Value, ThresholdScope::Sample);
            let ends = Flex::extrema(x.clone(), spec.scope);
            let a = scales(&[0.5, 0.2, 0.1]);
            let (dx, da) = Flex::superpose_backward(x.clone(), a, ends, grad, spec);
            (
                floats(&dx),
                floats(&da),
                floats(&Flex::binarize_weight(x, None)),
            )
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn nothing_is_fine() {
    let empty = vector(vec![], Shape::new([0, 3]));
    let scale = vector(vec![0.3], Shape::new([1, 1]));
    let y = Flex::lsq(empty.clone(), scale, Levels::signed(1), true);
    assert_eq!(y.shape(), Shape::new([0, 3]));
    equal(
        &Flex::extrema(empty, ThresholdScope::Batch),
        &vector(vec![0.0, 0.0], Shape::new([1, 2])),
    );
}
