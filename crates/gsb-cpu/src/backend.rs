//! The operations every backend offers.

// Without a backend, the generated dispatch has nothing to hand the arguments to.
#![cfg_attr(
    not(any(feature = "flex", feature = "cube", feature = "tch")),
    allow(unused_variables)
)]

use burn::backend::{Backend, backend_extension, tensor::FloatTensor};
// The generated dispatch names the type of the backend's tensors through the prelude.
#[allow(unused_imports)]
use burn::backend::{Autodiff, Dispatch};

use crate::adamw::AdamWStep;
use crate::primitive;

/// The operations of this crate, forward and backward, each of which Burn runs as a chain of tensor
/// operations when it records gradients.
///
/// Every method has a body of primitive operations, so that implementing the trait for a backend
/// takes one empty `impl`; a backend overrides what it can do faster. On `Autodiff` the forward
/// methods record the hand-written backward ones.
#[backend_extension(
    Cube: cfg(feature = "cube"),
    Flex: cfg(feature = "flex"),
    LibTorch: cfg(feature = "tch"),
    Autodiff,
    Fusion: cfg(feature = "cube")
)]
pub trait FloatOps: Backend {
    /// `x w + bias` over the last dimension of `x`; `w` has shape `[inputs, outputs]`.
    #[fusion(default)]
    fn affine(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Self::linear(x, weight, Some(bias))
    }

    /// Gradient of [`affine`](FloatOps::affine) to `x`.
    #[fusion(default)]
    fn affine_x_backward(weight: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::linear_x_backward(weight, grad)
    }

    /// Gradient of [`affine`](FloatOps::affine) to the weight.
    #[fusion(default)]
    fn affine_weight_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::linear_weight_backward(x, grad)
    }

    /// Products of matrices, `[.., rows, terms]` with `[.., terms, columns]`.
    #[fusion(default)]
    fn matmul(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::float_matmul(a, b)
    }

    /// `x + shift`, the shape of the shift being the end of that of `x`.
    #[fusion(default)]
    fn add_shift(x: FloatTensor<Self>, shift: FloatTensor<Self>) -> FloatTensor<Self> {
        primitive::add_shift::<Self>(x, shift)
    }

    /// Sum over the leading dimensions that `rank` last ones are kept of.
    #[fusion(default)]
    fn sum_leading(x: FloatTensor<Self>, rank: usize) -> FloatTensor<Self> {
        primitive::sum_leading::<Self>(x, rank)
    }

    /// `(x - mean) / sqrt(var + epsilon) * gamma + beta` over the last dimension.
    #[fusion(default)]
    fn normalize(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        Self::layer_norm(x, gamma, Some(beta), epsilon)
    }

    /// Gradients of [`normalize`](FloatOps::normalize) to `x`, gamma and beta.
    #[fusion(default)]
    fn normalize_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        primitive::normalize_backward::<Self>(x, gamma, grad, epsilon)
    }

    /// Softmax of `x * scale` over the last dimension.
    #[fusion(dtype = x, shape = x)]
    fn scaled_softmax(x: FloatTensor<Self>, scale: f64) -> FloatTensor<Self> {
        primitive::scaled_softmax::<Self>(x, scale)
    }

    /// Gradient of [`scaled_softmax`](FloatOps::scaled_softmax), whose value was `y`.
    #[fusion(dtype = y, shape = y)]
    fn scaled_softmax_backward(
        y: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        scale: f64,
    ) -> FloatTensor<Self> {
        primitive::scaled_softmax_backward::<Self>(y, grad, scale)
    }

    /// One of `parts` tensors that lie side by side, split into heads:
    /// `[batch, tokens, parts * heads * head_width]` to `[batch, heads, tokens, head_width]`.
    #[fusion(default)]
    fn split_heads(
        x: FloatTensor<Self>,
        heads: usize,
        parts: usize,
        part: usize,
    ) -> FloatTensor<Self> {
        primitive::split_heads::<Self>(x, heads, parts, part)
    }

    /// The reverse of [`split_heads`](FloatOps::split_heads), the other parts zero.
    #[fusion(default)]
    fn merge_heads(x: FloatTensor<Self>, parts: usize, part: usize) -> FloatTensor<Self> {
        primitive::merge_heads::<Self>(x, parts, part)
    }

    /// Float attention of query, key and value side by side, `[batch, tokens, 3 * width]`: the
    /// output `[batch, tokens, width]` and the matrix `[batch, heads, tokens, tokens]`. Never
    /// tracked.
    #[fusion(default)]
    fn attend(
        qkv: FloatTensor<Self>,
        heads: usize,
        scale: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        primitive::attend::<Self>(qkv, heads, |scores| Self::scaled_softmax(scores, scale))
    }

    /// Gradient to `qkv` of that of the output of [`attend`](FloatOps::attend).
    #[fusion(default)]
    fn attend_backward(
        qkv: FloatTensor<Self>,
        matrix: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        scale: f64,
    ) -> FloatTensor<Self> {
        primitive::attend_backward::<Self>(qkv, matrix, grad, |matrix, grad| {
            Self::scaled_softmax_backward(matrix, grad, scale)
        })
    }

    /// The output of [`attend`](FloatOps::attend).
    #[fusion(default)]
    fn attention_of(qkv: FloatTensor<Self>, heads: usize, scale: f64) -> FloatTensor<Self> {
        Self::attend(qkv, heads, scale).0
    }

    /// `x * P(N(0, 1) <= x)`, by the error function; cut off at plus and minus a bound.
    #[fusion(default)]
    fn erf_gelu(x: FloatTensor<Self>, bound: Option<f32>) -> FloatTensor<Self> {
        primitive::erf_gelu::<Self>(x, bound)
    }

    /// Gradient of [`erf_gelu`](FloatOps::erf_gelu). Burn's default is that of the approximation
    /// by `tanh`, which differs by some 4e-4 of its size.
    #[fusion(default)]
    fn erf_gelu_backward(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        bound: Option<f32>,
    ) -> FloatTensor<Self> {
        primitive::erf_gelu_backward::<Self>(x, grad, bound)
    }

    /// A step of AdamW: the weight and both moments after it. Never tracked.
    #[fusion(default)]
    fn adamw(
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        moment_1: FloatTensor<Self>,
        moment_2: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        primitive::adamw::<Self>(weight, grad, moment_1, moment_2, step)
    }
}

// What a backend does not override it inherits.
#[cfg(feature = "tch")]
#[allow(deprecated)] // Burn marks its LibTorch backend as deprecated since 0.22.
impl FloatOps for burn::backend::LibTorch {}
