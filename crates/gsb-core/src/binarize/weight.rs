//! The weight binarizer.

use burn::Tensor;
use burn::config::Config;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay};
use serde::{Deserialize, Serialize};

use super::Blend;
use crate::ops;

/// What one scale of a [`WeightBinarizer`] is shared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum WeightScale {
    /// The whole weight ("layerwise", the paper's choice).
    #[default]
    Tensor,
    /// The weights of one output: one scale for each entry of this dimension (the columns, `1`, of
    /// a linear weight `[d_input, d_output]`; `0` for a convolution's).
    Output(usize),
}

/// Configuration of a [`WeightBinarizer`].
#[derive(Config, Debug)]
pub struct WeightBinarizerConfig {
    /// What shares a scale.
    #[config(default = "WeightScale::Tensor")]
    pub scale: WeightScale,
}

/// Binarizes a weight to its sign about the mean, times the mean magnitude (BWN).
///
/// Forward, with `n` elements: `y = sign(w - mean(w)) * s`, `s = sum|w| / n` of the weights before
/// they are centred, and `sign(0) = 0`. With [`WeightScale::Output`] the sum runs over the weights
/// of one output; the mean that is subtracted stays that of the whole tensor.
///
/// Gradient: straight through, `dw = g`. There is nothing to learn or calibrate.
///
/// Source: GSB (arXiv 2305.07931), section on weight binarization, after XNOR-Net
/// (arXiv 1603.05279). The published code computes the same in both stages.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::binarize::WeightBinarizerConfig;
///
/// // mean = 0.5, mean magnitude = (1 + 0 + 2 + 1) / 4 = 1
/// let w = Tensor::<2>::from_floats([[1.0, 0.0], [2.0, -1.0]], &Device::default());
/// let y = WeightBinarizerConfig::new().init().forward(w);
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [1.0, -1.0, 1.0, -1.0]);
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct WeightBinarizer {
    /// What shares a scale.
    #[module(skip)]
    pub scale: WeightScale,
    #[module(skip)]
    blend: Blend,
}

impl WeightBinarizerConfig {
    /// Makes the binarizer; it has no parameters.
    pub fn init(&self) -> WeightBinarizer {
        WeightBinarizer {
            scale: self.scale,
            blend: Blend::BINARY,
        }
    }
}

impl WeightBinarizer {
    /// Binarizes a weight.
    ///
    /// # Shapes
    /// - weight and output: any.
    ///
    /// # Panics
    /// If the output dimension is not one of the weight's.
    pub fn forward<const D: usize>(&self, weight: Tensor<D>) -> Tensor<D> {
        let output = match self.scale {
            WeightScale::Tensor => None,
            WeightScale::Output(dim) => Some(dim),
        };
        self.blend
            .mix(weight, |weight| ops::binarize_weight(weight, output))
    }

    /// Hands on a [share](Blend) of the binarized value.
    pub fn with_blend(mut self, blend: Blend) -> Self {
        self.blend = blend;
        self
    }
}

impl ModuleDisplay for WeightBinarizer {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        crate::display::one_line()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        content
            .add("bits", &1usize)
            .add_debug_attribute("scale", &self.scale)
            .optional()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn one_scale_per_output_column() {
        let w = Tensor::<2>::from_floats([[1.0, -4.0], [3.0, -2.0]], &Device::default());
        let config = WeightBinarizerConfig::new().with_scale(WeightScale::Output(1));
        let y = config
            .init()
            .forward(w)
            .into_data()
            .try_to_vec::<f32>()
            .unwrap();
        assert_eq!(y, [2.0, -3.0, 2.0, -3.0]);
    }

    #[test]
    fn display_names_bits_and_scale() {
        let text = WeightBinarizerConfig::new().init().to_string();
        assert_eq!(text, "WeightBinarizer {bits: 1, scale: Tensor}");
    }
}
