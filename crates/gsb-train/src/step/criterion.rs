//! The loss of a batch.

use burn::Tensor;
use burn::nn::Linear;
use gsb_core::distill::{DistillationLoss, Logits, Targets};
use gsb_vit::Classifier;

use super::batch::TrainBatch;
use super::inside::InsideLoss;
use super::teacher::Teacher;

/// The loss of labels and teacher together.
#[derive(Debug)]
pub(crate) struct Criterion {
    pub teacher: Teacher,
    pub loss: DistillationLoss,
    /// What counts inside the models, if anything does.
    pub inside: Option<InsideLoss>,
}

impl Criterion {
    /// The logits of the class head, `[batch, classes]`, and the loss, `[1]`, of a student on a batch. Hidden states
    /// are compared with the teacher's after the map, if there is one.
    pub fn forward(
        &self,
        student: &impl Classifier,
        hidden_map: Option<&Linear>,
        batch: &TrainBatch,
    ) -> (Tensor<2>, Tensor<1>) {
        let images = batch.images.clone();
        let (Some(inside), Some(teacher)) = (&self.inside, self.teacher.live()) else {
            let logits = student.forward(images);
            let class = logits.class.clone();
            return (
                class,
                self.of_logits(logits, self.teacher.logits(batch), batch),
            );
        };
        let found = student.activations(images);
        let expected = teacher.activations(batch);
        let teacher_logits = expected.logits.clone().mean();
        let class = found.logits.class.clone();
        let outside = self.of_logits(found.logits.clone(), Some(teacher_logits), batch);
        (
            class,
            outside + inside.forward(&found, &expected, hidden_map),
        )
    }

    fn of_logits(
        &self,
        student: Logits,
        teacher: Option<Tensor<2>>,
        batch: &TrainBatch,
    ) -> Tensor<1> {
        let targets = || match &batch.targets {
            Some(targets) => Targets::Soft(targets.clone()),
            None => Targets::Labels(batch.labels.clone()),
        };
        let checked = "heads, teacher and targets are checked before the first step";
        let Some(teacher) = teacher else {
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
