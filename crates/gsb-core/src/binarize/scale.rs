//! Scales: where they start, and how data sets them.

use burn::Tensor;
use burn::module::Param;
use burn::tensor::{Bool, Device, Int, s};
use serde::{Deserialize, Serialize};

use crate::ops::{Levels, SCALE_GUARD};

/// The scales that the forward pass of a calibration uses for the second and further groups.
///
/// Calibration runs a batch through the layers one after another, so what a layer hands on while
/// it is calibrated decides the scales of those behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FirstForward {
    /// The calibrated ones, as in every later forward pass.
    #[default]
    Stored,
    /// What the published code does in the one forward pass that initialises its scales: a second
    /// scale just set acts reduced by the first (`a2 - a1`), a third by those of the groups that
    /// contain it (`a3 - (a2 used + a1)`), and a scale whose group or a containing one was empty
    /// acts as the guard. The next pass uses the stored values.
    Published,
}

/// How the initial scales of a superposition follow from the means of its groups.
///
/// With `m1` the mean magnitude of the elements in group 1 alone (of an attention matrix: of all elements), `m2` of those
/// in group 2 but not in 3, and `m3` of those in group 3:
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InitialScales {
    /// Each group's scale by its own mean: `f m1, f m2, f m3` with the factor `f` of the quantizer
    /// ([`ScaleRule::initial`]). The levels of the superposition start at their sums.
    #[default]
    Published,
    /// Each group adds what those below lack: `m1, m2 - m1, m3 - m2`, at least the guard. The levels
    /// of the superposition start at the means of their groups. A group without elements starts at the guard, and the one above
    /// it adds what the nearest one below that has elements lacks: `m1, guard, m3 - m1`.
    Residual,
    /// The first group by its mean, the others at the guard: `m1`, [`SCALE_GUARD`], [`SCALE_GUARD`]. The superposition starts
    /// as the plain binarizer, and training grows what pays.
    Plain,
}

impl InitialScales {
    /// The initial scales, `[groups]`, from those that each group has by its own.
    pub(crate) fn of(self, measured: Measured, levels: Levels) -> Measured {
        if self == Self::Published {
            return measured;
        }
        let [groups] = measured.scale.dims();
        let means = measured.scale.div_scalar(levels.initial_factor());
        let mean = |k: usize| means.clone().slice(s![k..k + 1]);
        let mut scales = vec![mean(0)];
        // Where the groups below start that have elements.
        let mut below = mean(0);
        for k in 1..groups {
            if self == Self::Plain {
                scales.push(below.full_like(SCALE_GUARD));
                continue;
            }
            scales.push((mean(k) - below.clone()).clamp_min(SCALE_GUARD));
            let empty = measured.empty.clone().slice(s![k..k + 1]);
            below = mean(k).mask_where(empty, below);
        }
        Measured {
            scale: Tensor::cat(scales, 0),
            empty: measured.empty,
        }
    }
}

/// How an initial scale follows from data (method 7 of the book).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScaleRule {
    /// Mean magnitude of all elements.
    MeanMagnitude,
    /// Mean magnitude of the elements that are not zero: of a group, everything outside being zero.
    NonZeroMagnitude,
    /// Sum of the elements over the sum of their signs: on a group of positive elements, everything
    /// outside being zero, the group's mean.
    SignedMean,
    /// One step of a uniform grid on `[0, 1]` or `[-1, 1]` whatever the data: `1 / Qp` unsigned and
    /// `1 / (2 Qp + 1)` signed.
    UniformStep,
}

impl ScaleRule {
    /// The initial scale of a quantizer with these levels from data `x`, shape `[1]`.
    ///
    /// A mean is multiplied by `2 / sqrt(Qp)` for signed levels (one bit and two: 2) and by
    /// `4 / sqrt(2^bits - 1)` for unsigned ones. Data that define no mean (an empty group) give
    /// [`SCALE_GUARD`].
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use gsb_core::binarize::{Levels, ScaleRule};
    ///
    /// let x = Tensor::<1>::from_floats([0.0, 1.0, -2.0, 0.0], &Device::default());
    /// let scale = |rule: ScaleRule| rule.initial(&x, Levels::signed(1)).into_scalar::<f32>();
    /// assert_eq!(scale(ScaleRule::MeanMagnitude), 2.0 * 0.75);
    /// assert_eq!(scale(ScaleRule::NonZeroMagnitude), 2.0 * 1.5);
    /// ```
    pub fn initial<const D: usize>(self, x: &Tensor<D>, levels: Levels) -> Tensor<1> {
        self.measure(x, levels).scale
    }

    /// [`initial`](Self::initial), and whether the data define it.
    pub(crate) fn measure<const D: usize>(self, x: &Tensor<D>, levels: Levels) -> Measured {
        let x = x.clone().detach();
        let (_, qp) = levels.range();
        let factor = levels.initial_factor();
        match self {
            Self::MeanMagnitude => {
                let everything = Tensor::full([1], x.shape().num_elements() as f32, &x.device());
                Measured::ratio(x.abs(), everything, factor)
            }
            Self::NonZeroMagnitude => {
                let magnitude = x.abs();
                let members = magnitude.clone().sign().sum();
                Measured::ratio(magnitude, members, factor)
            }
            Self::SignedMean => {
                let members = x.clone().sign().sum();
                Measured::ratio(x, members, factor)
            }
            Self::UniformStep => {
                let steps = match levels {
                    Levels::Signed(_) => 2.0 * qp + 1.0,
                    Levels::Unsigned(_) => qp,
                };
                Measured::always(Tensor::full([1], 1.0 / steps, &x.device()))
            }
        }
    }
}

/// Elements whose sum Burn's CPU backend shares among threads.
const MANY: usize = 1 << 22;

/// A scale measured on data, `[1]`, and where (`[1]`) there was nothing to measure.
#[derive(Clone)]
pub(crate) struct Measured {
    pub scale: Tensor<1>,
    pub empty: Tensor<1, Bool>,
}

impl Measured {
    fn always(scale: Tensor<1>) -> Self {
        let empty = Tensor::full([1], false, &scale.device());
        Self { scale, empty }
    }

    /// One after another: `[groups]`.
    pub(crate) fn cat(parts: Vec<Self>) -> Self {
        let (scales, empty) = parts
            .into_iter()
            .map(|part| (part.scale, part.empty))
            .unzip();
        Self {
            scale: Tensor::cat(scales, 0),
            empty: Tensor::cat(empty, 0),
        }
    }

    /// `factor * sum(x) / members`, the guard where there are no members. The sum is taken of
    /// `x / n`, so that it overflows for no finite `x`, and the result is finite.
    fn ratio<const D: usize>(x: Tensor<D>, members: Tensor<1>, factor: f32) -> Self {
        let n = x.shape().num_elements().max(1) as f32;
        let empty = members.clone().equal_scalar(0.0);
        let share = members.mask_fill(empty.clone(), 1.0).div_scalar(n);
        let x = x.div_scalar(n);
        // Burn's CPU backend adds up so many elements on all threads, in another order each time, but each row on one.
        let sum = match x.shape().num_elements() >= MANY {
            true => x.sum_dim(D - 1).sum(),
            false => x.sum(),
        };
        let scale = (sum / share).mul_scalar(factor);
        let scale = scale
            .clamp_max(f32::MAX)
            .mask_fill(empty.clone(), SCALE_GUARD);
        Self { scale, empty }
    }
}

/// Scales before any data: 1, and marked as not calibrated.
pub(crate) fn fresh(n: usize, device: &Device) -> (Param<Tensor<1>>, Param<Tensor<1, Int>>) {
    let scales = Param::from_tensor(Tensor::ones([n], device));
    // An integer parameter: saved with the module, invisible to optimizers and parameter counts.
    let calibrated = Param::initialized(burn::module::ParamId::new(), Tensor::zeros([n], device));
    (scales, calibrated)
}

/// Puts the measured values into the scales that are not calibrated yet, and marks all as
/// calibrated. Decided on the device: calibrating waits for nothing.
pub(crate) fn settle(
    scales: Param<Tensor<1>>,
    calibrated: Param<Tensor<1, Int>>,
    measured: Tensor<1>,
) -> (Param<Tensor<1>>, Param<Tensor<1, Int>>) {
    let fresh = calibrated.val().equal_scalar(0);
    let scales = scales.map(|old| {
        let tracked = old.is_require_grad();
        let device = old.device();
        let measured = measured.to_device(&device);
        let new = old.mask_where(fresh.to_device(&device), measured);
        new.detach().set_require_grad(tracked)
    });
    (scales, calibrated.map(|flags| flags.ones_like()))
}

/// Whether every scale is calibrated. Reads the flags back from the device.
pub(crate) fn all_calibrated(calibrated: &Param<Tensor<1, Int>>) -> bool {
    calibrated.val().equal_scalar(1).all().into_scalar::<bool>()
}

/// What the published code uses instead of the stored scales in the forward pass that initialises
/// them; see [`FirstForward::Published`]. Gradients pass to the stored scales unchanged.
pub(crate) fn first_forward(
    stored: Tensor<1>,
    was_fresh: Tensor<1, Bool>,
    empty: Tensor<1, Bool>,
) -> Tensor<1> {
    let [groups] = stored.dims();
    let values = stored.clone().detach();
    let entry = |k: usize| values.clone().slice(burn::tensor::s![k..k + 1]);
    let flag = |flags: &Tensor<1, Bool>, k: usize| flags.clone().slice(burn::tensor::s![k..k + 1]);
    let mut used = vec![entry(0)];
    let mut below = entry(0);
    // An undefined scale makes those computed from it undefined, and undefined acts as the guard.
    let mut undefined = flag(&empty, 0);
    for k in 1..groups {
        let fresh = flag(&was_fresh, k);
        let reduced = entry(k) - below.clone();
        undefined = undefined.bool_or(flag(&empty, k));
        let reduced = reduced.mask_fill(undefined.clone(), SCALE_GUARD);
        let now = entry(k).mask_where(fresh, reduced);
        below = now.clone() + below;
        used.push(now);
    }
    let shift = Tensor::cat(used, 0) - values;
    stored + shift
}
