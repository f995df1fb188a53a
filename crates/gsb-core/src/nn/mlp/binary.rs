//! The MLP of stage 2.

use burn::Tensor;
use burn::config::Config;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay};
use burn::nn::{Dropout, DropoutConfig, Initializer};
use burn::tensor::Device;
use gsb_cpu::{bounded_gelu, gelu};

use super::token_shift::{TokenShift, shifted};
use crate::binarize::{Blend, Levels};
use crate::nn::{BinaryLinear, BinaryLinearConfig};

/// What the hidden activations are clamped to before they are binarized, on both sides of zero.
const HIDDEN_BOUND: f32 = 10.0;

/// Configuration of a [`BinaryMlp`].
#[derive(Config, Debug)]
pub struct BinaryMlpConfig {
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

/// Two [`BinaryLinear`] layers with a GELU (erf), clamped to `[-10, 10]`, between them.
///
/// The input of the first is binarized with a sign, that of the second to `{0, a}`.
///
/// Source: stage 2 of GSB (arXiv 2305.07931).
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use gsb_core::nn::BinaryMlpConfig;
///
/// let device = Device::default();
/// let x = Tensor::<3>::random([2, 7, 12], Distribution::Default, &device);
/// let mlp = BinaryMlpConfig::new(12, 48).init(&device).calibrate(&x);
/// assert_eq!(mlp.forward(x).dims(), [2, 7, 12]);
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct BinaryMlp {
    /// First layer, weight `[width, mlp_width]`.
    pub fc1: BinaryLinear,
    /// Second layer, weight `[mlp_width, width]`.
    pub fc2: BinaryLinear,
    /// Dropout after the activation and of the output.
    pub dropout: Dropout,
    #[module(skip)]
    token_shift: Option<TokenShift>,
}

impl BinaryMlpConfig {
    /// Makes uncalibrated layers.
    ///
    /// # Panics
    /// If the dropout is outside `[0, 1)`.
    pub fn init(&self, device: &Device) -> BinaryMlp {
        let linear = |d_input, d_output, input| {
            let config = BinaryLinearConfig::new(d_input, d_output).with_input(input);
            config
                .with_initializer(self.initializer.clone())
                .init(device)
        };
        BinaryMlp {
            fc1: linear(self.width, self.mlp_width, Levels::Signed(1)),
            fc2: linear(self.mlp_width, self.width, Levels::Unsigned(1)),
            dropout: DropoutConfig::new(self.dropout).init(),
            token_shift: self.token_shift,
        }
    }
}

impl BinaryMlp {
    /// Applies the layers.
    ///
    /// # Shapes
    /// - x and output: `[.., width]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let hidden = self.activate(self.fc1.forward(shifted(self.token_shift, x)));
        self.dropout
            .forward(self.fc2.forward(shifted(self.token_shift, hidden)))
    }

    /// Both layers hand on a [share](Blend) of their binarized values.
    pub fn with_blend(self, blend: Blend) -> Self {
        Self {
            fc1: self.fc1.with_blend(blend),
            fc2: self.fc2.with_blend(blend),
            ..self
        }
    }

    /// Sets the scales that have not been set before from a batch, layer after layer.
    pub fn calibrate<const D: usize>(self, x: &Tensor<D>) -> Self {
        self.calibrate_forward(x.clone()).0
    }

    /// [Calibrates](Self::calibrate) with a batch and applies the layers to it.
    pub fn calibrate_forward<const D: usize>(mut self, x: Tensor<D>) -> (Self, Tensor<D>) {
        let (fc1, hidden) = self.fc1.calibrate_forward(shifted(self.token_shift, x));
        self.fc1 = fc1;
        let hidden = shifted(self.token_shift, self.activate(hidden));
        let (fc2, y) = self.fc2.calibrate_forward(hidden);
        self.fc2 = fc2;
        let y = self.dropout.forward(y);
        (self, y)
    }

    fn activate<const D: usize>(&self, hidden: Tensor<D>) -> Tensor<D> {
        if self.dropout.prob == 0.0 {
            return bounded_gelu(hidden, HIDDEN_BOUND);
        }
        self.dropout
            .forward(gelu(hidden))
            .clamp(-HIDDEN_BOUND, HIDDEN_BOUND)
    }
}

impl ModuleDisplay for BinaryMlp {
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
    fn copies_of_neighbours_are_added_before_both_layers() {
        let device = Device::default();
        let x = Tensor::<3>::random([2, 5, 6], burn::tensor::Distribution::Default, &device);
        let shift = TokenShift::new(2);
        let config = BinaryMlpConfig::new(6, 12).with_token_shift(Some(shift));
        let mlp = config.init(&device).calibrate(&x);
        let hidden = mlp.activate(mlp.fc1.forward(shift.forward(x.clone())));
        let expected = mlp.fc2.forward(shift.forward(hidden)).into_data();
        mlp.forward(x.clone())
            .into_data()
            .assert_eq(&expected, true);
        let (_, y) = mlp.calibrate_forward(x);
        y.into_data().assert_eq(&expected, true);
    }

    #[test]
    fn display_names_bits_and_shapes() {
        let mlp = BinaryMlpConfig::new(2, 8).init(&Device::default());
        assert_eq!(
            mlp.to_string(),
            "BinaryMlp {width: 2, mlp_width: 8, weight_bits: 1, params: 54}"
        );
    }
}
