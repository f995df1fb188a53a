//! From a data set to batches on a device.

use burn::Tensor;
use burn::tensor::{Device, Int, TensorData};
use gsb_data::{ImageSet, Normalization};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;

use crate::augment::shifted_by_a_pixel;

/// Images and their labels.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Normalized images, shape `[batch, channels, height, width]`.
    pub images: Tensor<4>,
    /// Their classes, shape `[batch]`.
    pub labels: Tensor<1, Int>,
}

/// Training and test images as the models see them.
#[derive(Debug, Clone)]
pub struct Data {
    train: ImageSet,
    test: ImageSet,
    normalization: Normalization,
}

impl Data {
    /// Normalizes both sets by mean and deviation of the training set.
    pub fn new(train: ImageSet, test: ImageSet) -> Self {
        let normalization = Normalization::of(&train);
        Self {
            train,
            test,
            normalization,
        }
    }

    /// Number of training steps in an epoch.
    pub fn steps(&self, batch_size: usize) -> usize {
        self.train.len().div_ceil(batch_size)
    }

    /// The augmented training batches of an epoch. Order and augmentation follow from the seed and
    /// the stream, one of which every epoch of every phase has for itself.
    pub fn train_batches<'a>(
        &'a self,
        batch_size: usize,
        (seed, stream): (u64, u64),
        device: &'a Device,
    ) -> impl Iterator<Item = Batch> + 'a {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        let mut order: Vec<usize> = (0..self.train.len()).collect();
        order.shuffle(&mut rng);
        (0..self.steps(batch_size)).map(move |step| {
            let end = order.len().min((step + 1) * batch_size);
            let chosen = &order[step * batch_size..end];
            let shape = self.train.shape();
            let mut pixels = Vec::with_capacity(chosen.len() * shape.pixels());
            for &index in chosen {
                shifted_by_a_pixel(self.train.image(index), shape, &mut rng, &mut pixels);
            }
            let labels = chosen.iter().map(|&index| self.train.label(index));
            self.batch(pixels, labels, device)
        })
    }

    /// The test images, as they are, in batches.
    pub fn test_batches<'a>(
        &'a self,
        batch_size: usize,
        device: &'a Device,
    ) -> impl Iterator<Item = Batch> + 'a {
        let batch = self.test.shape().pixels() * batch_size;
        let pixels = self.test.pixels().chunks(batch);
        let labels = self.test.labels().chunks(batch_size);
        pixels
            .zip(labels)
            .map(|(pixels, labels)| self.batch(pixels.to_vec(), labels.iter().copied(), device))
    }

    fn batch(
        &self,
        mut pixels: Vec<f32>,
        labels: impl Iterator<Item = usize>,
        device: &Device,
    ) -> Batch {
        let shape = self.train.shape();
        for image in pixels.chunks_mut(shape.pixels()) {
            self.normalization.apply(image);
        }
        let labels: Vec<i64> = labels.map(|label| label as i64).collect();
        let images = [labels.len(), shape.channels, shape.height, shape.width];
        Batch {
            labels: Tensor::from_data(TensorData::new(labels, [images[0]]), device),
            images: Tensor::from_data(TensorData::new(pixels, images), device),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> Data {
        let split = gsb_data::digits().unwrap().split(0.2, 0).unwrap();
        Data::new(split.train, split.test)
    }

    fn first_labels(stream: (u64, u64)) -> Vec<i64> {
        let device = Device::default();
        let data = data();
        let batch = data.train_batches(50, stream, &device).next().unwrap();
        batch.labels.into_data().iter::<i64>().collect()
    }

    #[test]
    fn an_epoch_covers_the_training_set() {
        let (device, data) = (Device::default(), data());
        let sizes: Vec<usize> = data
            .train_batches(500, (0, 0), &device)
            .map(|batch| batch.images.dims()[0])
            .collect();
        assert_eq!(sizes, [500, 500, 437]);
        let tested: usize = data
            .test_batches(100, &device)
            .map(|batch| batch.labels.dims()[0])
            .sum();
        assert_eq!(tested, 360);
    }

    #[test]
    fn seed_and_stream_decide_the_order() {
        assert_eq!(first_labels((1, 2)), first_labels((1, 2)));
        assert_ne!(first_labels((1, 2)), first_labels((1, 3)));
        assert_ne!(first_labels((1, 2)), first_labels((2, 2)));
    }
}
