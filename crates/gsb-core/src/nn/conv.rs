//! The 8-bit convolution of the patch embedding.

use burn::Tensor;
use burn::config::Config;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay, Param};
use burn::nn::Initializer;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::Device;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;

use crate::binarize::{ChannelQuantizer, ChannelQuantizerConfig};

/// Configuration of a [`QuantizedConv2d`].
#[derive(Config, Debug)]
pub struct QuantizedConv2dConfig {
    /// Channels in and out.
    pub channels: [usize; 2],
    /// Height and width of the kernel.
    pub kernel_size: [usize; 2],
    /// Steps between two places of the kernel; the kernel size for a patch embedding.
    #[config(default = "[1, 1]")]
    pub stride: [usize; 2],
    /// Whether a bias is added.
    #[config(default = true)]
    pub bias: bool,
    /// Bits of the weight, 1 to 8.
    #[config(default = 8)]
    pub bits: u8,
    /// How the latent weight and the bias are initialised.
    #[config(
        default = "Initializer::KaimingUniform { gain: 1.0 / 3f64.sqrt(), fan_out_only: false }"
    )]
    pub initializer: Initializer,
}

/// A convolution with few-bit weights, one learned scale per output channel, and float inputs.
///
/// `y = conv(x, Q(w)) + bias`, `Q` the [`ChannelQuantizer`], without padding. Calibration sets the
/// scales from the weight; no data are needed.
///
/// Source: the 8-bit patch embedding of stage 2, GSB (arXiv 2305.07931).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::nn::QuantizedConv2dConfig;
///
/// let device = Device::default();
/// let patches = QuantizedConv2dConfig::new([3, 8], [4, 4]).with_stride([4, 4]).init(&device).calibrate();
/// let y = patches.forward(Tensor::<4>::ones([2, 3, 12, 12], &device));
/// assert_eq!(y.dims(), [2, 8, 3, 3]);
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct QuantizedConv2d {
    /// Latent float weight, shape `[channels_out, channels_in, kernel_height, kernel_width]`.
    pub weight: Param<Tensor<4>>,
    /// Bias, shape `[channels_out]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// Quantizer of the weight.
    pub weight_quantizer: ChannelQuantizer,
    /// Steps between two places of the kernel.
    pub stride: [usize; 2],
}

impl QuantizedConv2dConfig {
    /// Makes an uncalibrated layer.
    ///
    /// # Panics
    /// If the bits are not in `1..=8`.
    pub fn init(&self, device: &Device) -> QuantizedConv2d {
        let conv = Conv2dConfig::new(self.channels, self.kernel_size)
            .with_bias(self.bias)
            .with_initializer(self.initializer.clone())
            .init(device);
        QuantizedConv2d {
            weight: conv.weight,
            bias: conv.bias,
            weight_quantizer: ChannelQuantizerConfig::new(self.channels[1])
                .with_bits(self.bits)
                .init(device),
            stride: self.stride,
        }
    }
}

impl QuantizedConv2d {
    /// Applies the layer.
    ///
    /// # Shapes
    /// - x: `[batch, channels_in, height, width]`
    /// - output: `[batch, channels_out, height_out, width_out]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let weight = self.weight_quantizer.forward(self.weight.val());
        let options = ConvOptions::new(self.stride, [0, 0], [1, 1], 1);
        conv2d(
            x,
            weight,
            self.bias.as_ref().map(|bias| bias.val()),
            options,
        )
    }

    /// Sets the scales from the weight, unless they have been set before.
    pub fn calibrate(mut self) -> Self {
        self.weight_quantizer = self.weight_quantizer.calibrate(&self.weight.val());
        self
    }
}

impl ModuleDisplay for QuantizedConv2d {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        crate::display::one_line()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let [ch_out, ch_in, height, width] = self.weight.lazy_shape().dims();
        content
            .add("ch_in", &ch_in)
            .add("ch_out", &ch_out)
            .add_debug_attribute("kernel_size", &[height, width])
            .add_debug_attribute("stride", &self.stride)
            .add("bias", &self.bias.is_some())
            .add(
                "weight_bits",
                &usize::from(self.weight_quantizer.levels().bits()),
            )
            .optional()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_bits_and_shapes() {
        let layer = QuantizedConv2dConfig::new([3, 2], [4, 4])
            .with_stride([4, 4])
            .init(&Device::default());
        assert_eq!(
            layer.to_string(),
            "QuantizedConv2d {ch_in: 3, ch_out: 2, kernel_size: [4, 4], stride: [4, 4], bias: true, weight_bits: 8, \
             params: 100}"
        );
    }
}
