//! The MLP of stage 1.

use burn::Tensor;
use burn::config::Config;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay};
use burn::nn::{Dropout, DropoutConfig, Initializer};
use burn::tensor::Device;

use crate::nn::{WeightBinaryLinear, WeightBinaryLinearConfig};
use crate::ops::gelu;

/// Configuration of a [`WeightBinaryMlp`].
#[derive(Config, Debug)]
pub struct WeightBinaryMlpConfig {
    /// Width of a token.
    pub d_model: usize,
    /// Width of the hidden layer, in the paper `4 * d_model`.
    pub d_hidden: usize,
    /// Dropout after the activation and of the output.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// How latent weights and biases are initialised.
    #[config(
        default = "Initializer::KaimingUniform { gain: 1.0 / 3f64.sqrt(), fan_out_only: false }"
    )]
    pub initializer: Initializer,
}

/// Two [`WeightBinaryLinear`] layers with a GELU (erf) between them.
///
/// Source: stage 1 of GSB (arXiv 2305.07931).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::nn::WeightBinaryMlpConfig;
///
/// let device = Device::default();
/// let mlp = WeightBinaryMlpConfig::new(12, 48).init(&device);
/// assert_eq!(mlp.forward(Tensor::<3>::ones([2, 7, 12], &device)).dims(), [2, 7, 12]);
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct WeightBinaryMlp {
    /// First layer, weight `[d_model, d_hidden]`.
    pub fc1: WeightBinaryLinear,
    /// Second layer, weight `[d_hidden, d_model]`.
    pub fc2: WeightBinaryLinear,
    /// Dropout after the activation and of the output.
    pub dropout: Dropout,
}

impl WeightBinaryMlpConfig {
    /// Makes the layers; they need no calibration.
    ///
    /// # Panics
    /// If the dropout is outside `[0, 1)`.
    pub fn init(&self, device: &Device) -> WeightBinaryMlp {
        let linear = |d_input, d_output| {
            let config = WeightBinaryLinearConfig::new(d_input, d_output);
            config
                .with_initializer(self.initializer.clone())
                .init(device)
        };
        WeightBinaryMlp {
            fc1: linear(self.d_model, self.d_hidden),
            fc2: linear(self.d_hidden, self.d_model),
            dropout: DropoutConfig::new(self.dropout).init(),
        }
    }
}

impl WeightBinaryMlp {
    /// Applies the layers.
    ///
    /// # Shapes
    /// - x and output: `[.., d_model]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let hidden = self.dropout.forward(gelu(self.fc1.forward(x)));
        self.dropout.forward(self.fc2.forward(hidden))
    }
}

impl ModuleDisplay for WeightBinaryMlp {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new()
            .with_new_line_after_attribute(false)
            .optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let [d_model, d_hidden] = self.fc1.weight.lazy_shape().dims();
        content
            .add("d_model", &d_model)
            .add("d_hidden", &d_hidden)
            .add("weight_bits", &1usize)
            .optional()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_bits_and_shapes() {
        let mlp = WeightBinaryMlpConfig::new(2, 8).init(&Device::default());
        assert_eq!(
            mlp.to_string(),
            "WeightBinaryMlp {d_model: 2, d_hidden: 8, weight_bits: 1, params: 52}"
        );
    }
}
