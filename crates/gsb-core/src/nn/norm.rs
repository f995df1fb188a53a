//! Layer normalization.

use burn::Tensor;
use burn::config::Config;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay, Param};
use burn::nn::Initializer;
use burn::tensor::{DType, Device, FloatDType};

/// What is added to the variance, inside the root, in the paper's networks.
pub const LAYER_NORM_EPSILON: f64 = 1e-12;

/// Configuration of a [`LayerNorm`].
#[derive(Config, Debug)]
pub struct LayerNormConfig {
    /// Size of the last dimension.
    pub d_model: usize,
    /// What is added to the variance, inside the root.
    #[config(default = 1e-5)]
    pub epsilon: f64,
    /// Whether a bias is added.
    #[config(default = true)]
    pub bias: bool,
}

/// Layer normalization: `y = (x - mean) / sqrt(var + epsilon) * gamma + beta` over the last dimension,
/// `var` the biased variance.
///
/// Its parameters and their names are those of Burn's `LayerNorm`; the backward pass is one
/// operation, not the chain that Burn records.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::nn::LayerNormConfig;
///
/// let device = Device::default();
/// let norm = LayerNormConfig::new(2).init(&device);
/// let y = norm.forward(Tensor::<2>::from_floats([[100.0, 300.0]], &device));
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [-1.0, 1.0]);
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct LayerNorm {
    /// Scale, shape `[d_model]`.
    pub gamma: Param<Tensor<1>>,
    /// Bias, shape `[d_model]`.
    pub beta: Option<Param<Tensor<1>>>,
    epsilon: f64,
}

impl LayerNormConfig {
    /// Makes the layer, scales 1 and biases 0.
    pub fn init(&self, device: &Device) -> LayerNorm {
        LayerNorm {
            gamma: Initializer::Ones.init([self.d_model], device),
            beta: self
                .bias
                .then(|| Initializer::Zeros.init([self.d_model], device)),
            epsilon: self.epsilon,
        }
    }
}

impl LayerNorm {
    /// What is added to the variance, inside the root.
    pub fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// Applies the layer.
    ///
    /// # Shapes
    /// - x and output: `[.., d_model]`
    ///
    /// # Panics
    /// If the last dimension of `x` is not `d_model`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        // Half precision overflows from the square of 256 on.
        if x.dtype() == DType::F16 {
            let wide = FloatDType::F32;
            let gamma = self.gamma.val().cast(wide);
            let beta = self.beta.as_ref().map(|beta| beta.val().cast(wide));
            let y = normalize(x.cast(wide), gamma, beta, self.epsilon);
            return y.cast(FloatDType::F16);
        }
        let beta = self.beta.as_ref().map(|beta| beta.val());
        normalize(x, self.gamma.val(), beta, self.epsilon)
    }
}

fn normalize<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Option<Tensor<1>>,
    epsilon: f64,
) -> Tensor<D> {
    let beta = beta.unwrap_or_else(|| gamma.zeros_like());
    gsb_cpu::layer_norm(x, gamma, beta, epsilon)
}

impl ModuleDisplay for LayerNorm {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        crate::display::one_line()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let [d_model] = self.gamma.lazy_shape().dims();
        content
            .add("d_model", &d_model)
            .add("epsilon", &self.epsilon)
            .add("bias", &self.beta.is_some())
            .optional()
    }
}

/// Layer normalization with the epsilon of the published networks.
///
/// `y = (x - mean) / sqrt(var + 1e-12) * gamma + beta` over the last dimension, `var` the biased
/// variance. The gradient through a row of equal numbers is scaled by `1e6`; where their mean is rounded, so is what the
/// row gives: at most `gamma` away from `beta`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::default();
/// let norm = gsb_core::nn::layer_norm(2).init(&device);
/// let y = norm.forward(Tensor::<2>::from_floats([[1.0, 3.0]], &device));
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [-1.0, 1.0]);
/// ```
pub fn layer_norm(d_model: usize) -> LayerNormConfig {
    LayerNormConfig::new(d_model).with_epsilon(LAYER_NORM_EPSILON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_width_and_epsilon() {
        let norm = layer_norm(3).init(&Device::default());
        assert_eq!(
            norm.to_string(),
            "LayerNorm {d_model: 3, epsilon: 0.000000000001, bias: true, params: 6}"
        );
    }
}
