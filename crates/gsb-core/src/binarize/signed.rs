//! The signed binarizer.

use burn::Tensor;
use burn::config::Config;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay, Param};
use burn::tensor::{Device, Int};

use super::scale::{all_calibrated, fresh, settle};
use super::{Blend, ScaleRule};
use crate::ops::{self, Levels};

/// Configuration of a [`SignedBinarizer`].
#[derive(Config, Debug)]
pub struct SignedBinarizerConfig {
    /// Bits of a level, 1 to 8.
    #[config(default = 1)]
    pub bits: u8,
}

/// Quantizes to signed levels with one learned scale `a`; one bit is the binarizer to `{-a, a}`.
///
/// With `a' = max(a, 1e-5)`, `q = x / a'` and `Qn, Qp` of [`Levels::Signed`]:
///
/// - forward, one bit: `y = sign(x) * a'`, and `sign(0) = 0`
/// - forward, more: `y = clamp(round(q), Qn, Qp) * a'`, rounding half to even
///
/// Surrogate gradients, with `mid = 1[Qn <= q <= Qp]` and `n` elements:
///
/// - `dx = mid * g`
/// - one bit: `da = sum((sign(x) - mid * q) * g) / sqrt(n)`
/// - more: `da = sum((1[q < Qn] Qn + 1[q > Qp] Qp + mid * (round(q) - q)) * g) / sqrt(n * Qp)`
///
/// The scale's gradient reaches `a` even where the guard is active.
///
/// Initial scale from data: `2 mean|x| / sqrt(Qp)`.
///
/// Source: GSB (arXiv 2305.07931), after LSQ (arXiv 1902.08153). The published code sets the scale
/// in the first forward pass and forgets on saving that it did: a reloaded scale of exactly 1 is
/// set again. Here calibration is explicit and part of the record.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::binarize::SignedBinarizerConfig;
///
/// let device = Device::default();
/// let x = Tensor::<1>::from_floats([-2.0, -0.5, 0.0, 1.5], &device);
/// let binarizer = SignedBinarizerConfig::new().init(&device).calibrate(&x);
/// // 2 * (2 + 0.5 + 0 + 1.5) / 4 = 2
/// let y = binarizer.forward(x);
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [-2.0, -2.0, 0.0, 2.0]);
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct SignedBinarizer {
    /// The scale, shape `[1]`.
    pub scale: Param<Tensor<1>>,
    /// 1 once the scale has been set from data, shape `[1]`.
    pub calibrated: Param<Tensor<1, Int>>,
    #[module(skip)]
    levels: Levels,
    #[module(skip)]
    blend: Blend,
}

impl SignedBinarizerConfig {
    /// Makes an uncalibrated binarizer, scale 1.
    ///
    /// # Panics
    /// If the bits are not in `1..=8`.
    pub fn init(&self, device: &Device) -> SignedBinarizer {
        let (scale, calibrated) = fresh(1, device);
        SignedBinarizer {
            scale,
            calibrated,
            levels: Levels::signed(self.bits),
            blend: Blend::BINARY,
        }
    }
}

impl SignedBinarizer {
    /// Quantizes `x`.
    ///
    /// # Shapes
    /// - x and output: any.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.blend
            .mix(x, |x| ops::quantize(x, self.scale.val(), self.levels))
    }

    /// Hands on a [share](Blend) of the binarized value.
    pub fn with_blend(mut self, blend: Blend) -> Self {
        self.blend = blend;
        self
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

impl ModuleDisplay for SignedBinarizer {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        crate::display::one_line()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        content
            .add("bits", &usize::from(self.levels.bits()))
            .optional()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_bits() {
        let binarizer = SignedBinarizerConfig::new()
            .with_bits(8)
            .init(&Device::default());
        assert_eq!(
            binarizer.to_string(),
            "SignedBinarizer {bits: 8, params: 1}"
        );
    }

    #[test]
    fn calibrates_once() {
        let device = Device::default();
        let x = Tensor::<2>::ones([2, 2], &device);
        let binarizer = SignedBinarizerConfig::new().init(&device);
        assert!(!binarizer.is_calibrated());
        let binarizer = binarizer.calibrate(&x);
        assert!(binarizer.is_calibrated());
        let binarizer = binarizer.calibrate(&x.mul_scalar(5.0));
        assert_eq!(binarizer.scale.val().into_scalar::<f32>(), 2.0);
    }
}
