//! The kernels against the primitive operations on the same device.

use burn::backend::ops::FloatTensorOps;
use burn::tensor::{Slice, TensorData};
use burn_cubecl::CubeDevice;
use burn_cubecl::ops::into_data_sync;

use super::*;
use crate::ops::samples::{KINDS, SCOPES, values};

/// Shapes of one element, of less than a cube, of several cubes with a rest, of several rounds of all cubes.
const SHAPES: [[usize; 3]; 4] = [[1, 1, 1], [2, 3, 5], [3, 37, 33], [4, 50, 198]];

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> CubeTensor {
    CubeBackend::float_from_data(TensorData::new(values, shape), &CubeDevice::default())
}

fn floats(x: &CubeTensor) -> Vec<f32> {
    let x = burn_cubecl::kernel::into_contiguous(x.clone());
    into_data_sync(x).try_to_vec().expect("single precision")
}

fn equal(fused: &CubeTensor, primitive: &CubeTensor) {
    assert_eq!(fused.shape(), primitive.shape());
    assert_eq!(floats(fused), floats(primitive));
}

/// Gradients of scales, added up in another order. A term is at most `largest` times its part of the output's
/// gradient, so the error of a sum is at most the number of additions on the longest way to it (a unit's, the
/// tree's, and one for each cube) times half an epsilon times that of all. What it is divided by is at least
/// `sqrt(Qp)`, and `sqrt(n * Qp)` for the first group.
fn close(fused: &CubeTensor, primitive: &CubeTensor, grad: &[f32], largest: f32, qp: f32) {
    assert_eq!(fused.shape(), primitive.shape());
    let n = grad.len();
    let total: f32 = grad.iter().map(|g| g.abs()).sum::<f32>() * largest;
    let additions = n.div_ceil(MOST_CUBES * UNITS) + UNITS.ilog2() as usize + MOST_CUBES;
    let error = f32::EPSILON * additions as f32 * total;
    for (k, (a, b)) in floats(fused).iter().zip(floats(primitive)).enumerate() {
        let members = if k == 0 { n as f32 } else { 1.0 };
        let bound = error / (members * qp).sqrt();
        assert!((a - b).abs() <= bound, "{a} against {b}, bound {bound}");
    }
}

#[test]
fn quantizers_equal_the_primitive_ones() {
    for levels in [
        Levels::signed(1),
        Levels::signed(2),
        Levels::unsigned(1),
        Levels::unsigned(3),
    ] {
        for (seed, shape) in SHAPES.into_iter().enumerate() {
            for (scale, guarded) in [
                (0.5, true),
                (1e-5, true),
                (-1.0, true),
                (-1.0, false),
                (0.0, false),
            ] {
                let g = values(shape, 100);
                let (x, grad) = (
                    tensor(values(shape, seed as u64), shape),
                    tensor(g.clone(), shape),
                );
                let scale = tensor(vec![scale], [1, 1, 1]);
                equal(
                    &CubeBackend::lsq(x.clone(), scale.clone(), levels, guarded),
                    &primitive::lsq::<CubeBackend>(x.clone(), scale.clone(), levels, guarded),
                );
                let (dx, da) = CubeBackend::lsq_backward(
                    x.clone(),
                    scale.clone(),
                    grad.clone(),
                    levels,
                    guarded,
                );
                let (dx_p, da_p) =
                    primitive::lsq_backward::<CubeBackend>(x, scale, grad, levels, guarded);
                equal(&dx, &dx_p);
                let (low, high) = levels.range();
                close(&da, &da_p, &g, high.max(-low) + 1.0, high);
            }
        }
    }
}

#[test]
fn superpositions_equal_the_primitive_ones() {
    for (thresholds, scales) in [
        (vec![], vec![0.5]),
        (vec![0.7, 0.9], vec![0.5, -1.0, 0.125]),
        (vec![0.5, 0.7, 0.9], vec![0.5, 0.0, 0.125, 0.25]),
    ] {
        for (kind, value_gradient) in KINDS {
            for range in [(0.0, 1.0), (-1.0, 1.0)] {
                for scope in SCOPES {
                    let spec = Superposition {
                        kind,
                        thresholds: thresholds.clone(),
                        range,
                        scope,
                        value_gradient,
                    };
                    superposition_equals_the_primitive_one(&spec, &scales);
                }
            }
        }
    }
}

fn superposition_equals_the_primitive_one(spec: &Superposition, scales: &[f32]) {
    for (seed, shape) in SHAPES.into_iter().enumerate() {
        let g = values(shape, 100);
        let (x, grad) = (
            tensor(values(shape, seed as u64), shape),
            tensor(g.clone(), shape),
        );
        let a = tensor(scales.to_vec(), [scales.len()]);
        let ends = CubeBackend::extrema(x.clone(), spec.scope);
        equal(
            &ends,
            &primitive::extrema::<CubeBackend>(x.clone(), spec.scope),
        );
        let args = || (x.clone(), a.clone(), ends.clone());

        let (x, a, e) = args();
        let y = CubeBackend::superpose(x, a, e, spec.clone());
        let (x, a, e) = args();
        equal(
            &y,
            &primitive::superpose::<CubeBackend>(x, a, e, spec.clone()),
        );

        let (x, a, e) = args();
        let (dx, da) = CubeBackend::superpose_backward(x, a, e, grad.clone(), spec.clone());
        let (x, a, e) = args();
        let (dx_p, da_p) =
            primitive::superpose_backward::<CubeBackend>(x, a, e, grad, spec.clone());
        equal(&dx, &dx_p);
        close(&da, &da_p, &g, 2.0, spec.range.1);
    }
}

#[test]
fn the_weight_binarizer_equals_the_primitive_one() {
    for (seed, shape) in SHAPES.into_iter().enumerate() {
        let w = values(shape, seed as u64);
        // Relative, of sums of that many magnitudes.
        let additions = w.len().div_ceil(MOST_CUBES * UNITS) + UNITS.ilog2() as usize + MOST_CUBES;
        let bound = f32::EPSILON * (additions + 2) as f32;
        let w = tensor(w, shape);
        let fused = floats(&CubeBackend::binarize_weight(w.clone(), None));
        let primitive = floats(&primitive::binarize_weight::<CubeBackend>(w, None));
        for (a, b) in fused.iter().zip(primitive) {
            assert!((a - b).abs() <= bound * b.abs(), "{a} against {b}");
        }
    }
}

#[test]
fn views_are_read_in_order() {
    let x = tensor(values([4, 6, 50], 7), [4, 6, 50]);
    let view = |x: CubeTensor| {
        let x = CubeBackend::float_swap_dims(x, 0, 2);
        let part = [Slice::from(3..40), Slice::from(1..5), Slice::from(0..4)];
        CubeBackend::float_slice(x, &part)
    };
    let scale = tensor(vec![0.25], [1, 1, 1]);
    let levels = Levels::signed(4);
    let from_view = CubeBackend::lsq(view(x.clone()), scale.clone(), levels, true);
    equal(
        &from_view,
        &view(CubeBackend::lsq(x.clone(), scale.clone(), levels, true)),
    );
    let grad = || view(x.clone());
    let (fused, _) = CubeBackend::lsq_backward(grad(), scale.clone(), grad(), levels, true);
    let (primitive, _) =
        primitive::lsq_backward::<CubeBackend>(grad(), scale, grad(), levels, true);
    equal(&fused, &primitive);
}

#[test]
fn nothing_is_fine() {
    let empty = tensor(vec![], [0, 3]);
    let ends = CubeBackend::extrema(empty.clone(), ThresholdScope::Batch);
    assert_eq!(ends.shape(), Shape::new([1, 2]));
    let scale = tensor(vec![0.25], [1, 1]);
    let y = CubeBackend::lsq(empty, scale, Levels::signed(1), true);
    assert_eq!(y.shape(), Shape::new([0, 3]));
}
