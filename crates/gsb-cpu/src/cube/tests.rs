//! The kernels against the primitive operations on the same device.

use burn::backend::ops::FloatTensorOps;
use burn::tensor::TensorData;
use burn_cubecl::CubeDevice;
use burn_cubecl::ops::into_data_sync;

use super::*;

/// Rows of one element, shorter and longer than a cube, and more of them than cubes stand in a row.
const SHAPES: [[usize; 3]; 5] = [
    [1, 1, 1],
    [2, 3, 5],
    [3, 7, 66],
    [2, 5, 198],
    [1, 70_000, 2],
];

const SCALE: f64 = 0.125;

/// Values between -40 and 40, spread by a multiplicative hash.
fn values(n: usize, seed: u64) -> Vec<f32> {
    let value = |i: usize| {
        let hash = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15 ^ (seed << 7)) >> 40;
        (hash as f32 / (1 << 24) as f32 - 0.5) * 80.0
    };
    (0..n).map(value).collect()
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> CubeTensor {
    CubeBackend::float_from_data(TensorData::new(values, shape), &CubeDevice::default())
}

fn floats(x: &CubeTensor) -> Vec<f32> {
    let x = burn_cubecl::kernel::into_contiguous(x.clone());
    into_data_sync(x).try_to_vec().expect("single precision")
}

#[test]
fn softmax_equals_the_primitive_one() {
    for (seed, shape) in SHAPES.into_iter().enumerate() {
        let n = shape.iter().product();
        let x = tensor(values(n, seed as u64), shape);
        let found = floats(&CubeBackend::scaled_softmax(x.clone(), SCALE));
        let expected = floats(&primitive::scaled_softmax::<CubeBackend>(x, SCALE));
        // The exponent, of at most 10, may be rounded once less; the sums are those of another order; Vulkan allows each
        // of the divisions 2.5 units.
        let additions = shape[2].div_ceil(UNITS) + UNITS.ilog2() as usize + shape[2];
        let bound = f32::EPSILON * (10 + additions + 5) as f32;
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() <= bound * b, "{a} against {b} in {shape:?}");
        }
    }
}

#[test]
fn its_gradient_equals_the_primitive_one() {
    for (seed, shape) in SHAPES.into_iter().enumerate() {
        let n = shape.iter().product();
        let x = tensor(values(n, seed as u64), shape);
        let y = primitive::scaled_softmax::<CubeBackend>(x, SCALE);
        let g = values(n, 100);
        let grad = tensor(g.clone(), shape);
        let found = CubeBackend::scaled_softmax_backward(y.clone(), grad.clone(), SCALE);
        let expected = primitive::scaled_softmax_backward::<CubeBackend>(y.clone(), grad, SCALE);
        let (found, expected, y) = (floats(&found), floats(&expected), floats(&y));
        // Terms are at most 40 times a share of 1, and so is their sum; three roundings after it.
        let additions = shape[2].div_ceil(UNITS) + UNITS.ilog2() as usize + shape[2] + 3;
        for ((a, b), y) in found.iter().zip(expected).zip(y) {
            let bound = f32::EPSILON * additions as f32 * 80.0 * y * SCALE as f32;
            assert!((a - b).abs() <= bound, "{a} against {b} in {shape:?}");
        }
    }
}

#[test]
fn views_are_read_in_order() {
    let view = |x: CubeTensor| CubeBackend::float_swap_dims(x, 0, 2);
    let x = tensor(values(3 * 4 * 70, 7), [3, 4, 70]);
    let copy = burn_cubecl::kernel::into_contiguous(view(x.clone()));
    let of_view = CubeBackend::scaled_softmax(view(x.clone()), SCALE);
    assert_eq!(
        floats(&of_view),
        floats(&CubeBackend::scaled_softmax(copy.clone(), SCALE))
    );
    let of_view = CubeBackend::scaled_softmax_backward(view(x.clone()), view(x), SCALE);
    let of_copy = CubeBackend::scaled_softmax_backward(copy.clone(), copy, SCALE);
    assert_eq!(floats(&of_view), floats(&of_copy));
}

#[test]
fn nothing_is_fine() {
    let empty = || tensor(vec![], [0, 3]);
    let y = CubeBackend::scaled_softmax(empty(), SCALE);
    assert_eq!(y.shape().as_slice(), [0, 3]);
    let grad = CubeBackend::scaled_softmax_backward(empty(), empty(), SCALE);
    assert_eq!(grad.shape().as_slice(), [0, 3]);
}
