//! What a step of training does besides the model's own forward pass.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use burn::Tensor;
use burn::tensor::TensorData;
use burn_train::Interrupter;
use gsb_core::distill::{DistillationLoss, Logits, Targets};
use gsb_vit::VisionTransformer;

use crate::TrainBatch;
use crate::watch::Divergence;

/// Whom a student learns from besides the labels.
#[derive(Debug)]
pub(crate) enum Teaching {
    /// Nobody: every head learns from the labels.
    Labels,
    /// A teacher that looks at every batch.
    Live(Box<VisionTransformer>),
    /// The logits that a teacher had for the images as they are, `[images, classes]`.
    Cached(TensorData),
}

/// Everything that a step needs and that is not trained.
pub(crate) struct Lesson {
    pub teaching: Teaching,
    pub loss: DistillationLoss,
    /// Which batches are summed in a step.
    pub sum: Summed,
    /// The highest norm of a gradient.
    pub clip: Option<f64>,
    /// The decay of the moving average.
    pub decay: Option<f64>,
    pub interrupter: Interrupter,
    /// Where the weights go if a loss is not finite.
    pub rescue: PathBuf,
    /// Where a loss that is not finite is kept.
    pub divergence: Arc<Mutex<Option<Divergence>>>,
}

/// The batches whose gradients are summed in a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summed {
    /// Batches of a device in a step.
    pub accumulation: usize,
    /// Batches of a device in an epoch, which ends with a step of those that are left.
    pub batches: usize,
    /// Devices whose gradients are summed.
    pub devices: usize,
}

impl Summed {
    /// What the gradient of a batch, the first of an epoch being 1, counts: 1 over the number of those
    /// that it is summed with.
    pub fn share(self, batch: usize) -> f64 {
        let left = self.batches % self.accumulation;
        let together = if batch > self.batches - left {
            left
        } else {
            self.accumulation
        };
        1.0 / (together * self.devices) as f64
    }
}

impl std::fmt::Debug for Lesson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lesson")
            .field("loss", &self.loss)
            .field("sum", &self.sum)
            .field("clip", &self.clip)
            .field("decay", &self.decay)
            .finish_non_exhaustive()
    }
}

impl Lesson {
    /// The loss of a batch, `[1]`.
    pub fn loss(&self, student: Logits, batch: &TrainBatch) -> Tensor<1> {
        let targets = || match &batch.targets {
            Some(targets) => Targets::Soft(targets.clone()),
            None => Targets::Labels(batch.labels.clone()),
        };
        let checked = "heads, teacher and targets are checked before the first step";
        let Some(teacher) = self.logits(batch) else {
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

    /// The logits of the teacher, without a graph behind them.
    fn logits(&self, batch: &TrainBatch) -> Option<Tensor<2>> {
        let device = batch.images.device();
        match &self.teaching {
            Teaching::Labels => None,
            Teaching::Live(teacher) => {
                let home = teacher.tokens.position.device();
                let images = batch.images.clone().without_autodiff().to_device(&home);
                Some(teacher.infer(images).autodiff().to_device(&device))
            }
            Teaching::Cached(logits) => {
                let classes = logits.shape()[1];
                let all = logits
                    .as_slice::<f32>()
                    .expect("cached as single precision");
                let rows = batch.indices.iter();
                let chosen: Vec<f32> = rows
                    .flat_map(|&index| &all[index * classes..(index + 1) * classes])
                    .copied()
                    .collect();
                let data = TensorData::new(chosen, [batch.indices.len(), classes]);
                Some(Tensor::from_data(data, &device))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_an_epoch_counts_as_much_as_a_full_step() {
        let share = |batches, batch| {
            let sum = Summed {
                accumulation: 4,
                batches,
                devices: 2,
            };
            sum.share(batch)
        };
        for (batches, batch, together) in [
            (8, 1, 4),
            (8, 8, 4),
            (10, 8, 4),
            (10, 9, 2),
            (10, 10, 2),
            (3, 1, 3),
            (5, 5, 1),
        ] {
            assert_eq!(share(batches, batch), 1.0 / (2 * together) as f64);
        }
    }
}
