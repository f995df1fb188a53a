//! The per-channel weight quantizer.

use burn::Tensor;
use burn::config::Config;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay, Param};
use burn::tensor::{Device, Int};

use super::ScaleRule;
use super::scale::{all_calibrated, fresh, settle};
use crate::ops::{self, Levels};

/// Configuration of a [`ChannelQuantizer`].
#[derive(Config, Debug)]
pub struct ChannelQuantizerConfig {
    /// Number of output channels, the first dimension of the weight.
    pub channels: usize,
    /// Bits of a level, 1 to 8.
    #[config(default = 8)]
    pub bits: u8,
}

/// Quantizes a weight to signed levels with one learned scale per output channel.
///
/// Forward, with `q = w / a_c` and the range `Qn, Qp` of [`Levels::Signed`]:
/// `y = clamp(round(q), Qn, Qp) * a_c`.
///
/// Surrogate gradients, with `mid = 1[Qn <= q <= Qp]` and `n` elements in the whole weight:
///
/// - `dw = mid * g`
/// - `da_c = sum_c((1[q < Qn] Qn + 1[q > Qp] Qp + mid * (round(q) - q)) * g) / sqrt(n * Qp)`
///
/// Unlike the other binarizers this one has no guard: a negative scale acts as it is, and only a
/// scale of exactly 0 acts as [`SCALE_GUARD`](super::SCALE_GUARD).
///
/// Initial scale from the weight: `2 mean|w| / sqrt(Qp)` of the whole weight, for every channel.
///
/// Source: the 8-bit patch embedding of GSB (arXiv 2305.07931), after LSQ (arXiv 1902.08153). The
/// published code leaves the scale uninitialised memory until the first training forward pass.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::binarize::ChannelQuantizerConfig;
///
/// let device = Device::default();
/// let w = Tensor::<2>::from_floats([[0.4, 1.2], [-0.6, 3.0]], &device);
/// let quantizer = ChannelQuantizerConfig::new(2).with_bits(2).init(&device); // scales 1
/// let y = quantizer.forward(w);
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [0.0, 1.0, -1.0, 1.0]);
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct ChannelQuantizer {
    /// The scales, shape `[channels]`.
    pub scale: Param<Tensor<1>>,
    /// 1 where a scale has been set from the weight, shape `[channels]`.
    pub calibrated: Param<Tensor<1, Int>>,
    #[module(skip)]
    levels: Levels,
}

impl ChannelQuantizerConfig {
    /// Makes an uncalibrated quantizer, scales 1.
    ///
    /// # Panics
    /// If the bits are not in `1..=8`.
    pub fn init(&self, device: &Device) -> ChannelQuantizer {
        let (scale, calibrated) = fresh(self.channels, device);
        ChannelQuantizer {
            scale,
            calibrated,
            levels: Levels::signed(self.bits),
        }
    }
}

impl ChannelQuantizer {
    /// Quantizes a weight.
    ///
    /// # Shapes
    /// - weight and output: `[channels, ..]`.
    ///
    /// # Panics
    /// If the first dimension is not the number of channels.
    pub fn forward<const D: usize>(&self, weight: Tensor<D>) -> Tensor<D> {
        ops::quantize_unguarded(weight, self.scale.val(), self.levels)
    }

    /// Sets the scales from the weight, unless they have been set before.
    pub fn calibrate<const D: usize>(mut self, weight: &Tensor<D>) -> Self {
        let channels = self.scale.val().dims();
        let measured = ScaleRule::MeanMagnitude
            .initial(weight, self.levels)
            .expand(channels);
        (self.scale, self.calibrated) = settle(self.scale, self.calibrated, measured);
        self
    }

    /// Whether the scales have been set from a weight. Waits for the device.
    pub fn is_calibrated(&self) -> bool {
        all_calibrated(&self.calibrated)
    }

    /// The levels it quantizes to.
    pub fn levels(&self) -> Levels {
        self.levels
    }
}

impl ModuleDisplay for ChannelQuantizer {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        crate::display::one_line()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let [channels] = self.scale.lazy_shape().dims();
        content
            .add("bits", &usize::from(self.levels.bits()))
            .add("channels", &channels)
            .optional()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_bits_and_channels() {
        let quantizer = ChannelQuantizerConfig::new(6).init(&Device::default());
        assert_eq!(
            quantizer.to_string(),
            "ChannelQuantizer {bits: 8, channels: 6, params: 6}"
        );
    }

    #[test]
    fn every_channel_starts_with_the_scale_of_the_whole_weight() {
        let device = Device::default();
        let w = Tensor::<2>::from_floats([[1.0, 1.0], [3.0, 3.0]], &device);
        let quantizer = ChannelQuantizerConfig::new(2)
            .with_bits(2)
            .init(&device)
            .calibrate(&w);
        assert_eq!(
            quantizer
                .scale
                .val()
                .into_data()
                .try_to_vec::<f32>()
                .unwrap(),
            [4.0, 4.0]
        );
    }
}
