//! The unsigned binarizer.

use burn::Tensor;
use burn::config::Config;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay, Param};
use burn::tensor::{Device, Int, s};

use super::scale::{all_calibrated, fresh, settle};
use super::{Blend, ScaleRule};
use crate::ops::{self, Levels, ThresholdScope};

/// Configuration of an [`UnsignedBinarizer`].
#[derive(Config, Debug)]
pub struct UnsignedBinarizerConfig {
    /// Bits of a level, 1 to 8.
    #[config(default = 1)]
    pub bits: u8,
    /// With more than one bit: the elements that share the minimum that is the lowest level.
    #[config(default = "ThresholdScope::Sample")]
    pub scope: ThresholdScope,
}

/// Quantizes to unsigned levels with one learned scale `a`; one bit is the binarizer to `{0, a}`.
///
/// With `a' = max(a, 1e-5)`, `Qn = 0`, `Qp = 2^bits - 1`; one bit: `z = x`, more: `z = x - min(x)`
/// with the minimum of the [scope](UnsignedBinarizerConfig::scope) as a constant for the gradient,
/// added back at the end. With `q = z / a'`:
///
/// - forward: `y = clamp(round(q), 0, Qp) * a' (+ min)`, rounding half to even
///
/// Surrogate gradients, with `mid = 1[0 <= q <= Qp]` and `n` elements:
///
/// - `dx = mid * g`
/// - `da = sum((1[q > Qp] Qp + mid * (round(q) - q)) * g) / sqrt(n * Qp)`
///
/// The scale's gradient reaches `a` even where the guard is active.
///
/// Initial scale from data: `4 mean|x| / sqrt(2^bits - 1)`.
///
/// Source: GSB (arXiv 2305.07931), after LSQ+ (arXiv 2004.09576). The published code takes the
/// minimum over the whole batch ([`ThresholdScope::Batch`]); calibration differs as described at
/// [`SignedBinarizer`](super::SignedBinarizer).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::binarize::UnsignedBinarizerConfig;
///
/// let device = Device::default();
/// let binarizer = UnsignedBinarizerConfig::new().init(&device); // scale 1
/// // 0.5 is a tie and goes to the even level
/// let x = Tensor::<1>::from_floats([-1.0, 0.5, 0.75, 3.0], &device);
/// let y = binarizer.forward(x);
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [0.0, 0.0, 1.0, 1.0]);
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct UnsignedBinarizer {
    /// The scale, shape `[1]`.
    pub scale: Param<Tensor<1>>,
    /// 1 once the scale has been set from data, shape `[1]`.
    pub calibrated: Param<Tensor<1, Int>>,
    #[module(skip)]
    levels: Levels,
    #[module(skip)]
    scope: ThresholdScope,
    #[module(skip)]
    blend: Blend,
}

impl UnsignedBinarizerConfig {
    /// Makes an uncalibrated binarizer, scale 1.
    ///
    /// # Panics
    /// If the bits are not in `1..=8`.
    pub fn init(&self, device: &Device) -> UnsignedBinarizer {
        let (scale, calibrated) = fresh(1, device);
        UnsignedBinarizer {
            scale,
            calibrated,
            levels: Levels::unsigned(self.bits),
            scope: self.scope,
            blend: Blend::BINARY,
        }
    }
}

impl UnsignedBinarizer {
    /// Quantizes `x`.
    ///
    /// # Shapes
    /// - x and output: any.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.blend.mix(x, |x| self.quantize(x))
    }

    /// Hands on a [share](Blend) of the binarized value.
    pub fn with_blend(mut self, blend: Blend) -> Self {
        self.blend = blend;
        self
    }

    fn quantize<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        if self.levels.bits() == 1 {
            return ops::quantize(x, self.scale.val(), self.levels);
        }
        let shape = x.shape();
        let (scopes, len) = self.scope.split(shape.as_slice());
        let min = ops::extrema(x.clone(), self.scope).slice(s![.., 1..2]);
        let z = x.reshape([scopes, len]) - min.clone();
        let y = ops::quantize(z, self.scale.val(), self.levels) + min;
        y.reshape(shape)
    }

    /// Sets the scale from `x`, unless it has been set before.
    pub fn calibrate<const D: usize>(mut self, x: &Tensor<D>) -> Self {
        let measured = ScaleRule::MeanMagnitude.initial(x, self.levels);
        (self.scale, self.calibrated) = settle(self.scale, self.calibrated, measured);
        self
    }

    /// Whether the scale has been set from data. Waits for the device.
    pub fn is_calibrated(&self) -> bool {
        all_calibrated(&self.calibrated)
    }

    /// The levels it quantizes to.
    pub fn levels(&self) -> Levels {
        self.levels
    }
}

impl ModuleDisplay for UnsignedBinarizer {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        crate::display::one_line()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let content = content.add("bits", &usize::from(self.levels.bits()));
        match self.levels.bits() {
            1 => content.optional(),
            _ => content.add_debug_attribute("scope", &self.scope).optional(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_bits_and_the_scope_where_it_matters() {
        let text = |bits| {
            UnsignedBinarizerConfig::new()
                .with_bits(bits)
                .init(&Device::default())
                .to_string()
        };
        assert_eq!(text(1), "UnsignedBinarizer {bits: 1, params: 1}");
        assert_eq!(
            text(2),
            "UnsignedBinarizer {bits: 2, scope: Sample, params: 1}"
        );
    }

    #[test]
    fn several_bits_start_at_the_minimum_of_the_scope() {
        let device = Device::default();
        let x = Tensor::<2>::from_floats([[-1.0, 0.0, 9.0], [5.0, 6.0, 7.0]], &device);
        let y = UnsignedBinarizerConfig::new()
            .with_bits(2)
            .init(&device)
            .forward(x);
        assert_eq!(
            y.into_data().try_to_vec::<f32>().unwrap(),
            [-1.0, 0.0, 2.0, 5.0, 6.0, 7.0]
        );
    }
}
