//! The loss of a batch.

use burn::Tensor;
use gsb_core::distill::{DistillationLoss, Logits, Targets};

use super::batch::TrainBatch;
use super::teacher::Teacher;

/// The loss of labels and teacher together.
#[derive(Debug)]
pub(crate) struct Criterion {
    pub teacher: Teacher,
    pub loss: DistillationLoss,
}

impl Criterion {
    /// The loss of a batch, `[1]`.
    pub fn forward(&self, student: Logits, batch: &TrainBatch) -> Tensor<1> {
        let targets = || match &batch.targets {
            Some(targets) => Targets::Soft(targets.clone()),
            None => Targets::Labels(batch.labels.clone()),
        };
        let checked = "heads, teacher and targets are checked before the first step";
        let Some(teacher) = self.teacher.logits(batch) else {
            // A head that nobody teaches would stay as it was, and spoil the mean of the heads.
            let class = self
                .loss
                .forward(Logits::new(student.class), None, targets());
            let class = class.expect(checked).total;
            return match student.distillation {
                Some(logits) => {
                    let other = self.loss.forward(Logits::new(logits), None, targets());
                    (class + other.expect(checked).total).div_scalar(2.0)
                }
                None => class,
            };
        };
        self.loss
            .forward(student, Some(teacher), targets())
            .expect(checked)
            .total
    }
}
