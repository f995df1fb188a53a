//! The MLP of stage 1.

use burn::Tensor;
use burn::config::Config;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay};
use burn::nn::{Dropout, DropoutConfig, Initializer};
use burn::tensor::Device;
use gsb_cpu::gelu;

use super::token_shift::{TokenShift, shifted};
use crate::nn::{WeightBinaryLinear, WeightBinaryLinearConfig};

/// Configuration of a [`WeightBinaryMlp`].
#[derive(Config, Debug)]
pub struct WeightBinaryMlpConfig {
    /// Width of a token.
    pub width: usize,
    /// Width of the hidden layer, in the paper `4 * width`.
    pub mlp_width: usize,
    /// Copies of neighbouring tokens that are added before each layer.
    pub token_shift: Option<TokenShift>,
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
    /// First layer, weight `[width, mlp_width]`.
    pub fc1: WeightBinaryLinear,
    /// Second layer, weight `[mlp_width, width]`.
    pub fc2: WeightBinaryLinear,
    /// Dropout after the activation and of the output.
    pub dropout: Dropout,
    #[module(skip)]
    token_shift: Option<TokenShift>,
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
            fc1: linear(self.width, self.mlp_width),
            fc2: linear(self.mlp_width, self.width),
            dropout: DropoutConfig::new(self.dropout).init(),
            token_shift: self.token_shift,
        }
    }
}

impl WeightBinaryMlp {
    /// Applies the layers.
    ///
    /// # Shapes
    /// - x and output: `[.., width]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let x = shifted(self.token_shift, x);
        let hidden = self.dropout.forward(gelu(self.fc1.forward(x)));
        let hidden = shifted(self.token_shift, hidden);
        self.dropout.forward(self.fc2.forward(hidden))
    }
}

impl ModuleDisplay for WeightBinaryMlp {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        crate::display::one_line()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let [width, mlp_width] = self.fc1.weight.lazy_shape().dims();
        content
            .add("width", &width)
            .add("mlp_width", &mlp_width)
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
            "WeightBinaryMlp {width: 2, mlp_width: 8, weight_bits: 1, params: 52}"
        );
    }
}
