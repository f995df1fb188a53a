//! The custom differentiable operations behind the layers.
//!
//! [`BinaryOps`] extends a Burn backend with the forward and backward passes of every binarizer.
//! Its default bodies are primitive tensor operations, so each backend works; on `Autodiff` the
//! backward passes are hand-written; the CPU backend (`flex`) runs fused loops, CubeCL's backends
//! fused kernels. Nothing here reads a tensor back to the host. [`gsb_cpu`] does the same for what lies between binarizers.
//!
//! Most users want the modules of [`binarize`](crate::binarize); the functions below are for those
//! who keep their scales elsewhere.

mod autodiff;
mod backend;
#[cfg(feature = "cube")]
mod cube;
#[cfg(feature = "flex")]
mod flex;
mod primitive;
#[cfg(all(test, any(feature = "cube", feature = "flex")))]
mod samples;
mod superposition;

pub use backend::BinaryOps;
pub use gsb_numerics::{Levels, SCALE_GUARD, ThresholdScope};
pub use superposition::{Superposed, Superposition, ValueGradient};

use burn::Tensor;
use burn::backend::Dispatch;
use gsb_cpu::linear;

/// Quantizes `x` with one learnable scale: `level(x / scale) * scale` (learned step size, LSQ).
///
/// With `q = x / scale`, `mid = 1[Qn <= q <= Qp]` and `n` elements, the gradients are
/// `dx = mid * g` and `dscale = sum((level(q) - mid * q) * g) / sqrt(n * Qp)`.
///
/// # Shapes
/// - `x`: any; `scale`: `[1]`, or `[c]` for one scale per entry of the first dimension of `x`.
/// - output: that of `x`.
///
/// # Panics
/// If `scale` has neither one entry nor as many as the first dimension of `x`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::ops::{Levels, quantize};
///
/// let device = Device::default();
/// let x = Tensor::<1>::from_floats([-3.0, -0.4, 0.0, 0.4, 3.0], &device);
/// let scale = Tensor::<1>::from_floats([0.5], &device);
/// let one_bit = quantize(x.clone(), scale.clone(), Levels::signed(1));
/// assert_eq!(one_bit.into_data().try_to_vec::<f32>().unwrap(), [-0.5, -0.5, 0.0, 0.5, 0.5]);
/// let two_bits = quantize(x, scale, Levels::signed(2));
/// assert_eq!(two_bits.into_data().try_to_vec::<f32>().unwrap(), [-1.0, -0.5, 0.0, 0.5, 0.5]);
/// ```
pub fn quantize<const D: usize>(x: Tensor<D>, scale: Tensor<1>, levels: Levels) -> Tensor<D> {
    dispatch_quantize(x, scale, levels, true)
}

/// [`quantize`] without the guard on the scale, which the published 8-bit convolution does not have.
pub(crate) fn quantize_unguarded<const D: usize>(
    x: Tensor<D>,
    scale: Tensor<1>,
    levels: Levels,
) -> Tensor<D> {
    dispatch_quantize(x, scale, levels, false)
}

fn dispatch_quantize<const D: usize>(
    x: Tensor<D>,
    scale: Tensor<1>,
    levels: Levels,
    guarded: bool,
) -> Tensor<D> {
    let [scales] = scale.dims();
    let mut shape = [1; D];
    shape[0] = scales;
    assert!(
        scales == 1 || scales == x.dims()[0],
        "quantize: {scales} scales for an input of shape {:?}: expected 1 or as many as its first dimension",
        x.dims()
    );
    let scale: Tensor<D> = scale.reshape(shape);
    Tensor::from_dispatch(Dispatch::lsq(
        x.into_dispatch(),
        scale.into_dispatch(),
        levels,
        guarded,
    ))
}

/// Maximum and minimum of every scope of `x`, as constants for the gradient.
///
/// # Shapes
/// - `x`: any; output: `[scopes, 2]`, the maximum first.
pub fn extrema<const D: usize>(x: Tensor<D>, scope: ThresholdScope) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::extrema(x.into_dispatch(), scope))
}

/// Group superposition of a tensor, see [`AttentionBinarizer`](crate::binarize::AttentionBinarizer)
/// and [`ValueBinarizer`](crate::binarize::ValueBinarizer) for equations and gradients:
///
/// - attention: `clamp(round(x / a1), Qn, Qp) * a1 + T1 * a2 + T2 * a3 + ..`
/// - value: `sign(x) * a1 + sign(x T1) * a2 + sign(x T2) * a3 + ..`
///
/// # Shapes
/// - `x`: any; `scales`: `[groups]`; output: that of `x`.
///
/// # Panics
/// If the number of scales is not that of the groups.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::ops::{Superposed, Superposition, ThresholdScope, superpose};
///
/// let device = Device::default();
/// let x = Tensor::<1>::from_floats([-1.0, -0.8, 0.5, 1.0], &device);
/// let scales = Tensor::<1>::from_floats([1.0, 0.5, 0.25], &device);
/// let spec = Superposition::paper(Superposed::Value, ThresholdScope::Batch);
/// let y = superpose(x, scales, &spec);
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [-1.75, -1.5, 1.0, 1.75]);
/// ```
pub fn superpose<const D: usize>(
    x: Tensor<D>,
    scales: Tensor<1>,
    spec: &Superposition,
) -> Tensor<D> {
    let [n] = scales.dims();
    assert!(
        n == spec.groups(),
        "a superposition of {} groups takes as many scales, got {n}",
        spec.groups()
    );
    let extrema = extrema(x.clone(), spec.scope);
    Tensor::from_dispatch(Dispatch::superpose(
        x.into_dispatch(),
        scales.into_dispatch(),
        extrema.into_dispatch(),
        spec.clone(),
    ))
}

/// Binarizes a weight: `sign(w - mean(w)) * mean|w|`, straight-through gradient (`dw = g`).
///
/// The scale is one for the tensor or, with `output = Some(dim)`, one for each entry of the
/// dimension that holds the outputs; the mean that is subtracted is always that of the tensor.
///
/// # Shapes
/// - `w` and output: any.
///
/// # Panics
/// If `output` is not a dimension of `w`.
pub fn binarize_weight<const D: usize>(w: Tensor<D>, output: Option<usize>) -> Tensor<D> {
    assert!(
        output.is_none_or(|dim| dim < D),
        "output dimension {output:?} of a weight of rank {D}"
    );
    Tensor::from_dispatch(Dispatch::binarize_weight(w.into_dispatch(), output))
}

/// `x w + bias` of levels and a binarized weight, as [`gsb_cpu::linear`] and with its gradients. Where one magnitude is
/// that of all of `x` and another that of all of `w`, the CPU backend counts signs instead of multiplying floats.
///
/// # Shapes
/// - `x`: `[.., inputs]`; `weight`: `[inputs, outputs]`; `bias`: `[outputs]`; output: `[.., outputs]`.
///
/// # Panics
/// If the shapes do not go together.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::ops::linear_levels;
///
/// let device = Device::default();
/// let x = Tensor::<2>::from_floats([[0.5, -0.5, 0.5]], &device);
/// let weight = Tensor::<2>::from_floats([[2.0], [2.0], [-2.0]], &device);
/// let bias = Tensor::<1>::from_floats([0.25], &device);
/// let y = linear_levels(x, weight, Some(bias));
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [-0.75]);
/// ```
pub fn linear_levels<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let [inputs, outputs] = weight.dims();
    let has_size = |bias: &Tensor<1>| bias.dims() == [outputs];
    if D < 2 || x.dims()[D - 1] != inputs || !bias.as_ref().is_none_or(has_size) {
        return linear(x, weight, bias);
    }
    let bias = bias.unwrap_or_else(|| Tensor::zeros([outputs], (&weight.device(), weight.dtype())));
    Tensor::from_dispatch(Dispatch::affine_levels(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
    ))
}
