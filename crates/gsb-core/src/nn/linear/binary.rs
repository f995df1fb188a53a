//! The binary linear layer of stage 2.

use burn::Tensor;
use burn::config::Config;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay, Param};
use burn::nn::Initializer;
use burn::tensor::Device;
use gsb_cpu::linear;

use super::latent::{describe, latent};
use crate::binarize::{
    Blend, Levels, SignedBinarizer, SignedBinarizerConfig, ThresholdScope, UnsignedBinarizer,
    UnsignedBinarizerConfig, WeightBinarizer, WeightBinarizerConfig, WeightScale,
};
use crate::nn::{Shift, ShiftConfig};
use crate::ops::linear_levels;

/// Configuration of a [`BinaryLinear`].
#[derive(Config, Debug)]
pub struct BinaryLinearConfig {
    /// Number of input features.
    pub d_input: usize,
    /// Number of output features.
    pub d_output: usize,
    /// Whether a bias is added.
    #[config(default = true)]
    pub bias: bool,
    /// Levels of the input.
    #[config(default = "Levels::Signed(1)")]
    pub input: Levels,
    /// For unsigned inputs of several bits: the elements that share one minimum.
    #[config(default = "ThresholdScope::Sample")]
    pub scope: ThresholdScope,
    /// What shares a scale of the weight: the tensor, or (`Output(1)`) an output feature.
    #[config(default = "WeightScale::Tensor")]
    pub weight_scale: WeightScale,
    /// How the latent weight and the bias are initialised.
    #[config(
        default = "Initializer::KaimingUniform { gain: 1.0 / 3f64.sqrt(), fan_out_only: false }"
    )]
    pub initializer: Initializer,
}

/// The input binarizer of a [`BinaryLinear`].
#[derive(Module, Debug)]
pub enum InputBinarizer {
    /// For inputs of both signs.
    Signed(SignedBinarizer),
    /// For inputs that are mostly positive, such as those after GELU.
    Unsigned(UnsignedBinarizer),
}

impl InputBinarizer {
    fn new(levels: Levels, scope: ThresholdScope, device: &Device) -> Self {
        match levels {
            Levels::Signed(bits) => {
                Self::Signed(SignedBinarizerConfig::new().with_bits(bits).init(device))
            }
            Levels::Unsigned(bits) => {
                let config = UnsignedBinarizerConfig::new()
                    .with_bits(bits)
                    .with_scope(scope);
                Self::Unsigned(config.init(device))
            }
        }
    }

    /// Quantizes `x`.
    ///
    /// # Shapes
    /// - x and output: any.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Signed(binarizer) => binarizer.forward(x),
            Self::Unsigned(binarizer) => binarizer.forward(x),
        }
    }

    /// Sets the scale from `x`, unless it has been set before.
    pub fn calibrate<const D: usize>(self, x: &Tensor<D>) -> Self {
        match self {
            Self::Signed(binarizer) => Self::Signed(binarizer.calibrate(x)),
            Self::Unsigned(binarizer) => Self::Unsigned(binarizer.calibrate(x)),
        }
    }

    /// The scale, shape `[1]`.
    pub fn scale(&self) -> &Param<Tensor<1>> {
        match self {
            Self::Signed(binarizer) => &binarizer.scale,
            Self::Unsigned(binarizer) => &binarizer.scale,
        }
    }

    /// The levels it quantizes to.
    pub fn levels(&self) -> Levels {
        match self {
            Self::Signed(binarizer) => binarizer.levels(),
            Self::Unsigned(binarizer) => binarizer.levels(),
        }
    }
}

/// A linear layer with one-bit weights and one-bit (or few-bit) inputs.
///
/// `y = Q(x + shift) B(w) + bias`, `Q` a [`SignedBinarizer`] or [`UnsignedBinarizer`], `B` the
/// [`WeightBinarizer`]. Training updates the latent float weight through the binarizer's
/// straight-through gradient. The layout is that of Burn's `Linear`, so that a float layer's
/// weights carry over as they are.
///
/// Source: the linear layers of stage 2, GSB (arXiv 2305.07931).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::nn::BinaryLinearConfig;
///
/// let device = Device::default();
/// let x = Tensor::<2>::from_floats([[0.5, -2.0, 1.0]], &device);
/// let layer = BinaryLinearConfig::new(3, 4).init(&device).calibrate(&x);
/// assert_eq!(layer.forward(x).dims(), [1, 4]);
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct BinaryLinear {
    /// Latent float weight, shape `[d_input, d_output]`.
    pub weight: Param<Tensor<2>>,
    /// Bias, shape `[d_output]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// Shift of the input, shape `[d_input]`.
    pub shift: Shift<1>,
    /// Binarizer of the shifted input.
    pub input: InputBinarizer,
    /// Binarizer of the weight.
    pub weight_binarizer: WeightBinarizer,
}

impl BinaryLinearConfig {
    /// Makes an uncalibrated layer.
    ///
    /// # Panics
    /// If the input's bits are not in `1..=8`.
    pub fn init(&self, device: &Device) -> BinaryLinear {
        let shape = [self.d_input, self.d_output];
        let (weight, bias) = latent(shape, self.bias, &self.initializer, device);
        BinaryLinear {
            weight,
            bias,
            shift: ShiftConfig::new(vec![self.d_input]).init(device),
            input: InputBinarizer::new(self.input, self.scope, device),
            weight_binarizer: WeightBinarizerConfig::new()
                .with_scale(self.weight_scale)
                .init(),
        }
    }
}

impl BinaryLinear {
    /// Applies the layer.
    ///
    /// # Shapes
    /// - x: `[.., d_input]`
    /// - output: `[.., d_output]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.multiply(self.input.forward(self.shift.forward(x)))
    }

    /// Sets the input's scale from a batch, unless it has been set before.
    pub fn calibrate<const D: usize>(mut self, x: &Tensor<D>) -> Self {
        self.input = self.input.calibrate(&self.shift.forward(x.clone()));
        self
    }

    /// [Calibrates](Self::calibrate) with a batch and applies the layer to it.
    pub fn calibrate_forward<const D: usize>(self, x: Tensor<D>) -> (Self, Tensor<D>) {
        let layer = self.calibrate(&x);
        let y = layer.forward(x);
        (layer, y)
    }

    /// Input and weight hand on a [share](Blend) of their binarized values.
    pub fn with_blend(mut self, blend: Blend) -> Self {
        self.input = match self.input {
            InputBinarizer::Signed(binarizer) => {
                InputBinarizer::Signed(binarizer.with_blend(blend))
            }
            InputBinarizer::Unsigned(binarizer) => {
                InputBinarizer::Unsigned(binarizer.with_blend(blend))
            }
        };
        self.weight_binarizer = self.weight_binarizer.with_blend(blend);
        self
    }

    fn multiply<const D: usize>(&self, levels: Tensor<D>) -> Tensor<D> {
        let weight = self.weight_binarizer.forward(self.weight.val());
        let bias = self.bias.as_ref().map(|bias| bias.val());
        match self.input.levels().bits() {
            1 => linear_levels(levels, weight, bias),
            _ => linear(levels, weight, bias),
        }
    }
}

impl ModuleDisplay for BinaryLinear {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        crate::display::one_line()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        describe(content, &self.weight, self.bias.is_some())
            .add("weight_bits", &1usize)
            .add_debug_attribute("input", &self.input.levels())
            .optional()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_bits_and_shapes() {
        let layer = BinaryLinearConfig::new(3, 4).init(&Device::default());
        assert_eq!(
            layer.to_string(),
            "BinaryLinear {d_input: 3, d_output: 4, bias: true, weight_bits: 1, input: Signed(1), params: 20}"
        );
    }

    #[test]
    fn multiplies_signs() {
        let device = Device::default();
        let mut layer = BinaryLinearConfig::new(2, 1).with_bias(false).init(&device);
        layer.weight = Param::from_data([[2.0], [-4.0]], &device); // scale 3
        let x = Tensor::<2>::from_floats([[0.5, -0.5], [7.0, 1.0]], &device);
        assert_eq!(
            layer.forward(x).into_data().try_to_vec::<f32>().unwrap(),
            [6.0, 0.0]
        );
    }
}
