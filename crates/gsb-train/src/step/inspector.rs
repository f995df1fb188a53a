//! What happens inside the binarizers from epoch to epoch.

use std::sync::Mutex;

use burn::Tensor;
use gsb_vit::{BlockSuperpositions, Model};
use serde::{Deserialize, Serialize};

/// What the binarizers of a model did in an epoch.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Inspection {
    /// Of each binary weight, in the model's order, the share whose sign is not what it was an epoch before.
    pub flips: Vec<f64>,
    /// The superpositions of each block of a stage-2 student, their groups filled by the first test images.
    pub blocks: Vec<BlockSuperpositions>,
}

/// Inspects a model at the end of each epoch.
#[derive(Debug, Default)]
pub(crate) struct Inspector {
    /// Of the epoch before; none before the first step.
    signs: Mutex<Option<Vec<Vec<bool>>>>,
    found: Mutex<Option<Inspection>>,
}

impl Inspector {
    /// Begins with the weights that a model starts, or goes on, with; but once.
    ///
    /// To be called after a forward pass: weights are drawn when they are first read, in its order.
    pub fn begin<M: Model>(&self, model: impl FnOnce() -> M) {
        let mut known = self.signs.lock().expect("nobody panics with it");
        if known.is_none() {
            *known = Some(signs(&model()));
        }
    }

    /// Looks at a model after an epoch.
    pub fn inspect(&self, model: &impl Model, images: Tensor<4>) {
        let signs = signs(model);
        if signs.is_empty() {
            return;
        }
        let mut before = self.signs.lock().expect("nobody panics with it");
        let known = before.as_deref().unwrap_or_default();
        let flips = known.iter().zip(&signs).map(|(before, now)| {
            let flipped = before.iter().zip(now).filter(|(a, b)| a != b).count();
            flipped as f64 / now.len() as f64
        });
        let found = Inspection {
            flips: flips.collect(),
            blocks: model.superpositions(images),
        };
        *before = Some(signs);
        *self.found.lock().expect("nobody panics with it") = Some(found);
    }

    /// What was found in the last epoch, once.
    pub fn take(&self) -> Option<Inspection> {
        self.found.lock().expect("nobody panics with it").take()
    }
}

/// The signs of the binary weights: which elements are above the mean.
fn signs(model: &impl Model) -> Vec<Vec<bool>> {
    let weights = model.latent_weights().into_iter();
    let signs = weights.map(|weight| {
        let mean = weight.clone().mean().unsqueeze::<2>();
        (weight - mean)
            .into_data()
            .iter::<f32>()
            .map(|x| x > 0.0)
            .collect()
    });
    signs.collect()
}
