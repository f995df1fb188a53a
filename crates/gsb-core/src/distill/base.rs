//! Base losses: cross-entropy with labels, smoothed labels or soft targets.

use burn::Tensor;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, assert_shape};
use serde::{Deserialize, Serialize};

use crate::Error;

/// The loss of the class logits, averaged over the batch.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub enum BaseLoss {
    /// Cross-entropy with labels.
    #[default]
    CrossEntropy,
    /// Cross-entropy with smoothed labels: the true class gets `1 - smoothing` and all classes
    /// share `smoothing` (timm's definition).
    LabelSmoothing(f64),
    /// Cross-entropy with a distribution over the classes for each sample, as Mixup makes.
    SoftTarget,
}

/// What the class logits are compared with.
#[derive(Debug, Clone)]
pub enum Targets {
    /// Class indices, shape `[batch]`.
    Labels(Tensor<1, Int>),
    /// Probabilities of the classes, shape `[batch, classes]`.
    Soft(Tensor<2>),
}

impl BaseLoss {
    /// Checks the options.
    ///
    /// # Errors
    /// [`Error::Smoothing`] if the smoothing is not in `[0, 1)`.
    pub fn validate(self) -> Result<Self, Error> {
        match self {
            Self::LabelSmoothing(smoothing) if !(0.0..1.0).contains(&smoothing) => {
                Err(Error::Smoothing(smoothing))
            }
            _ => Ok(self),
        }
    }

    /// The loss, shape `[1]`.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    ///
    /// # Errors
    /// [`Error::Targets`] if the targets are labels where a distribution is expected or the other
    /// way round, [`Error::Smoothing`] if the smoothing is not in `[0, 1)`.
    ///
    /// # Panics
    /// If the targets do not have the shape of the logits.
    pub fn forward(self, logits: Tensor<2>, targets: Targets) -> Result<Tensor<1>, Error> {
        match (self.validate()?, targets) {
            (Self::CrossEntropy, Targets::Labels(labels)) => Ok(CrossEntropyLossConfig::new()
                .init(&logits.device())
                .forward(logits, labels)),
            (Self::LabelSmoothing(smoothing), Targets::Labels(labels)) => {
                let config = CrossEntropyLossConfig::new().with_smoothing(Some(smoothing as f32));
                Ok(config.init(&logits.device()).forward(logits, labels))
            }
            (Self::SoftTarget, Targets::Soft(targets)) => {
                let [batch, classes] = logits.dims();
                assert_shape!(targets, [batch, classes]);
                Ok((targets * log_softmax(logits, 1)).sum_dim(1).mean().neg())
            }
            (Self::SoftTarget, Targets::Labels(_)) => Err(Error::Targets {
                loss: "soft-target",
                expected: "class probabilities",
                got: "labels",
            }),
            (loss, Targets::Soft(_)) => Err(Error::Targets {
                loss: if loss == Self::CrossEntropy {
                    "cross-entropy"
                } else {
                    "label-smoothed"
                },
                expected: "labels",
                got: "class probabilities",
            }),
        }
    }
}
