//! The pull of latent weights towards their scale.

use burn::Tensor;

/// How far the magnitudes of a latent weight are from its scale: `mean (|w| / s - 1)^2`, with the scale
/// `s = mean |w|` a constant for the gradient; shape `[1]`.
///
/// Weights near zero flip their signs from step to step under Adam. Added to the loss late in a training, this
/// keeps them on the side where they are.
///
/// Source: after BHViT (CVPR 2025), which sums instead.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::binarize::weight_pull;
///
/// let device = Device::default();
/// let settled = Tensor::<2>::from_floats([[2.0, -2.0]], &device);
/// assert_eq!(weight_pull(settled).into_scalar::<f32>(), 0.0);
/// let torn = Tensor::<2>::from_floats([[3.0, -1.0]], &device);
/// assert_eq!(weight_pull(torn).into_scalar::<f32>(), 0.25);
/// ```
pub fn weight_pull<const D: usize>(weight: Tensor<D>) -> Tensor<1> {
    let magnitude = weight.abs();
    let scale = magnitude
        .clone()
        .detach()
        .mean()
        .clamp_min(crate::ops::SCALE_GUARD);
    let scale = scale.reshape([1; D]);
    (magnitude / scale).sub_scalar(1.0).square().mean()
}
