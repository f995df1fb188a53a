//! How well a model classifies.

use burn::Tensor;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{Device, TensorData};
use gsb_data::Loader;
use gsb_vit::Classifier;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// How well a model classifies a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Number of images.
    pub images: usize,
    /// Images classified right, in percent.
    pub top1: f64,
    /// Images whose class is among the five with the largest logits (of all, if there are fewer),
    /// in percent.
    pub top5: f64,
    /// Mean cross-entropy.
    pub loss: f64,
    /// How many images of each class (row) were taken for which (column).
    pub confusion: Vec<Vec<usize>>,
}

impl Evaluation {
    /// Classifies everything that a loader gives, with a model for evaluation, on the device it is
    /// on.
    ///
    /// Equal logits rank by class: the first wins.
    ///
    /// # Errors
    /// [`Error::Data`] if an image cannot be read; [`Error::Option`] if there is none, or one of a class that the model
    /// does not have.
    pub fn of<M: Classifier>(model: &M, loader: &Loader, device: &Device) -> Result<Self, Error> {
        let mut tally = Tally::default();
        for batch in loader.epoch(0) {
            let batch = batch?;
            let images = Tensor::<4>::from_data(TensorData::new(batch.images, batch.shape), device);
            let logits = model.infer(images);
            let [_, classes] = logits.dims();
            if batch.labels.iter().any(|&label| label >= classes) {
                let found = loader.data_set().classes().len();
                let reason = format!("the data have {found} classes, the model {classes}");
                return Err(Error::option("model.classes", reason));
            }
            let labels: Vec<i64> = batch.labels.iter().map(|&label| label as i64).collect();
            let labels = TensorData::new(labels, [batch.labels.len()]);
            let loss = CrossEntropyLossConfig::new()
                .init(device)
                .forward(logits.clone(), Tensor::from_data(labels, device));
            tally.loss += f64::from(loss.into_scalar::<f32>()) * batch.labels.len() as f64;
            let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();
            for (logits, &label) in logits.chunks(classes).zip(&batch.labels) {
                tally.count(logits, label);
            }
        }
        tally.finish()
    }

    /// The same of logits that are there already, each with the label of its image.
    ///
    /// # Errors
    /// [`Error::Option`] if there are none.
    ///
    /// # Panics
    /// If a label is not below the number of logits.
    pub fn of_logits(images: impl IntoIterator<Item = (Vec<f32>, usize)>) -> Result<Self, Error> {
        let mut tally = Tally::default();
        for (logits, label) in images {
            let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f64 = logits
                .iter()
                .map(|&logit| f64::from(logit - max).exp())
                .sum();
            tally.loss += sum.ln() - f64::from(logits[label] - max);
            tally.count(&logits, label);
        }
        tally.finish()
    }

    /// Images of each class classified right, and how many there are.
    pub fn per_class(&self) -> impl Iterator<Item = (usize, usize)> {
        let rows = self.confusion.iter().enumerate();
        rows.map(|(class, row)| (row[class], row.iter().sum()))
    }
}

#[derive(Default)]
struct Tally {
    loss: f64,
    right: usize,
    among_five: usize,
    confusion: Vec<Vec<usize>>,
}

impl Tally {
    fn count(&mut self, logits: &[f32], label: usize) {
        if self.confusion.is_empty() {
            self.confusion = vec![vec![0; logits.len()]; logits.len()];
        }
        let own = logits[label];
        // Logits that are not numbers rank before all others: an image that has one is never right.
        let before = logits.iter().enumerate().filter(|&(class, &logit)| {
            logit > own || (logit == own && class < label) || logit.is_nan() || own.is_nan()
        });
        let rank = before.count();
        self.right += usize::from(rank == 0);
        self.among_five += usize::from(rank < 5);
        let decision = match logits.iter().position(|logit| logit.is_nan()) {
            // Nor is one whose own logit is none.
            Some(class) if class == label => (class + 1) % logits.len(),
            Some(class) => class,
            None => (0..logits.len()).fold(0, |first, class| match logits[class] > logits[first] {
                true => class,
                false => first,
            }),
        };
        self.confusion[label][decision] += 1;
    }

    fn finish(self) -> Result<Evaluation, Error> {
        let images: usize = self.confusion.iter().flatten().sum();
        if images == 0 {
            return Err(Error::option("test set", "expected images, got none"));
        }
        let percent = |count: usize| 100.0 * count as f64 / images as f64;
        Ok(Evaluation {
            images,
            top1: percent(self.right),
            top5: percent(self.among_five),
            loss: self.loss / images as f64,
            confusion: self.confusion,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_counted() {
        let mut tally = Tally::default();
        let logits = [0.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0];
        tally.count(&logits, 1);
        tally.count(&logits, 5);
        tally.count(&logits, 6);
        let evaluation = tally.finish().unwrap();
        assert_eq!(evaluation.images, 3);
        assert!((evaluation.top1 - 100.0 / 3.0).abs() < 1e-12);
        assert!((evaluation.top5 - 200.0 / 3.0).abs() < 1e-12);
        assert_eq!(evaluation.confusion[5][1], 1);
        assert_eq!(evaluation.per_class().nth(1), Some((1, 1)));
    }

    #[test]
    fn with_fewer_than_five_classes_everything_is_among_them() {
        let mut tally = Tally::default();
        tally.count(&[0.0, 1.0], 0);
        let evaluation = tally.finish().unwrap();
        assert_eq!((evaluation.top1, evaluation.top5), (0.0, 100.0));
    }

    #[test]
    fn a_logit_that_is_no_number_is_wrong() {
        let mut tally = Tally::default();
        tally.count(&[f32::NAN; 7], 0);
        // Neither where it is the only one, another's or its own.
        tally.count(&[f32::NAN, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0], 1);
        tally.count(&[3.0, 2.0, f32::NAN, 0.0, 0.0, 0.0, 0.0], 2);
        let evaluation = tally.finish().unwrap();
        assert_eq!((evaluation.top1, evaluation.top5), (0.0, 100.0 / 3.0));
        assert!(evaluation.per_class().all(|(right, _)| right == 0));
        assert_eq!(evaluation.confusion[1][0], 1);
    }
}
