//! The images of a run, in batches.

use std::sync::Arc;

use gsb_data::{DataSet, DataSplits, Loader, LoaderConfig};
use gsb_vit::Phase;

use crate::error::Error;
use crate::recipe::Recipe;
use crate::step::epoch_seed;

/// The images of a run.
pub(crate) struct RunData {
    pub train: Arc<dyn DataSet>,
    pub test: Arc<dyn DataSet>,
}

impl RunData {
    pub fn new(data: &DataSplits, recipe: &Recipe) -> Result<Self, Error> {
        let (found, expected) = (data.train.classes().len(), recipe.model.classes);
        if found != expected {
            let reason = format!("the data have {found} classes, the model {expected}");
            return Err(Error::option("model.classes", reason));
        }
        for (name, set) in [("training", &data.train), ("test", &data.test)] {
            if set.is_empty() {
                return Err(Error::option(
                    format!("{name} set"),
                    "expected images, got none",
                ));
            }
        }
        Ok(Self {
            train: Arc::clone(&data.train),
            test: Arc::clone(&data.test),
        })
    }

    /// The augmented training batches of a phase, for as many devices.
    pub fn training_loader(
        &self,
        recipe: &Recipe,
        phase: Phase,
        devices: usize,
    ) -> Result<Loader, Error> {
        let batch = recipe.phase(phase).batch_size;
        if !batch.is_multiple_of(devices) {
            let reason = format!("{batch} images cannot be shared by {devices} devices");
            return Err(Error::option("batch_size", reason));
        }
        let config = LoaderConfig {
            batch_size: batch,
            workers: recipe.workers,
            seed: epoch_seed(recipe.seed, phase as usize),
            shuffle: true,
            // A share of a batch must not be empty.
            drop_last: devices > 1,
            repeats: recipe.repeats,
        };
        let mut loader = Loader::new(Arc::clone(&self.train), recipe.augmentation.clone(), config)?;
        if let Some(mixup) = recipe.mixup_of(phase) {
            loader = loader.with_mixup(mixup, recipe.phase(phase).smoothing as f32)?;
        }
        if loader.steps() == 0 {
            let reason = format!(
                "{batch} images are more than the {} there are",
                self.train.len()
            );
            return Err(Error::option("batch_size", reason));
        }
        Ok(loader)
    }

    /// The test images.
    pub fn test_loader(&self, recipe: &Recipe) -> Result<Loader, Error> {
        evaluation_loader(Arc::clone(&self.test), recipe)
    }
}

/// The images of a data set for evaluation, in order.
///
/// # Errors
/// [`Error::Data`] if a batch is to hold no images.
pub fn evaluation_loader(set: Arc<dyn DataSet>, recipe: &Recipe) -> Result<Loader, Error> {
    let config = LoaderConfig {
        batch_size: recipe.evaluation_batch_size,
        workers: recipe.workers,
        ..LoaderConfig::default()
    };
    Ok(Loader::new(set, recipe.evaluation.clone(), config)?)
}
