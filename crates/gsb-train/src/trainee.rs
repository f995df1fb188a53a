//! A model in training.

use std::sync::Arc;

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn_train::{ClassificationOutput, InferenceStep, TrainOutput, TrainStep};
use gsb_core::distill::{BaseLoss, Targets};
use gsb_vit::{Classifier, Model, checkpoint};

use crate::TrainBatch;
use crate::average::{frozen, moved_towards};
use crate::clip::clip_by_norm;
use crate::lesson::Lesson;
use crate::watch::{Divergence, culprit};

/// A student, the average of its weights and what it is taught.
#[derive(Module, Debug)]
pub(crate) struct Trainee<M: Model + Classifier + 'static> {
    pub student: M,
    pub average: Option<M>,
    #[module(skip)]
    lesson: Arc<Lesson>,
}

impl<M: Model + Classifier + 'static> Trainee<M> {
    pub fn new(student: M, lesson: Lesson) -> Self {
        let average = lesson.decay.map(|_| frozen(&student));
        Self {
            student,
            average,
            lesson: Arc::new(lesson),
        }
    }

    /// What is evaluated and kept: the average if there is one.
    pub fn judged(&self) -> &M {
        self.average.as_ref().unwrap_or(&self.student)
    }

    pub fn into_judged(self) -> M {
        self.average.unwrap_or(self.student)
    }
}

impl<M: Model + Classifier + 'static> TrainStep for Trainee<M> {
    type Input = TrainBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: TrainBatch) -> TrainOutput<ClassificationOutput> {
        let logits = self.student.forward(batch.images.clone());
        let class = logits.class.clone();
        let loss = self.lesson.loss(logits, &batch);
        let value = loss.clone().into_scalar::<f32>();
        if !value.is_finite() {
            self.diverged(value, &batch);
        }
        let share = self.lesson.sum.share(batch.step);
        let gradients = loss.clone().mul_scalar(share).backward();
        TrainOutput {
            grads: GradientsParams::from_grads(gradients, &self.student),
            item: ClassificationOutput::new(weighted(loss, &batch), class, batch.labels),
        }
    }

    fn optimize(
        mut self,
        optimizer: &mut ModuleOptimizer,
        rate: ModuleLearningRate,
        mut gradients: GradientsParams,
    ) -> Self {
        if let Some(highest) = self.lesson.clip {
            gradients = clip_by_norm(&self.student, gradients, highest);
        }
        self.student = optimizer.step(rate, self.student, gradients);
        if let (Some(average), Some(decay)) = (self.average.take(), self.lesson.decay) {
            self.average = Some(moved_towards(average, &self.student, decay));
        }
        self
    }
}

impl<M: Model + Classifier + 'static> Trainee<M> {
    /// Ends the run, and keeps where the first loss that is not finite came from.
    fn diverged(&self, loss: f32, batch: &TrainBatch) {
        let mut kept = self
            .lesson
            .divergence
            .lock()
            .expect("nobody panics with it");
        if kept.is_none() {
            let rescue = &self.lesson.rescue;
            *kept = Some(Divergence {
                loss,
                epoch: batch.epoch,
                step: batch.step,
                place: culprit(&self.student, batch),
                saved: checkpoint::save(&self.student, rescue).map(|()| rescue.clone()),
            });
        }
        self.lesson.interrupter.stop(Some("a loss is not finite"));
    }
}

impl<M: Model + Classifier + 'static> InferenceStep for Trainee<M> {
    type Input = TrainBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: TrainBatch) -> ClassificationOutput {
        let logits = self.judged().infer(batch.images.clone());
        let loss = BaseLoss::CrossEntropy
            .forward(logits.clone(), Targets::Labels(batch.labels.clone()))
            .expect("labels are what it takes");
        ClassificationOutput::new(weighted(loss, &batch), logits, batch.labels)
    }
}

/// The loss once for each image: the mean of an epoch then weighs batches by their size.
fn weighted(loss: burn::Tensor<1>, batch: &TrainBatch) -> burn::Tensor<1> {
    loss.detach().expand([batch.labels.dims()[0]])
}
