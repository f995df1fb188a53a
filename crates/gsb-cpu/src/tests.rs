//! The recorded gradients against those of the same computation in plain tensor operations.

use burn::Tensor;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Distribution, Gradients, Tolerance, s};

use crate::*;

fn leaf<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let device = Device::flex().autodiff();
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device).require_grad()
}

/// The gradients of `fused` and `plain` under one random gradient of both.
fn gradients<const D: usize>(fused: Tensor<D>, plain: Tensor<D>) -> [Gradients; 2] {
    let tolerance = Tolerance::<f32>::absolute(1e-5).set_relative(1e-4);
    fused
        .to_data()
        .assert_approx_eq::<f32>(&plain.to_data(), tolerance);
    let upstream = leaf(fused.dims()).detach();
    [fused, plain].map(|y| (y * upstream.clone()).sum().backward())
}

fn same<const D: usize>(leaf: &Tensor<D>, [fused, plain]: &[Gradients; 2]) {
    let grad = |grads| leaf.grad(grads).expect("a gradient").into_data();
    let tolerance = Tolerance::<f32>::absolute(1e-4).set_relative(1e-4);
    grad(fused).assert_approx_eq::<f32>(&grad(plain), tolerance);
}

#[test]
fn linear_layers() {
    let (x, w, b) = (leaf([3, 5, 7]), leaf([7, 4]), leaf([4]));
    let fused = linear(x.clone(), w.clone(), Some(b.clone()));
    let plain = x.clone().matmul(w.clone().unsqueeze::<3>()) + b.clone().unsqueeze::<3>();
    let grads = gradients(fused, plain);
    same(&x, &grads);
    same(&w, &grads);
    same(&b, &grads);
}

#[test]
fn linear_layers_of_constants() {
    // Only the bias learns: neither product is needed.
    let (x, w, b) = (leaf([3, 7]).detach(), leaf([7, 4]).detach(), leaf([4]));
    let grads = linear(x, w, Some(b.clone())).sum().backward();
    let grad = b.grad(&grads).expect("a gradient").into_data();
    grad.assert_eq(&[3.0f32; 4].into(), false);
}

#[test]
fn matrix_products() {
    let (a, b) = (leaf([2, 3, 5, 7]), leaf([2, 3, 7, 4]));
    let grads = gradients(matmul(a.clone(), b.clone()), a.clone().matmul(b.clone()));
    same(&a, &grads);
    same(&b, &grads);
    // A transposed one, and a constant that is broadcast.
    let swapped = |x: &Tensor<4>| x.clone().swap_dims(2, 3);
    let (key, constant) = (leaf([2, 3, 5, 7]), leaf([2, 1, 5, 7]).detach());
    let fused = matmul(a.clone(), swapped(&key));
    let grads = gradients(fused, a.clone().matmul(swapped(&key)));
    same(&a, &grads);
    same(&key, &grads);
    let fused = matmul(a.clone(), swapped(&constant));
    let grads = gradients(fused, a.clone().matmul(swapped(&constant)));
    same(&a, &grads);
}

#[test]
fn shifts() {
    let x = leaf([3, 2, 5, 7]);
    let whole = leaf([2, 5, 7]);
    let grads = gradients(
        shift(x.clone(), whole.clone()),
        x.clone() + whole.clone().unsqueeze::<4>(),
    );
    same(&x, &grads);
    same(&whole, &grads);
    let gap = leaf([2, 1, 7]);
    let grads = gradients(
        shift(x.clone(), gap.clone()),
        x.clone() + gap.clone().unsqueeze::<4>(),
    );
    same(&x, &grads);
    same(&gap, &grads);
}

#[test]
#[should_panic(expected = "a shift of shape [7] does not go with [3, 5, 1]")]
fn a_shift_repeats_no_input() {
    shift(leaf([3, 5, 1]), leaf([7]));
}

#[test]
fn normalizations() {
    let (x, gamma, beta) = (leaf([3, 5, 33]), leaf([33]), leaf([33]));
    let args = || (x.clone(), gamma.clone(), beta.clone());
    let (a, b, c) = args();
    let fused = layer_norm(a, b, c, 1e-6);
    let (a, b, c) = args();
    let plain = burn::tensor::module::layer_norm(a, b, Some(c), 1e-6);
    let grads = gradients(fused, plain);
    same(&x, &grads);
    same(&gamma, &grads);
    same(&beta, &grads);
}

#[test]
fn softmaxes() {
    let x = leaf([2, 3, 4, 37]);
    let plain = softmax(x.clone().mul_scalar(0.3), 3);
    let grads = gradients(scaled_softmax(x.clone(), 0.3), plain);
    same(&x, &grads);
}

#[test]
fn attentions() {
    let qkv = leaf([2, 5, 3 * 4 * 6]);
    let part = |part| split_heads(qkv.clone(), 4, 3, part);
    let scores = part(0).matmul(part(1).swap_dims(2, 3)).mul_scalar(0.7);
    let plain = merge_heads(softmax(scores, 3).matmul(part(2)));
    let grads = gradients(attention(qkv.clone(), 4, 0.7), plain);
    same(&qkv, &grads);
}

#[test]
fn heads() {
    let x = leaf([2, 5, 3 * 4 * 6]);
    for part in 0..3 {
        let plain = x.clone().reshape([2, 5, 3, 4, 6]);
        let plain = plain.slice(s![.., .., part..part + 1, .., ..]);
        let plain = plain.squeeze_dim::<4>(2).swap_dims(1, 2);
        let grads = gradients(split_heads(x.clone(), 4, 3, part), plain);
        same(&x, &grads);
    }
    let x = leaf([2, 4, 5, 6]);
    let plain = x.clone().swap_dims(1, 2).reshape([2, 5, 24]);
    let grads = gradients(merge_heads(x.clone()), plain);
    same(&x, &grads);
}
