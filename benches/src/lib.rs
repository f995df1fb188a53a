//! What the benchmarks share: the binarizers and blocks written in plain tensor operations, to
//! compare the custom operations with, and the sizes of DeiT-S at batch 8.

mod binarizers;
mod blocks;
mod given_gradient;

pub use binarizers::{attention, signed, unsigned, value, weight};
pub use blocks::{stage1, stage2};
pub use given_gradient::given_gradient;

use burn::Tensor;
use burn::tensor::{Device, Distribution};

/// Images in a batch.
pub const BATCH: usize = 8;
/// Tokens of an image: 14 x 14 patches, class and distillation token.
pub const TOKENS: usize = 198;
/// Width of a token.
pub const WIDTH: usize = 384;
/// Heads of the attention.
pub const HEADS: usize = 6;

/// Shape of an attention matrix.
pub const ATTENTION: [usize; 4] = [BATCH, HEADS, TOKENS, TOKENS];
/// Shape of a query, key or value.
pub const VALUE: [usize; 4] = [BATCH, HEADS, TOKENS, WIDTH / HEADS];
/// Shape of the hidden layer of the MLP.
pub const HIDDEN: [usize; 3] = [BATCH, TOKENS, 4 * WIDTH];
/// Shape of a weight of the MLP.
pub const WEIGHT: [usize; 2] = [WIDTH, 4 * WIDTH];

/// Normal data on the CPU, with gradients.
pub fn normal<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let device = Device::flex().autodiff();
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device)
}

/// Rows that sum to one, as a softmax gives.
pub fn probabilities<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    burn::tensor::activation::softmax(normal(shape).mul_scalar(2.0), D - 1).detach()
}

/// A fresh leaf with the same values.
pub fn leaf<const D: usize>(x: &Tensor<D>) -> Tensor<D> {
    x.clone().detach().require_grad()
}
