//! Gradual binarization.

use burn::Tensor;

/// How much of its binarized value a binarizer hands on, for gradual binarization:
/// `y = (1 - share) x + share Q(x)`. One, the default, is the binarizer itself.
///
/// It is no part of a record: a model that is loaded binarizes wholly.
///
/// Source: after gradual quantization of several authors; the published recipe has none.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::binarize::{Blend, SignedBinarizerConfig};
///
/// let device = Device::default();
/// let x = Tensor::<1>::from_floats([-3.0, 0.5], &device);
/// let binarizer = SignedBinarizerConfig::new().init(&device); // scale 1
/// let half = binarizer.with_blend(Blend::new(0.5)).forward(x);
/// assert_eq!(half.into_data().try_to_vec::<f32>().unwrap(), [-2.0, 0.75]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Blend(f64);

impl Blend {
    /// The binarizer alone.
    pub const BINARY: Self = Self(1.0);

    /// A share of the binarized value; below 0 and above 1 are 0 and 1.
    pub fn new(share: f64) -> Self {
        Self(share.clamp(0.0, 1.0))
    }

    /// The share of the binarized value.
    pub fn share(self) -> f64 {
        self.0
    }

    pub(super) fn mix<const D: usize>(
        self,
        x: Tensor<D>,
        binarize: impl FnOnce(Tensor<D>) -> Tensor<D>,
    ) -> Tensor<D> {
        if self.0 >= 1.0 {
            return binarize(x);
        }
        x.clone().mul_scalar(1.0 - self.0) + binarize(x).mul_scalar(self.0)
    }
}

impl Default for Blend {
    fn default() -> Self {
        Self::BINARY
    }
}
