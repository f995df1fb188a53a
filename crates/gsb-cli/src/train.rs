//! The training loop of a phase.

use std::time::Instant;

use burn::Tensor;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use gsb::distill::{Distillation, DistillationLoss, DistillationLossConfig, Targets};
use gsb_train::OptimizerConfig;
use gsb_vit::{Classifier, VisionTransformer};

use crate::batch::{Batch, Data};
use crate::error::Error;
use crate::evaluate::top1;
use crate::progress;
use crate::report::Row;
use crate::schedule::cosine;

/// One phase of the recipe.
pub struct Phase<'a> {
    /// Its name.
    pub name: &'static str,
    /// Its place in the recipe: phases draw different random numbers.
    pub index: u64,
    /// Number of passes through the training images.
    pub epochs: usize,
    /// Images in a step.
    pub batch_size: usize,
    /// The highest learning rate.
    pub lr: f64,
    /// Decides order and augmentation.
    pub seed: u64,
    /// Whom to learn from besides the labels; on the device without autodiff.
    pub teacher: Option<&'a VisionTransformer>,
}

impl Phase<'_> {
    /// The augmented batches of an epoch.
    pub fn batches<'a>(
        &self,
        epoch: usize,
        data: &'a Data,
        device: &'a Device,
    ) -> impl Iterator<Item = Batch> + 'a {
        let stream = (self.index << 32) | epoch as u64;
        data.train_batches(self.batch_size, (self.seed, stream), device)
    }

    /// Trains a model; the result is one for evaluation.
    ///
    /// # Errors
    /// [`Error::Diverged`] if the loss is not finite, [`Error::Schedule`] for an impossible
    /// learning rate.
    pub fn train<M: Classifier>(
        &self,
        mut model: M,
        data: &Data,
        device: &Device,
    ) -> Result<(M, Row), Error> {
        let start = Instant::now();
        let steps = self.epochs * data.steps(self.batch_size);
        let bar = progress::bar(self.name, steps);
        let loss = self.loss()?;
        let mut optimizer = OptimizerConfig::new().init(&model);
        let mut schedule = cosine(self.lr, steps)?;
        for epoch in 0..self.epochs {
            // Summed on the device and read once an epoch: a step waits for nothing.
            let mut sum: Option<Tensor<1>> = None;
            for batch in self.batches(epoch, data, device) {
                let value = self.step_loss(&model, &loss, batch)?;
                let grads = GradientsParams::from_grads(value.backward(), &model);
                model = optimizer.step(schedule.step(), model, grads);
                let value = value.inner();
                sum = Some(match sum {
                    Some(sum) => sum + value,
                    None => value,
                });
                bar.inc(1);
            }
            let total = sum.map_or(0.0, |sum| sum.into_scalar::<f32>());
            let mean = total / data.steps(self.batch_size) as f32;
            if !mean.is_finite() {
                return Err(Error::Diverged {
                    phase: self.name,
                    epoch: epoch + 1,
                    loss: mean,
                });
            }
            bar.set_message(format!(
                "epoch {}/{}, loss {mean:.3}",
                epoch + 1,
                self.epochs
            ));
        }
        bar.finish_and_clear();
        let seconds = start.elapsed().as_secs_f64();
        let model = model.valid();
        let row = Row {
            phase: self.name,
            top1: top1(&model, data, &device.clone().inner()),
            parameters: model.num_params(),
            epochs: self.epochs,
            seconds,
        };
        Ok((model, row))
    }

    fn loss(&self) -> Result<DistillationLoss, Error> {
        let kind = match self.teacher {
            Some(_) => Distillation::Hard,
            None => Distillation::None,
        };
        Ok(DistillationLossConfig::new().with_kind(kind).init()?)
    }

    fn step_loss<M: Classifier>(
        &self,
        model: &M,
        loss: &DistillationLoss,
        batch: Batch,
    ) -> Result<Tensor<1>, Error> {
        let teacher = self.teacher.map(|teacher| {
            teacher
                .infer(batch.images.clone().without_autodiff())
                .autodiff()
        });
        let student = model.forward(batch.images);
        Ok(loss
            .forward(student, teacher, Targets::Labels(batch.labels))?
            .total)
    }
}
