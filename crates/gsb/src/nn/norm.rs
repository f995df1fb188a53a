//! Layer normalization as the paper's networks use it.

use burn::nn::LayerNormConfig;

/// What is added to the variance, inside the root.
pub const LAYER_NORM_EPSILON: f64 = 1e-12;

/// Burn's layer normalization with the epsilon of the published networks.
///
/// `y = (x - mean) / sqrt(var + 1e-12) * gamma + beta` over the last dimension, `var` the biased
/// variance. A constant row gives `beta`; the gradient through it is scaled by `1e6`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::default();
/// let norm = gsb::nn::layer_norm(2).init(&device);
/// let y = norm.forward(Tensor::<2>::from_floats([[1.0, 3.0]], &device));
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [-1.0, 1.0]);
/// ```
pub fn layer_norm(d_model: usize) -> LayerNormConfig {
    LayerNormConfig::new(d_model).with_epsilon(LAYER_NORM_EPSILON)
}
