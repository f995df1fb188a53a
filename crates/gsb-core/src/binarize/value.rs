//! Group superposition of the value.

use burn::Tensor;
use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Slice};

use super::groups::{checked_thresholds, keep, shares, superposition_methods};
use super::scale::{Measured, fresh};
use super::{Blend, InitialScales, ScaleRule, ValueGradient};
use crate::ops::{self, Levels, Superposed, Superposition, ThresholdScope};

/// Configuration of a [`ValueBinarizer`].
#[derive(Config, Debug)]
pub struct ValueBinarizerConfig {
    /// Number of groups: 3 is the paper's, 1 the plain binarizer it compares with.
    #[config(default = 3)]
    pub groups: usize,
    /// Fractions of the maximum (and minimum) beyond which groups 2, 3, ... begin, ascending; as
    /// many as there are groups less one are used, from the first.
    #[config(default = "gsb_numerics::GROUP_THRESHOLDS.to_vec()")]
    pub thresholds: Vec<f32>,
    /// Bits of the clipping range, 1 to 8; more than one: `-2^(bits - 1)` to `2^(bits - 1)`. The
    /// output stays a sign, as published.
    #[config(default = 1)]
    pub bits: u8,
    /// The elements that share one maximum and minimum.
    #[config(default = "ThresholdScope::Sample")]
    pub scope: ThresholdScope,
    /// How the initial scales follow from data.
    #[config(default = "InitialScales::Published")]
    pub initial: InitialScales,
    /// Where the gradient of the input passes, and how many times.
    #[config(default = "ValueGradient::Published")]
    pub gradient: ValueGradient,
}

/// Binarizes the value of an attention to a superposition of nested signed groups (GSB).
///
/// With scales `a1, a2, a3`, `a' = max(a, 1e-5)`, and the extrema over the
/// [scope](ValueBinarizerConfig::scope) constants for the gradient:
///
/// - groups: `T1 = 1[x > 0.7 max x] + 1[x < 0.7 min x]`, `T2` likewise with 0.9
/// - forward: `y = sign(x) * a1' + sign(x T1) * a2' + sign(x T2) * a3'`, and `sign(0) = 0`, so
///   groups 2 and 3 are ternary
///
/// Surrogate gradients, with `x1 = x, x2 = x T1, x3 = x T2`, `q_i = x_i / a_i'`,
/// `mid_i = 1[-1 <= q_i <= 1]` and `n_i` the number of elements, of members of `T1` and of `T2`:
///
/// - `dx = (mid_1 + mid_2 + mid_3) * g`; off its group `q_i = 0`, so `mid_i = 1` there, as in the
///   published code, unless the group has no member in the whole scope
/// - `da_i = sum((sign(x_i) - mid_i * q_i) * g) / sqrt(n_i)`
///
/// With [`ValueGradient::Plain`], `dx = mid_1 * g` instead, as in the plain binarizer.
///
/// With several bits the range of `mid` widens to `-2^(bits - 1)..=2^(bits - 1)`, whose end enters
/// the roots as a factor. An empty group (all of the scope is zero) contributes nothing,
/// forward or backward; the published code divides by zero there.
///
/// Initial scales from data: `a1 = 2 mean|x| / sqrt(Qp)` over the non-zero elements outside `T1`
/// (`Qp` of [`Levels::Signed`]); `a2` and `a3` the same over `T1` without `T2` and over `T2`. An
/// empty group's is the guard (published: NaN, used as the guard).
/// [`FirstForward::Published`](super::FirstForward::Published) reproduces the reduced scales that
/// the published code uses while it initialises.
///
/// Source: GSB (arXiv 2305.07931), section on the value. Published: the extrema run over the whole
/// batch, [`ThresholdScope::Batch`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::binarize::ValueBinarizerConfig;
///
/// let device = Device::default();
/// let binarizer = ValueBinarizerConfig::new().init(&device); // scales 1, 1, 1
/// // beyond 0.7 and 0.9 of the maximum 10 and of the minimum -20
/// let x = Tensor::<2>::from_floats([[-20.0, -15.0, -5.0, 0.0, 5.0, 10.0]], &device);
/// let y = binarizer.forward(x);
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [-3.0, -2.0, -1.0, 0.0, 1.0, 3.0]);
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct ValueBinarizer {
    /// The scales, shape `[groups]`.
    pub scales: Param<Tensor<1>>,
    /// 1 where a scale has been set from data, shape `[groups]`.
    pub calibrated: Param<Tensor<1, Int>>,
    #[module(skip)]
    bits: u8,
    #[module(skip)]
    initial: InitialScales,
    #[module(skip)]
    spec: Superposition,
    #[module(skip)]
    blend: Blend,
}

impl ValueBinarizerConfig {
    /// Makes an uncalibrated binarizer, all scales 1.
    ///
    /// # Panics
    /// As [`AttentionBinarizerConfig::init`](super::AttentionBinarizerConfig::init).
    pub fn init(&self, device: &Device) -> ValueBinarizer {
        let (qn, _) = Levels::signed(self.bits).range();
        let (scales, calibrated) = fresh(self.groups, device);
        let thresholds = checked_thresholds(self.groups, &self.thresholds);
        let spec = Superposition {
            kind: Superposed::Value,
            thresholds,
            range: (qn, -qn),
            scope: self.scope,
            value_gradient: self.gradient,
        };
        ValueBinarizer {
            scales,
            calibrated,
            bits: self.bits,
            initial: self.initial,
            spec,
            blend: Blend::BINARY,
        }
    }
}

impl ValueBinarizer {
    /// Binarizes a value.
    ///
    /// # Shapes
    /// - x and output: any; `[batch, heads, tokens, head_width]` in an attention.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.blend
            .mix(x, |x| ops::superpose(x, self.scales.val(), &self.spec))
    }

    /// The share of the elements of `x` in each group, `[groups]`; the first holds all but zeros.
    ///
    /// # Shapes
    /// - x: any
    pub fn group_shares<const D: usize>(&self, x: &Tensor<D>) -> Tensor<1> {
        shares(self.members(&x.clone().detach()))
    }

    /// The elements of `x` in each group, 0 where they are not.
    fn members<const D: usize>(&self, x: &Tensor<D>) -> Vec<Tensor<D>> {
        let members = |threshold: f32| {
            let bounds = ops::extrema(x.clone(), self.spec.scope).mul_scalar(threshold);
            let max = bounds.clone().slice([Slice::full(), Slice::from(0..1)]);
            let min = bounds.slice([Slice::full(), Slice::from(1..2)]);
            keep(
                x,
                |x| x.clone().greater(max).bool_or(x.lower(min)),
                self.spec.scope,
            )
        };
        let mut groups = vec![x.clone()];
        groups.extend(self.spec.thresholds.iter().map(|&t| members(t)));
        groups
    }

    /// The scales that `x` gives, and which groups it leaves empty.
    fn measure<const D: usize>(&self, x: &Tensor<D>) -> Measured {
        let levels = Levels::signed(self.bits);
        let mut groups = self.members(&x.clone().detach());
        groups.push(groups[0].zeros_like());
        let measured = groups.windows(2).map(|pair| {
            ScaleRule::NonZeroMagnitude.measure(&(pair[0].clone() - pair[1].clone()), levels)
        });
        self.initial.of(Measured::cat(measured.collect()), levels)
    }
}

superposition_methods!(ValueBinarizer);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_bits_groups_and_scope() {
        let binarizer = ValueBinarizerConfig::new()
            .with_groups(1)
            .init(&Device::default());
        assert_eq!(
            binarizer.to_string(),
            "ValueBinarizer {bits: 1, groups: 1, thresholds: [], scope: Sample, params: 1}"
        );
    }

    #[test]
    fn the_first_pass_is_blended_as_others_are() {
        let device = Device::default();
        let x = Tensor::<2>::from_floats([[-20.0, -15.0, -5.0, 0.0, 1.0, 10.0]], &device);
        let binarizer = ValueBinarizerConfig::new().init(&device);
        let half = binarizer.with_blend(Blend::new(0.5));
        let first = crate::binarize::FirstForward::Stored;
        let (half, y) = half.calibrate_forward(x.clone(), first);
        let values = |x: Tensor<2>| x.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(values(y), values(half.forward(x.clone())));
        let whole = half.with_blend(Blend::BINARY);
        assert_ne!(values(whole.forward(x.clone())), values(x));
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_gradient_passes_once_for_each_group_or_as_in_the_plain_binarizer() {
        let device = Device::flex().autodiff();
        let gradient = |groups: usize, gradient: ValueGradient| {
            // Thresholds at 2.8 and 3.6, scales 1, 1, 1.
            let x = Tensor::<1>::from_floats([0.0, 0.5, -2.0, 2.9, 3.0, 4.0], &device);
            let x = x.require_grad();
            let binarizer = ValueBinarizerConfig::new()
                .with_groups(groups)
                .with_gradient(gradient)
                .with_scope(ThresholdScope::Batch)
                .init(&device);
            let y = binarizer.forward(x.clone());
            let g = Tensor::<1>::from_floats([1.0, 10.0, 100.0, 1e3, 1e4, 1e5], &device);
            let gradients = (y * g).sum().backward();
            let scales = binarizer.scales.val().grad(&gradients).unwrap();
            let values = |x: Tensor<1>| x.into_data().try_to_vec::<f32>().unwrap();
            (values(x.grad(&gradients).unwrap()), values(scales))
        };
        let (published, scales) = gradient(3, ValueGradient::Published);
        assert_eq!(published, [3.0, 30.0, 0.0, 1e3, 1e4, 0.0]);
        let (plain, same) = gradient(3, ValueGradient::Plain);
        assert_eq!(plain, [1.0, 10.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(same, scales);
        let single = |of| gradient(1, of);
        assert_eq!(
            single(ValueGradient::Plain),
            single(ValueGradient::Published)
        );
    }

    #[test]
    fn calibration_measures_each_group() {
        let device = Device::default();
        let x = Tensor::<2>::from_floats([[-20.0, -15.0, -5.0, 0.0, 1.0, 10.0]], &device);
        let binarizer = ValueBinarizerConfig::new().init(&device).calibrate(&x);
        let scales = binarizer
            .scales
            .val()
            .into_data()
            .try_to_vec::<f32>()
            .unwrap();
        assert_eq!(scales, [6.0, 30.0, 30.0]);
    }
}
