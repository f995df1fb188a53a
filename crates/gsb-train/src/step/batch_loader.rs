//! The batches of a data set as the training loop asks for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::Device;
use gsb_data::Loader;

use super::batch::TrainBatch;

/// The batches of a [`Loader`] on a device, an epoch with each pass.
///
/// A pass follows from the seed and the number of the epoch alone, so that a resumed run sees what
/// an uninterrupted one would have seen. So does what the device draws during it (dropout, drop
/// path): its generator is seeded when a pass begins.
#[derive(Clone)]
pub(crate) struct BatchLoader {
    loader: Arc<Loader>,
    device: Device,
    /// Number of devices that will share each batch.
    shards: usize,
    /// Number of devices that share each of these batches.
    of: usize,
    seed: Option<u64>,
    start: usize,
    passes: Arc<AtomicUsize>,
}

impl BatchLoader {
    /// Passes for training after `start` finished epochs, each batch shared by `shards` devices.
    pub fn training(
        loader: Loader,
        seed: u64,
        start: usize,
        shards: usize,
        device: Device,
    ) -> Self {
        Self {
            loader: Arc::new(loader),
            device,
            shards,
            of: 1,
            seed: Some(seed),
            start,
            passes: Arc::default(),
        }
    }

    /// Passes that are all alike.
    pub fn evaluation(loader: Loader, device: Device) -> Self {
        Self {
            loader: Arc::new(loader),
            device,
            shards: 1,
            of: 1,
            seed: None,
            start: 0,
            passes: Arc::default(),
        }
    }
}

impl DataLoader<TrainBatch> for BatchLoader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<TrainBatch> + 'a> {
        let epoch = self.start + self.passes.fetch_add(1, Ordering::Relaxed);
        let drawn = match self.seed {
            Some(seed) => {
                self.device.seed(epoch_seed(seed, epoch));
                epoch
            }
            None => 0,
        };
        Box::new(EpochBatches {
            batches: Box::new(self.loader.epoch(drawn as u64)),
            device: self.device.clone(),
            epoch: epoch + 1,
            step: 0,
            images: 0,
            total: self.num_items(),
        })
    }

    fn num_items(&self) -> usize {
        self.loader.len() / self.of
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<TrainBatch>> {
        Arc::new(Self {
            device: device.clone(),
            passes: Arc::default(),
            ..self.clone()
        })
    }

    /// One share of each batch, not a part of the data set: what the devices see in a step is
    /// together what one device would have seen.
    fn slice(&self, start: usize, _end: usize) -> Arc<dyn DataLoader<TrainBatch>> {
        let shard = start / (self.num_items() / self.shards);
        Arc::new(Self {
            loader: Arc::new(self.loader.shard(shard, self.shards)),
            of: self.shards,
            // What layers draw for the images of one device is not what they draw for those of the next.
            seed: self.seed.map(|seed| match shard {
                0 => seed,
                shard => epoch_seed(!seed, shard),
            }),
            passes: Arc::default(),
            ..self.clone()
        })
    }
}

/// Two numbers as one, neighbours far apart (the finalizer of splitmix64).
pub(crate) fn epoch_seed(seed: u64, epoch: usize) -> u64 {
    let mut z = seed.wrapping_add((epoch as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

struct EpochBatches<'a> {
    batches: Box<dyn Iterator<Item = Result<gsb_data::Batch, gsb_data::Error>> + 'a>,
    device: Device,
    epoch: usize,
    step: usize,
    images: usize,
    total: usize,
}

impl Iterator for EpochBatches<'_> {
    type Item = Result<TrainBatch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.next()?;
        self.step += 1;
        Some(batch.map_err(DatasetError::new).map(|batch| {
            self.images += batch.labels.len();
            TrainBatch::new(batch, self.epoch, self.step, &self.device)
        }))
    }
}

impl DataLoaderIterator<TrainBatch> for EpochBatches<'_> {
    fn progress(&self) -> Progress {
        Progress::new(self.images, self.total, Some("images".into()))
    }
}
