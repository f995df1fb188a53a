//! The linear layer with learned scales on both sides: the 8-bit heads.

use burn::Tensor;
use burn::config::Config;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay, Param};
use burn::nn::Initializer;
use burn::tensor::Device;
use gsb_cpu::linear;

use super::latent::{describe, latent};
use crate::binarize::{SignedBinarizer, SignedBinarizerConfig};
use crate::nn::{Shift, ShiftConfig};

/// Configuration of a [`QuantizedLinear`].
#[derive(Config, Debug)]
pub struct QuantizedLinearConfig {
    /// Number of input features.
    pub d_input: usize,
    /// Number of output features.
    pub d_output: usize,
    /// Whether a bias is added.
    #[config(default = true)]
    pub bias: bool,
    /// Bits of the weight, 1 to 8.
    #[config(default = 8)]
    pub weight_bits: u8,
    /// Bits of the input, 1 to 8.
    #[config(default = 8)]
    pub input_bits: u8,
    /// How the latent weight and the bias are initialised.
    #[config(
        default = "Initializer::KaimingUniform { gain: 1.0 / 3f64.sqrt(), fan_out_only: false }"
    )]
    pub initializer: Initializer,
}

/// A linear layer with signed few-bit weights and inputs, each with a learned scale.
///
/// `y = Q_x(x + shift) Q_w(w) + bias`, both quantizers [`SignedBinarizer`]s. Calibration sets the
/// input's scale from a batch and the weight's from the weight. The layout is that of Burn's
/// `Linear`.
///
/// Source: the 8-bit heads of stage 2, GSB (arXiv 2305.07931).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::nn::QuantizedLinearConfig;
///
/// let device = Device::default();
/// let x = Tensor::<2>::from_floats([[0.5, -2.0, 1.0]], &device);
/// let head = QuantizedLinearConfig::new(3, 10).init(&device).calibrate(&x);
/// assert_eq!(head.forward(x).dims(), [1, 10]);
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct QuantizedLinear {
    /// Latent float weight, shape `[d_input, d_output]`.
    pub weight: Param<Tensor<2>>,
    /// Bias, shape `[d_output]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// Shift of the input, shape `[d_input]`.
    pub shift: Shift<1>,
    /// Quantizer of the shifted input.
    pub input: SignedBinarizer,
    /// Quantizer of the weight.
    pub weight_quantizer: SignedBinarizer,
}

impl QuantizedLinearConfig {
    /// Makes an uncalibrated layer.
    ///
    /// # Panics
    /// If bits are not in `1..=8`.
    pub fn init(&self, device: &Device) -> QuantizedLinear {
        let shape = [self.d_input, self.d_output];
        let (weight, bias) = latent(shape, self.bias, &self.initializer, device);
        QuantizedLinear {
            weight,
            bias,
            shift: ShiftConfig::new(vec![self.d_input]).init(device),
            input: SignedBinarizerConfig::new()
                .with_bits(self.input_bits)
                .init(device),
            weight_quantizer: SignedBinarizerConfig::new()
                .with_bits(self.weight_bits)
                .init(device),
        }
    }
}

impl QuantizedLinear {
    /// Applies the layer.
    ///
    /// # Shapes
    /// - x: `[.., d_input]`
    /// - output: `[.., d_output]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let levels = self.input.forward(self.shift.forward(x));
        let weight = self.weight_quantizer.forward(self.weight.val());
        linear(levels, weight, self.bias.as_ref().map(|bias| bias.val()))
    }

    /// Sets the scales from a batch and the weight, unless they have been set before.
    pub fn calibrate<const D: usize>(mut self, x: &Tensor<D>) -> Self {
        self.input = self.input.calibrate(&self.shift.forward(x.clone()));
        self.weight_quantizer = self.weight_quantizer.calibrate(&self.weight.val());
        self
    }

    /// [Calibrates](Self::calibrate) with a batch and applies the layer to it.
    pub fn calibrate_forward<const D: usize>(self, x: Tensor<D>) -> (Self, Tensor<D>) {
        let layer = self.calibrate(&x);
        let y = layer.forward(x);
        (layer, y)
    }
}

impl ModuleDisplay for QuantizedLinear {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        crate::display::one_line()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        describe(content, &self.weight, self.bias.is_some())
            .add(
                "weight_bits",
                &usize::from(self.weight_quantizer.levels().bits()),
            )
            .add("input_bits", &usize::from(self.input.levels().bits()))
            .optional()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_bits_and_shapes() {
        let layer = QuantizedLinearConfig::new(3, 4)
            .with_bias(false)
            .init(&Device::default());
        assert_eq!(
            layer.to_string(),
            "QuantizedLinear {d_input: 3, d_output: 4, bias: false, weight_bits: 8, input_bits: 8, params: 17}"
        );
    }
}
