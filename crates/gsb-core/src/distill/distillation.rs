//! The distillation loss.

use burn::Tensor;
use burn::config::Config;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::activation::log_softmax;
use burn::tensor::assert_shape;
use serde::{Deserialize, Serialize};

use super::{BaseLoss, Targets};
use crate::Error;

/// What the distillation head learns from the teacher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Distillation {
    /// Nothing: the loss is the base loss.
    #[serde(alias = "none")]
    None,
    /// The teacher's distribution at a temperature.
    #[serde(alias = "soft")]
    Soft,
    /// The teacher's decision.
    #[serde(alias = "hard")]
    #[default]
    Hard,
}

/// Configuration of a [`DistillationLoss`].
#[derive(Config, Debug)]
pub struct DistillationLossConfig {
    /// What is learned from the teacher.
    #[config(default = "Distillation::Hard")]
    pub kind: Distillation,
    /// Weight of the distillation, 0 to 1; the base loss has the rest.
    #[config(default = 0.5)]
    pub alpha: f64,
    /// Temperature of the soft distillation.
    #[config(default = 1.0)]
    pub temperature: f64,
    /// Loss of the class logits.
    #[config(default = "BaseLoss::CrossEntropy")]
    pub base: BaseLoss,
}

/// The logits of a student: those of the class head and, if it has one, of the distillation head.
#[derive(Debug, Clone)]
pub struct Logits {
    /// Logits of the class head, shape `[batch, classes]`.
    pub class: Tensor<2>,
    /// Logits of the distillation head, shape `[batch, classes]`.
    pub distillation: Option<Tensor<2>>,
}

impl Logits {
    /// The logits of a class head alone.
    pub fn new(class: Tensor<2>) -> Self {
        Self {
            class,
            distillation: None,
        }
    }

    /// The logits of both heads.
    pub fn with_distillation(class: Tensor<2>, distillation: Tensor<2>) -> Self {
        Self {
            class,
            distillation: Some(distillation),
        }
    }

    /// The logits of a prediction, `[batch, classes]`: the mean of the heads.
    pub fn mean(self) -> Tensor<2> {
        match self.distillation {
            Some(distillation) => (self.class + distillation).div_scalar(2.0),
            None => self.class,
        }
    }
}

/// The loss and what it is made of, each of shape `[1]`.
#[derive(Debug, Clone)]
pub struct LossTerms {
    /// What to minimise.
    pub total: Tensor<1>,
    /// The base loss.
    pub base: Tensor<1>,
    /// The distillation loss, where there is one.
    pub distillation: Option<Tensor<1>>,
}

/// Base loss of the class head mixed with what the distillation head learns from a teacher.
///
/// `L = (1 - alpha) base(class logits, targets) + alpha D(distillation logits, teacher logits)`:
///
/// - [`Hard`](Distillation::Hard): `D` is the cross-entropy with the teacher's argmax
/// - [`Soft`](Distillation::Soft): `D = KL(teacher / T || student / T) T^2 / (batch * classes)`;
///   the division by the number of logits, not of samples, is the published definition
/// - [`None`](Distillation::None): `L` is the base loss, whatever alpha; the distillation head
///   gets no gradient
///
/// The teacher's logits are detached: no gradient reaches the teacher.
///
/// Source: GSB (arXiv 2305.07931), after DeiT (arXiv 2012.12877).
#[derive(Debug, Clone, PartialEq)]
pub struct DistillationLoss {
    config: (Distillation, f64, f64, BaseLoss),
}

impl DistillationLossConfig {
    /// Makes the loss.
    ///
    /// # Errors
    /// [`Error::Alpha`], [`Error::Temperature`] or [`Error::Smoothing`] for an impossible option.
    pub fn init(&self) -> Result<DistillationLoss, Error> {
        if !(0.0..=1.0).contains(&self.alpha) {
            return Err(Error::Alpha(self.alpha));
        }
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return Err(Error::Temperature(self.temperature));
        }
        Ok(DistillationLoss {
            config: (
                self.kind,
                self.alpha,
                self.temperature,
                self.base.validate()?,
            ),
        })
    }
}

impl DistillationLoss {
    /// The loss of a student.
    ///
    /// # Shapes
    /// - teacher: logits `[batch, classes]`; not needed for [`Distillation::None`]
    ///
    /// # Errors
    /// [`Error::MissingLogits`] if there is a distillation but no teacher or no distillation head,
    /// [`Error::Targets`] if the targets are not of the base loss's kind.
    ///
    /// # Panics
    /// If logits or targets differ in shape.
    pub fn forward(
        &self,
        student: Logits,
        teacher: Option<Tensor<2>>,
        targets: Targets,
    ) -> Result<LossTerms, Error> {
        let (kind, alpha, temperature, base) = self.config;
        let base = base.forward(student.class, targets)?;
        let name = match kind {
            Distillation::None => {
                return Ok(LossTerms {
                    total: base.clone(),
                    base,
                    distillation: None,
                });
            }
            Distillation::Soft => "soft",
            Distillation::Hard => "hard",
        };
        let missing = |missing| Error::MissingLogits {
            kind: name,
            missing,
        };
        let student = student
            .distillation
            .ok_or_else(|| missing("the student's distillation logits"))?;
        let teacher = teacher
            .ok_or_else(|| missing("the teacher's logits"))?
            .detach();
        let [batch, classes] = student.dims();
        assert_shape!(teacher, [batch, classes]);
        let distillation = if kind == Distillation::Hard {
            let decision = teacher.argmax(1).squeeze_dim(1);
            CrossEntropyLossConfig::new()
                .init(&student.device())
                .forward(student, decision)
        } else {
            let student = log_softmax(student.div_scalar(temperature), 1);
            let teacher = log_softmax(teacher.div_scalar(temperature), 1);
            let divergence = (teacher.clone().exp() * (teacher - student)).sum();
            divergence.mul_scalar(temperature * temperature / (batch * classes) as f64)
        };
        let total = base.clone().mul_scalar(1.0 - alpha) + distillation.clone().mul_scalar(alpha);
        Ok(LossTerms {
            total,
            base,
            distillation: Some(distillation),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn logits() -> Tensor<2> {
        Tensor::from_floats([[2.0, 0.0], [0.0, 2.0]], &Device::default())
    }

    fn labels() -> Targets {
        Targets::Labels(Tensor::from_ints([0, 1], &Device::default()))
    }

    #[test]
    fn impossible_options_are_errors() {
        let config = DistillationLossConfig::new();
        assert_eq!(
            config.clone().with_alpha(1.5).init(),
            Err(Error::Alpha(1.5))
        );
        assert_eq!(
            config.clone().with_temperature(0.0).init(),
            Err(Error::Temperature(0.0))
        );
        assert!(matches!(
            config.clone().with_temperature(f64::NAN).init(),
            Err(Error::Temperature(_))
        ));
        let smoothing = config.with_base(BaseLoss::LabelSmoothing(1.0)).init();
        assert_eq!(smoothing, Err(Error::Smoothing(1.0)));
    }

    #[test]
    fn a_distillation_without_teacher_says_what_is_missing() {
        let loss = DistillationLossConfig::new().init().unwrap();
        let error = loss
            .forward(
                Logits::with_distillation(logits(), logits()),
                None,
                labels(),
            )
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "hard distillation needs the teacher's logits, and none were given"
        );
        let error = loss
            .forward(Logits::new(logits()), Some(logits()), labels())
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("the student's distillation logits"),
            "{error}"
        );
    }

    #[test]
    fn targets_of_the_other_kind_are_errors() {
        let error = BaseLoss::SoftTarget
            .forward(logits(), labels())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the soft-target loss takes class probabilities, got labels"
        );
        let error = BaseLoss::LabelSmoothing(0.1)
            .forward(logits(), Targets::Soft(logits()))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the label-smoothed loss takes labels, got class probabilities"
        );
    }

    #[cfg(feature = "flex")]
    #[test]
    fn no_gradient_reaches_the_teacher() {
        let device = Device::flex().autodiff();
        let teacher = Tensor::<2>::from_floats([[2.0, 0.5]], &device).require_grad();
        let student = Tensor::<2>::from_floats([[1.0, 0.0]], &device).require_grad();
        let loss = DistillationLossConfig::new()
            .with_kind(Distillation::Soft)
            .init()
            .unwrap();
        let labels = Targets::Labels(Tensor::from_ints([0], &device));
        let terms = loss.forward(
            Logits::with_distillation(student.clone(), student.clone()),
            Some(teacher.clone()),
            labels,
        );
        let grads = terms.unwrap().total.backward();
        assert!(student.grad(&grads).is_some());
        assert!(teacher.grad(&grads).is_none());
    }
}
