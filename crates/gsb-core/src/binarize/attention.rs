//! Group superposition of the attention matrix.

use burn::Tensor;
use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Slice, s};

use super::groups::{checked_thresholds, keep, shares, superposition_methods};
use super::scale::{Measured, fresh};
use super::{Blend, InitialScales, ScaleRule};
use crate::ops::{self, Levels, Superposed, Superposition, ThresholdScope, ValueGradient};

/// Configuration of an [`AttentionBinarizer`].
#[derive(Config, Debug)]
pub struct AttentionBinarizerConfig {
    /// Number of groups: 3 is the paper's, 1 the plain binarizer it compares with.
    #[config(default = 3)]
    pub groups: usize,
    /// Fractions of the maximum beyond which groups 2, 3, ... begin, ascending; as many as there
    /// are groups less one are used, from the first.
    #[config(default = "gsb_numerics::GROUP_THRESHOLDS.to_vec()")]
    pub thresholds: Vec<f32>,
    /// Bits of the first group's levels, 1 to 8; more than one: levels `0..=2^(bits - 1) - 1`.
    #[config(default = 1)]
    pub bits: u8,
    /// The elements that share one maximum.
    #[config(default = "ThresholdScope::Sample")]
    pub scope: ThresholdScope,
    /// How the initial scales follow from data.
    #[config(default = "InitialScales::Published")]
    pub initial: InitialScales,
}

/// Binarizes an attention matrix to a superposition of nested unsigned groups (GSB).
///
/// With scales `a1, a2, a3`, `a' = max(a, 1e-5)`, and the maximum over the
/// [scope](AttentionBinarizerConfig::scope) a constant for the gradient:
///
/// - groups: `T1 = 1[x > 0.7 max x]`, `T2 = 1[x > 0.9 max x]`
/// - forward: `y = clamp(round(x / a1'), 0, 1) * a1' + T1 * a2' + T2 * a3'`
///
/// Surrogate gradients, with `q = x / a1'`, `mid = 1[0 <= q <= 1]` and `n` elements:
///
/// - `dx = mid * g + T1 * a2' * g + T2 * a3' * g`
/// - `da1 = sum((1[q > 1] + mid * (round(q) - q)) * g) / sqrt(n)`
/// - `da2 = sum(T1 * g) / sqrt(sum T1)`, `da3 = sum(T2 * g) / sqrt(sum T2)`
///
/// With several bits `Qp = 2^(bits - 1) - 1` stands for the 1 in the first group, and enters the
/// roots as a factor. An empty group (the maximum is not positive) contributes nothing, forward or
/// backward; the published code divides by zero there.
///
/// Initial scales from data: `a1 = 4 mean|x| / sqrt(2^bits - 1)`; `a2` and `a3` the same of the
/// mean over `T1` without `T2` and over `T2`. An empty group's is the guard (published: NaN, used
/// as the guard). [`FirstForward::Published`](super::FirstForward::Published) reproduces the
/// reduced scales that the published code uses while it initialises.
///
/// Source: GSB (arXiv 2305.07931), section on the attention matrix. Published: the maximum runs
/// over the whole batch, [`ThresholdScope::Batch`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::binarize::AttentionBinarizerConfig;
///
/// let device = Device::default();
/// let binarizer = AttentionBinarizerConfig::new().init(&device); // scales 1, 1, 1
/// // max 1: the second group begins beyond 0.7, the third beyond 0.9
/// let x = Tensor::<2>::from_floats([[0.1, 0.6, 0.8, 1.0]], &device);
/// let y = binarizer.forward(x);
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [0.0, 1.0, 2.0, 3.0]);
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct AttentionBinarizer {
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

impl AttentionBinarizerConfig {
    /// The level sum: `2^bits` levels with one learned step `a`, in place of groups.
    ///
    /// It is the first group alone, with `Qp = 2^bits - 1`:
    ///
    /// - forward: `y = clamp(round(x / a'), 0, Qp) * a'`, rounding half to even, which is the sum
    ///   `a' * (B1 + .. + B_Qp)` of nested matrices `Bk = 1[round(x / a') >= k]` of equal scale
    ///
    /// Surrogate gradients, with `q = x / a'`, `mid = 1[0 <= q <= Qp]` and `n` elements:
    ///
    /// - `dx = mid * g`
    /// - `da = sum((1[q > Qp] Qp + mid * (round(q) - q)) * g) / sqrt(n * Qp)`
    ///
    /// A superposition as well, but its thresholds lie on a grid of the learned step where those of GSB are shares of
    /// the maximum, and its matrices share one scale. One bit is the plain binarizer.
    ///
    /// Source: after the attention decomposition of BHViT (CVPR 2025), trained as LSQ (arXiv 1902.08153).
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use gsb_core::binarize::AttentionBinarizerConfig;
    ///
    /// let device = Device::default();
    /// let binarizer = AttentionBinarizerConfig::level_sum(2).init(&device); // scale 1
    /// let x = Tensor::<1>::from_floats([0.4, 0.6, 1.7, 9.0], &device);
    /// let y = binarizer.forward(x);
    /// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [0.0, 1.0, 2.0, 3.0]);
    /// ```
    ///
    /// # Panics
    /// On [`init`](Self::init), if the bits are not in `1..=7`.
    pub fn level_sum(bits: u8) -> Self {
        // The published quantizer of several bits has half as many levels as they hold.
        let bits = if bits == 1 { 1 } else { bits.saturating_add(1) };
        Self::new().with_groups(1).with_bits(bits)
    }

    /// Makes an uncalibrated binarizer, all scales 1.
    ///
    /// # Panics
    /// If there is no group, a group without a threshold, a threshold outside `(0, 1]` or not
    /// above the one before it, or the bits are not in `1..=8`.
    pub fn init(&self, device: &Device) -> AttentionBinarizer {
        let levels = Levels::unsigned(self.bits);
        let qp = if self.bits == 1 {
            1.0
        } else {
            Levels::signed(levels.bits()).range().1
        };
        let (scales, calibrated) = fresh(self.groups, device);
        let thresholds = checked_thresholds(self.groups, &self.thresholds);
        let spec = Superposition {
            kind: Superposed::Attention,
            thresholds,
            range: (0.0, qp),
            scope: self.scope,
            value_gradient: ValueGradient::Published,
        };
        AttentionBinarizer {
            scales,
            calibrated,
            bits: self.bits,
            initial: self.initial,
            spec,
            blend: Blend::BINARY,
        }
    }
}

impl AttentionBinarizer {
    /// Binarizes an attention matrix.
    ///
    /// # Shapes
    /// - x and output: any; `[batch, heads, queries, keys]` in an attention.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.blend
            .mix(x, |x| ops::superpose(x, self.scales.val(), &self.spec))
    }

    /// The share of the elements of `x` in each group, `[groups]`; the first holds those whose level is not zero.
    ///
    /// # Shapes
    /// - x: any
    pub fn group_shares<const D: usize>(&self, x: &Tensor<D>) -> Tensor<1> {
        let x = x.clone().detach();
        let scale = self.scales.val().detach().slice(s![0..1]);
        let half = scale.clamp_min(ops::SCALE_GUARD).div_scalar(2.0);
        let first = x.clone().greater(half.reshape([1; D]).expand(x.shape()));
        let mut groups = vec![first.float()];
        groups.extend(self.members(&x));
        shares(groups)
    }

    /// The elements of `x` in the second and each further group, 0 where they are not.
    fn members<const D: usize>(&self, x: &Tensor<D>) -> Vec<Tensor<D>> {
        let members = |threshold: f32| {
            let max =
                ops::extrema(x.clone(), self.spec.scope).slice([Slice::full(), Slice::from(0..1)]);
            keep(x, |x| x.greater(max.mul_scalar(threshold)), self.spec.scope)
        };
        self.spec.thresholds.iter().map(|&t| members(t)).collect()
    }

    /// The scales that `x` gives, and which groups it leaves empty.
    fn measure<const D: usize>(&self, x: &Tensor<D>) -> Measured {
        let levels = Levels::unsigned(self.bits);
        let x = x.clone().detach();
        let mut groups = self.members(&x);
        let mut measured = vec![ScaleRule::MeanMagnitude.measure(&x, levels)];
        groups.push(x.zeros_like());
        for pair in groups.windows(2) {
            measured
                .push(ScaleRule::SignedMean.measure(&(pair[0].clone() - pair[1].clone()), levels));
        }
        self.initial.of(Measured::cat(measured), levels)
    }
}

superposition_methods!(AttentionBinarizer);

#[cfg(test)]
mod tests {
    use super::*;

    fn scales(binarizer: &AttentionBinarizer) -> Vec<f32> {
        let scales = binarizer.scales.val().into_data();
        scales.try_to_vec().unwrap()
    }

    #[test]
    fn display_names_bits_groups_and_scope() {
        let binarizer = AttentionBinarizerConfig::new().init(&Device::default());
        assert_eq!(
            binarizer.to_string(),
            "AttentionBinarizer {bits: 1, groups: 3, thresholds: [0.7, 0.9], scope: Sample, params: 3}"
        );
    }

    #[test]
    fn groups_are_nested_and_as_full_as_the_thresholds_say() {
        let device = Device::default();
        let x = Tensor::<2>::from_floats([[0.0, 0.4, 0.8, 1.0]], &device);
        let binarizer = AttentionBinarizerConfig::new().init(&device); // scales 1
        let shares = binarizer.group_shares(&x).into_data();
        assert_eq!(shares.try_to_vec::<f32>().unwrap(), [0.5, 0.5, 0.25]);
    }

    #[test]
    fn calibration_measures_each_group() {
        let device = Device::default();
        let x = Tensor::<2>::from_floats([[0.0, 0.2, 0.8, 1.0]], &device);
        let binarizer = AttentionBinarizerConfig::new().init(&device).calibrate(&x);
        assert_eq!(scales(&binarizer), [2.0, 3.2, 4.0]);
    }

    #[test]
    fn residual_scales_add_up_to_the_means_of_the_groups() {
        let device = Device::default();
        let x = Tensor::<2>::from_floats([[0.0, 0.25, 0.75, 1.0]], &device);
        let binarizer = AttentionBinarizerConfig::new()
            .with_initial(InitialScales::Residual)
            .init(&device)
            .calibrate(&x);
        assert_eq!(scales(&binarizer), [0.5, 0.25, 0.25]);
        // Nothing between the thresholds: the third adds what the first lacks.
        let x = Tensor::<2>::from_floats([[0.0, 0.25, 0.25, 1.0]], &device);
        let binarizer = AttentionBinarizerConfig::new()
            .with_initial(InitialScales::Residual)
            .init(&device)
            .calibrate(&x);
        assert_eq!(scales(&binarizer), [0.375, ops::SCALE_GUARD, 0.625]);
    }

    #[test]
    fn a_scale_whose_group_is_empty_is_the_guard() {
        let device = Device::default();
        let x = Tensor::<2>::full([2, 3], 0.25, &device);
        let binarizer = AttentionBinarizerConfig::new().init(&device).calibrate(&x);
        assert_eq!(scales(&binarizer), [1.0, ops::SCALE_GUARD, 1.0]);
    }

    #[cfg(feature = "flex")]
    #[test]
    fn a_level_sum_is_made_of_nested_matrices_of_equal_scale() {
        use burn::tensor::Distribution;

        let device = Device::flex().autodiff();
        for bits in 1..=3u8 {
            let highest = (1u16 << bits) - 1;
            let mut binarizer = AttentionBinarizerConfig::level_sum(bits).init(&device);
            let step = 0.3f32;
            let scales = Tensor::from_floats([step], &device).require_grad();
            binarizer.scales = Param::initialized(burn::module::ParamId::new(), scales);
            // From below the first level to beyond the last.
            let spread = Distribution::Uniform(-0.5, f64::from(highest) * 0.45);
            let x = Tensor::<3>::random([2, 5, 7], spread, &device).require_grad();
            let g = Tensor::<3>::random([2, 5, 7], Distribution::Normal(0.0, 1.0), &device);
            let y = binarizer.forward(x.clone());
            let gradients = (y.clone() * g.clone()).sum().backward();

            let q = x.clone().detach() / f64::from(step);
            let mut matrices = Vec::new();
            for k in 1..=highest {
                matrices.push(q.clone().round().greater_equal_scalar(f32::from(k)).float());
            }
            for pair in matrices.windows(2) {
                let outside = (pair[1].clone() - pair[0].clone())
                    .max()
                    .into_scalar::<f32>();
                assert_eq!(outside, 0.0);
            }
            let sum = matrices
                .into_iter()
                .reduce(|sum, matrix| sum + matrix)
                .unwrap();
            let close = burn::tensor::Tolerance::<f32>::absolute(1e-6);
            let expected = sum.clone() * f64::from(step);
            y.into_data().assert_approx_eq(&expected.into_data(), close);

            let qp = f32::from(highest);
            let above = q.clone().greater_scalar(qp).float();
            let below = q.clone().lower_scalar(0.0).float();
            let mid = above.ones_like() - above.clone() - below;
            let expected = mid.clone() * g.clone();
            x.grad(&gradients)
                .unwrap()
                .into_data()
                .assert_eq(&expected.into_data(), false);
            let n = q.shape().num_elements() as f32;
            let slope = above * f64::from(qp) + mid * (q.clone().round() - q);
            let expected = (slope * g).sum() / f64::from((n * qp).sqrt());
            let found = binarizer.scales.val().grad(&gradients).unwrap();
            // Seventy terms of about 1 in another order.
            let close = burn::tensor::Tolerance::<f32>::absolute(1e-5);
            found
                .into_data()
                .assert_approx_eq(&expected.into_data(), close);
        }
    }

    #[test]
    #[should_panic(expected = "3 groups needs 2 thresholds, got 1")]
    fn too_few_thresholds() {
        AttentionBinarizerConfig::new()
            .with_thresholds(vec![0.7])
            .init(&Device::default());
    }
}
