//! The operations every backend offers.

// Without a backend, the generated dispatch has nothing to hand the arguments to.
#![cfg_attr(
    not(any(feature = "flex", feature = "cube", feature = "tch")),
    allow(unused_variables)
)]

use burn::backend::{backend_extension, tensor::FloatTensor};
// The generated dispatch names the type of the backend's tensors through the prelude.
#[allow(unused_imports)]
use burn::backend::{Autodiff, Dispatch};
use gsb_cpu::FloatOps;
use gsb_numerics::{Levels, ThresholdScope};

use super::primitive;
use super::superposition::Superposition;

/// Forward and backward passes of the binarizers, as operations of a Burn backend.
///
/// Every method has a body of primitive operations, so that implementing the trait for a backend
/// takes one empty `impl`; a backend overrides what it can do faster. On `Autodiff` the forward
/// methods record the hand-written backward ones.
///
/// Scales are guarded inside: a scale that is not above [`SCALE_GUARD`](gsb_numerics::SCALE_GUARD) acts
/// as that guard, while its gradient is passed on as if there were none.
#[backend_extension(
    Cube: cfg(feature = "cube"),
    Flex: cfg(feature = "flex"),
    LibTorch: cfg(feature = "tch"),
    Autodiff,
    Fusion: cfg(feature = "cube")
)]
pub trait BinaryOps: FloatOps {
    /// Maximum and minimum of every scope of `x`, shape `[scopes, 2]`; never tracked.
    #[fusion(dtype = x, shape = primitive::extrema_shape(x, scope))]
    fn extrema(x: FloatTensor<Self>, scope: ThresholdScope) -> FloatTensor<Self> {
        primitive::extrema::<Self>(x, scope)
    }

    /// `level(x / scale) * scale`. The scale has the rank of `x` and shape `[1, ..]` (one scale)
    /// or `[c, 1, ..]` (one for each entry of the first dimension).
    #[fusion(dtype = x, shape = x)]
    fn lsq(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        levels: Levels,
        guarded: bool,
    ) -> FloatTensor<Self> {
        primitive::lsq::<Self>(x, scale, levels, guarded)
    }

    /// Gradients of [`lsq`](BinaryOps::lsq) to `x` and to the scale.
    #[fusion(meta = |x, scale, _grad, _levels, _guarded| (x.clone(), scale.clone()))]
    fn lsq_backward(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        levels: Levels,
        guarded: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        primitive::lsq_backward::<Self>(x, scale, grad, levels, guarded)
    }

    /// A superposition; `scales` has shape `[groups]`, `extrema` comes from
    /// [`extrema`](BinaryOps::extrema).
    #[fusion(dtype = x, shape = x)]
    fn superpose(
        x: FloatTensor<Self>,
        scales: FloatTensor<Self>,
        extrema: FloatTensor<Self>,
        spec: Superposition,
    ) -> FloatTensor<Self> {
        primitive::superpose::<Self>(x, scales, extrema, spec)
    }

    /// Gradients of [`superpose`](BinaryOps::superpose) to `x` and the scales.
    #[fusion(meta = |x, scales, _extrema, _grad, _spec| (x.clone(), scales.clone()))]
    fn superpose_backward(
        x: FloatTensor<Self>,
        scales: FloatTensor<Self>,
        extrema: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        spec: Superposition,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        primitive::superpose_backward::<Self>(x, scales, extrema, grad, spec)
    }

    /// `sign(w - mean(w)) * mean|w|`, the second mean over the whole tensor or, with `output`,
    /// over everything but that dimension. The gradient is the identity.
    #[fusion(dtype = w, shape = w)]
    fn binarize_weight(w: FloatTensor<Self>, output: Option<usize>) -> FloatTensor<Self> {
        primitive::binarize_weight::<Self>(w, output)
    }

    /// [`affine`](FloatOps::affine) of levels and a binarized weight. Where both have a single magnitude, their
    /// product is a count of signs; the gradients are those of floats.
    #[fusion(default)]
    fn affine_levels(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Self::affine(x, weight, bias)
    }
}

// What a backend does not override it inherits.
#[cfg(feature = "tch")]
#[allow(deprecated)] // Burn marks its LibTorch backend as deprecated since 0.22.
impl BinaryOps for burn::backend::LibTorch {}
