//! The weight-binary linear layer of stage 1.

use burn::Tensor;
use burn::config::Config;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay, Param};
use burn::nn::Initializer;
use burn::tensor::Device;
use gsb_cpu::linear;

use super::latent::{describe, latent};
use crate::binarize::{WeightBinarizer, WeightBinarizerConfig, WeightScale};
use crate::nn::{Shift, ShiftConfig};

/// Configuration of a [`WeightBinaryLinear`].
#[derive(Config, Debug)]
pub struct WeightBinaryLinearConfig {
    /// Number of input features.
    pub d_input: usize,
    /// Number of output features.
    pub d_output: usize,
    /// Whether a bias is added.
    #[config(default = true)]
    pub bias: bool,
    /// What shares a scale of the weight: the tensor, or (`Output(1)`) an output feature.
    #[config(default = "WeightScale::Tensor")]
    pub weight_scale: WeightScale,
    /// How the latent weight and the bias are initialised.
    #[config(
        default = "Initializer::KaimingUniform { gain: 1.0 / 3f64.sqrt(), fan_out_only: false }"
    )]
    pub initializer: Initializer,
}

/// A linear layer with one-bit weights and float inputs.
///
/// `y = (x + shift) B(w) + bias`, `B` the [`WeightBinarizer`]. Training updates the latent float
/// weight through its straight-through gradient. The layout is that of Burn's `Linear`.
///
/// Source: the MLP of stage 1, GSB (arXiv 2305.07931).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::nn::WeightBinaryLinearConfig;
///
/// let device = Device::default();
/// let layer = WeightBinaryLinearConfig::new(3, 4).init(&device);
/// assert_eq!(layer.forward(Tensor::<2>::ones([5, 3], &device)).dims(), [5, 4]);
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct WeightBinaryLinear {
    /// Latent float weight, shape `[d_input, d_output]`.
    pub weight: Param<Tensor<2>>,
    /// Bias, shape `[d_output]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// Shift of the input, shape `[d_input]`.
    pub shift: Shift<1>,
    /// Binarizer of the weight.
    pub weight_binarizer: WeightBinarizer,
}

impl WeightBinaryLinearConfig {
    /// Makes the layer; it needs no calibration.
    pub fn init(&self, device: &Device) -> WeightBinaryLinear {
        let shape = [self.d_input, self.d_output];
        let (weight, bias) = latent(shape, self.bias, &self.initializer, device);
        WeightBinaryLinear {
            weight,
            bias,
            shift: ShiftConfig::new(vec![self.d_input]).init(device),
            weight_binarizer: WeightBinarizerConfig::new()
                .with_scale(self.weight_scale)
                .init(),
        }
    }
}

impl WeightBinaryLinear {
    /// Applies the layer.
    ///
    /// # Shapes
    /// - x: `[.., d_input]`
    /// - output: `[.., d_output]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let weight = self.weight_binarizer.forward(self.weight.val());
        linear(
            self.shift.forward(x),
            weight,
            self.bias.as_ref().map(|bias| bias.val()),
        )
    }
}

impl ModuleDisplay for WeightBinaryLinear {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        crate::display::one_line()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        describe(content, &self.weight, self.bias.is_some())
            .add("weight_bits", &1usize)
            .optional()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_bits_and_shapes() {
        let layer = WeightBinaryLinearConfig::new(3, 4).init(&Device::default());
        assert_eq!(
            layer.to_string(),
            "WeightBinaryLinear {d_input: 3, d_output: 4, bias: true, weight_bits: 1, params: 19}"
        );
    }
}
