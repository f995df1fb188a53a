//! The operations written with a backend's primitive tensor operations: the definition that every
//! other implementation is tested against.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use burn::backend::{
    Backend, Scalar, TensorMetadata, get_or_init_device_settings, tensor::FloatTensor,
};
use burn::tensor::{Shape, Slice};

use crate::adamw::AdamWStep;

type Float<B> = FloatTensor<B>;

pub(crate) fn add_shift<B: Backend>(x: Float<B>, shift: Float<B>) -> Float<B> {
    let rank = x.shape().num_dims();
    B::float_add(x, unsqueeze::<B>(shift, rank))
}

pub(crate) fn sum_leading<B: Backend>(x: Float<B>, rank: usize) -> Float<B> {
    let shape = x.shape();
    let kept = shape.as_slice()[shape.num_dims() - rank..].to_vec();
    let n: usize = kept.iter().product();
    let rows = shape.num_elements() / n.max(1);
    let sum = B::float_sum_dim(B::float_reshape(x, Shape::new([rows, n])), 0);
    B::float_reshape(sum, Shape::from(kept))
}

pub(crate) fn normalize_backward<B: Backend>(
    x: Float<B>,
    gamma: Float<B>,
    grad: Float<B>,
    epsilon: f64,
) -> (Float<B>, Float<B>, Float<B>) {
    let last = x.shape().num_dims() - 1;
    let mean = |x: Float<B>| B::float_mean_dim(x, last);
    let centred = B::float_sub(x.clone(), mean(x));
    let variance = mean(B::float_mul(centred.clone(), centred.clone()));
    let deviation = B::float_sqrt(B::float_add_scalar(variance, Scalar::from(epsilon)));
    let normal = B::float_div(centred, deviation.clone());
    let grad_gamma = sum_leading::<B>(B::float_mul(grad.clone(), normal.clone()), 1);
    let grad_beta = sum_leading::<B>(grad.clone(), 1);
    let grad = B::float_mul(grad, unsqueeze::<B>(gamma, last + 1));
    let along = mean(B::float_mul(grad.clone(), normal.clone()));
    let rest = B::float_sub(grad.clone(), mean(grad));
    let rest = B::float_sub(rest, B::float_mul(normal, along));
    (B::float_div(rest, deviation), grad_gamma, grad_beta)
}

pub(crate) fn scaled_softmax<B: Backend>(x: Float<B>, scale: f64) -> Float<B> {
    let last = x.shape().num_dims() - 1;
    B::softmax(B::float_mul_scalar(x, Scalar::from(scale)), last)
}

pub(crate) fn scaled_softmax_backward<B: Backend>(
    y: Float<B>,
    grad: Float<B>,
    scale: f64,
) -> Float<B> {
    let last = y.shape().num_dims() - 1;
    let mean = B::float_sum_dim(B::float_mul(grad.clone(), y.clone()), last);
    let grad = B::float_mul(B::float_sub(grad, mean), y);
    B::float_mul_scalar(grad, Scalar::from(scale))
}

pub(crate) fn split_heads<B: Backend>(
    x: Float<B>,
    heads: usize,
    parts: usize,
    part: usize,
) -> Float<B> {
    let [batch, tokens, width] = x.shape().dims();
    let head_width = width / parts / heads;
    let x = B::float_reshape(x, Shape::new([batch * tokens, parts, heads * head_width]));
    let all = |n: usize| Slice::from(0..n);
    let x = B::float_slice(
        x,
        &[
            all(batch * tokens),
            Slice::from(part..part + 1),
            all(heads * head_width),
        ],
    );
    let x = B::float_reshape(x, Shape::new([batch, tokens, heads, head_width]));
    B::float_swap_dims(x, 1, 2)
}

pub(crate) fn merge_heads<B: Backend>(x: Float<B>, parts: usize, part: usize) -> Float<B> {
    let [batch, heads, tokens, head_width] = x.shape().dims();
    let width = heads * head_width;
    let x = B::float_reshape(
        B::float_swap_dims(x, 1, 2),
        Shape::new([batch, tokens, width]),
    );
    if parts == 1 {
        return x;
    }
    let zeros = |parts: usize| {
        let shape = Shape::new([batch, tokens, parts * width]);
        B::float_zeros(shape, &x.device(), x.dtype().into())
    };
    let mut all = Vec::new();
    if part > 0 {
        all.push(zeros(part));
    }
    all.push(x.clone());
    if part + 1 < parts {
        all.push(zeros(parts - part - 1));
    }
    B::float_cat(all, 2)
}

pub(crate) fn attend<B: Backend>(
    qkv: Float<B>,
    heads: usize,
    softmax: impl FnOnce(Float<B>) -> Float<B>,
) -> (Float<B>, Float<B>) {
    let part = |part| split_heads::<B>(qkv.clone(), heads, 3, part);
    let scores = B::float_matmul(part(0), B::float_swap_dims(part(1), 2, 3));
    let matrix = softmax(scores);
    let y = merge_heads::<B>(B::float_matmul(matrix.clone(), part(2)), 1, 0);
    (y, matrix)
}

/// `softmax_backward` takes the matrix and its gradient.
pub(crate) fn attend_backward<B: Backend>(
    qkv: Float<B>,
    matrix: Float<B>,
    grad: Float<B>,
    softmax_backward: impl FnOnce(Float<B>, Float<B>) -> Float<B>,
) -> Float<B> {
    let heads = matrix.shape().as_slice()[1];
    let part = |part| split_heads::<B>(qkv.clone(), heads, 3, part);
    let transposed = |x: Float<B>| B::float_swap_dims(x, 2, 3);
    let grad = split_heads::<B>(grad, heads, 1, 0);
    let for_value = B::float_matmul(transposed(matrix.clone()), grad.clone());
    let scores = B::float_matmul(grad, transposed(part(2)));
    let scores = softmax_backward(matrix, scores);
    let for_query = B::float_matmul(scores.clone(), part(1));
    let for_key = B::float_matmul(transposed(scores), part(0));
    let parts = [for_query, for_key, for_value].map(|x| merge_heads::<B>(x, 1, 0));
    B::float_cat(parts.to_vec(), 2)
}

pub(crate) fn erf_gelu<B: Backend>(x: Float<B>, bound: Option<f32>) -> Float<B> {
    let y = B::gelu(x);
    match bound {
        Some(bound) => B::float_clamp(y, Scalar::from(-bound), Scalar::from(bound)),
        None => y,
    }
}

pub(crate) fn erf_gelu_backward<B: Backend>(
    x: Float<B>,
    grad: Float<B>,
    bound: Option<f32>,
) -> Float<B> {
    let scalar = |value: f64| Scalar::from(value);
    let grad = match bound {
        Some(bound) => {
            let dtype = get_or_init_device_settings::<B>(&x.device()).bool_dtype;
            let y = B::gelu(x.clone());
            let below = B::float_lower_elem(y.clone(), Scalar::from(-bound), dtype);
            let above = B::float_greater_elem(y, Scalar::from(bound), dtype);
            B::float_mask_fill(grad, B::bool_or(below, above), Scalar::from(0.0f32))
        }
        None => grad,
    };
    let below = B::float_erf(B::float_mul_scalar(x.clone(), scalar(FRAC_1_SQRT_2)));
    let below = B::float_mul_scalar(B::float_add_scalar(below, scalar(1.0)), scalar(0.5));
    let square = B::float_mul(x.clone(), x.clone());
    let bell = B::float_exp(B::float_mul_scalar(square, scalar(-0.5)));
    let density = B::float_mul_scalar(bell, scalar(FRAC_2_SQRT_PI * FRAC_1_SQRT_2 * 0.5));
    B::float_mul(grad, B::float_add(below, B::float_mul(x, density)))
}

pub(crate) fn adamw<B: Backend>(
    weight: Float<B>,
    grad: Float<B>,
    moment_1: Float<B>,
    moment_2: Float<B>,
    step: AdamWStep,
) -> (Float<B>, Float<B>, Float<B>) {
    let scaled = |x: Float<B>, factor: f64| B::float_mul_scalar(x, Scalar::from(factor));
    let towards = B::float_sub(grad.clone(), moment_1.clone());
    let moment_1 = B::float_add(moment_1, scaled(towards, step.mix_1));
    let square = scaled(B::float_mul(grad.clone(), grad), step.mix_2);
    let moment_2 = B::float_add(scaled(moment_2, step.keep_2), square);
    let root = B::float_div_scalar(
        B::float_sqrt(moment_2.clone()),
        Scalar::from(step.root_correction),
    );
    let root = B::float_add_scalar(root, Scalar::from(step.epsilon));
    let change = scaled(B::float_div(moment_1.clone(), root), step.rate);
    let weight = B::float_sub(scaled(weight, step.keep), change);
    (weight, moment_1, moment_2)
}

/// Dimensions of 1 before the others.
fn unsqueeze<B: Backend>(x: Float<B>, rank: usize) -> Float<B> {
    let shape = x.shape();
    let mut dims = vec![1; rank - shape.num_dims()];
    dims.extend_from_slice(shape.as_slice());
    B::float_reshape(x, Shape::from(dims))
}
