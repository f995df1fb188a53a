//! A batch on a device.

use burn::Tensor;
use burn::tensor::{Device, Int, TensorData};

/// Images, what they show, and where in the run they are seen.
#[derive(Debug, Clone)]
pub(crate) struct TrainBatch {
    /// Normalized images, `[batch, channels, height, width]`.
    pub images: Tensor<4>,
    /// Their classes, `[batch]`.
    pub labels: Tensor<1, Int>,
    /// Their class probabilities, `[batch, classes]`, where images are mixed.
    pub targets: Option<Tensor<2>>,
    /// Their places in the data set.
    pub indices: Vec<usize>,
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// The step of the epoch, counted from 1.
    pub step: usize,
}

impl TrainBatch {
    /// Puts a batch onto a device. An autodiff device does not track it.
    pub fn new(batch: gsb_data::Batch, epoch: usize, step: usize, device: &Device) -> Self {
        let images = batch.shape[0];
        let labels: Vec<i64> = batch.labels.iter().map(|&label| label as i64).collect();
        let targets = batch.targets.map(|targets| {
            let classes = targets.len() / images.max(1);
            Tensor::from_data(TensorData::new(targets, [images, classes]), device)
        });
        Self {
            images: Tensor::from_data(TensorData::new(batch.images, batch.shape), device),
            labels: Tensor::from_data(TensorData::new(labels, [images]), device),
            targets,
            indices: batch.indices,
            epoch,
            step,
        }
    }
}
