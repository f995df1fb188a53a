//! A model in training.

use std::sync::Arc;

use burn::Tensor;
use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::nn::Linear;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn_train::{ClassificationOutput, InferenceStep, TrainOutput, TrainStep};
use gsb_core::binarize::{Blend, weight_pull};
use gsb_core::distill::{BaseLoss, Targets};
use gsb_cpu::{Products, with_products};
use gsb_vit::{Classifier, Model};

use super::accumulation::GradientAccumulation;
use super::batch::TrainBatch;
use super::criterion::Criterion;
use super::inspector::Inspector;
use super::loss_monitor::LossMonitor;
use super::progress::Progress;
use crate::optimizer::{clip_by_norm, ema_start, ema_update};

/// What a step needs that is not trained.
#[derive(Debug)]
pub(crate) struct StepConfig {
    pub criterion: Criterion,
    pub accumulation: GradientAccumulation,
    /// The highest norm of a gradient.
    pub clip: Option<f64>,
    /// The decay of the moving average.
    pub ema_decay: Option<f64>,
    pub progress: Progress,
    pub inspector: Arc<Inspector>,
    pub monitor: Arc<LossMonitor>,
}

/// A model in training, the moving average of its weights, and the map by which its hidden states are compared with those
/// of a teacher of another width.
///
/// Checkpoints hold its fields by their names.
#[derive(Module, Debug)]
pub(crate) struct TrainModule<M: Model + Classifier + 'static> {
    student: M,
    average: Option<M>,
    /// Trained with the student, and left behind with the phase; weight `[width, width of the teacher]`.
    hidden_map: Option<Linear>,
    #[module(skip)]
    config: Arc<StepConfig>,
    /// Steps taken.
    #[module(skip)]
    steps: usize,
}

impl<M: Model + Classifier + 'static> TrainModule<M> {
    /// A model before its first step, or after a number of steps.
    pub fn new(model: M, hidden_map: Option<Linear>, config: StepConfig, steps: usize) -> Self {
        let average = config.ema_decay.map(|_| ema_start(&model));
        Self {
            student: model,
            average,
            hidden_map,
            config: Arc::new(config),
            steps,
        }
        .blended()
    }

    /// The model that the optimizer moves.
    pub fn model(&self) -> &M {
        &self.student
    }

    /// As binary as it is to be at the step.
    fn blended(mut self) -> Self {
        if let Some(blend) = self.config.progress.blend(self.steps) {
            self.student = self.student.with_blend(blend);
        }
        self
    }

    /// What is evaluated and kept: the average if there is one, and always binary.
    fn evaluated(&self) -> M {
        let model = self.average.as_ref().unwrap_or(&self.student);
        model.clone().with_blend(Blend::BINARY)
    }

    /// The loss of weights that are off their scales, if it counts.
    fn pull(&self) -> Option<Tensor<1>> {
        let weight = self.config.progress.pull(self.steps);
        if weight == 0.0 {
            return None;
        }
        let weights = self.student.latent_weights();
        let share = weight / weights.len() as f64;
        let losses = weights.into_iter().map(weight_pull);
        Some(losses.reduce(|sum, loss| sum + loss)?.mul_scalar(share))
    }

    /// What is kept in the end.
    pub fn into_evaluated(self) -> M {
        self.average
            .unwrap_or(self.student)
            .with_blend(Blend::BINARY)
    }
}

impl<M: Model + Classifier + 'static> TrainStep for TrainModule<M> {
    type Input = TrainBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: TrainBatch) -> TrainOutput<ClassificationOutput> {
        let config = &self.config;
        config.monitor.check_before(&batch);
        let (class, loss) =
            config
                .criterion
                .forward(&self.student, self.hidden_map.as_ref(), &batch);
        config.inspector.begin(|| self.evaluated());
        config.monitor.watch(&loss, &self.student, &batch);
        let weight = config.accumulation.weight(batch.step);
        let total = match self.pull() {
            Some(pull) => loss.clone() + pull,
            None => loss.clone(),
        };
        let gradients = total.mul_scalar(weight).backward();
        TrainOutput {
            grads: match &self.hidden_map {
                None => GradientsParams::from_grads(gradients, &self.student),
                Some(map) => {
                    let both = (self.student.clone(), map.clone());
                    GradientsParams::from_grads(gradients, &both)
                }
            },
            item: ClassificationOutput::new(per_image(loss, &batch), class, batch.labels),
        }
    }

    fn optimize(
        mut self,
        optimizer: &mut ModuleOptimizer,
        rate: ModuleLearningRate,
        gradients: GradientsParams,
    ) -> Self {
        let clip = self.config.clip;
        self.student = match self.hidden_map.take() {
            None => moved(self.student, optimizer, rate, gradients, clip),
            Some(map) => {
                let both = (self.student, map);
                let (student, map) = moved(both, optimizer, rate, gradients, clip);
                self.hidden_map = Some(map);
                student
            }
        };
        if let (Some(average), Some(decay)) = (self.average.take(), self.config.ema_decay) {
            self.average = Some(ema_update(average, &self.student, decay));
        }
        self.steps += 1;
        self.blended()
    }
}

impl<M: Model + Classifier + 'static> InferenceStep for TrainModule<M> {
    type Input = TrainBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: TrainBatch) -> ClassificationOutput {
        // No checkpoint is written before the evaluation.
        self.config.monitor.check_all();
        let model = self.evaluated();
        // As whoever has the model will evaluate it, whatever it is trained with.
        let infer = || {
            if batch.step == 1 {
                self.config.inspector.inspect(&model, batch.images.clone());
            }
            model.infer(batch.images.clone())
        };
        let logits = with_products(Products::Float, infer).expect("floats are always there");
        let loss = BaseLoss::CrossEntropy
            .forward(logits.clone(), Targets::Labels(batch.labels.clone()))
            .expect("labels are what it takes");
        ClassificationOutput::new(per_image(loss, &batch), logits, batch.labels)
    }
}

/// A step of the optimizer, with a gradient of at most the norm `clip`.
fn moved<N: Module>(
    module: N,
    optimizer: &mut ModuleOptimizer,
    rate: ModuleLearningRate,
    gradients: GradientsParams,
    clip: Option<f64>,
) -> N {
    let gradients = match clip {
        Some(highest) => clip_by_norm(&module, gradients, highest),
        None => gradients,
    };
    optimizer.step(rate, module, gradients)
}

/// The loss once for each image: the mean of an epoch then weighs batches by their size.
fn per_image(loss: Tensor<1>, batch: &TrainBatch) -> Tensor<1> {
    loss.detach().expand([batch.labels.dims()[0]])
}
