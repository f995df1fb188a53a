//! Where a loss stopped being finite.

use std::path::PathBuf;

use burn::Tensor;
use gsb_vit::{Classifier, parameters};

use crate::TrainBatch;

/// A loss that is not finite.
#[derive(Debug)]
pub(crate) struct Divergence {
    pub loss: f32,
    pub epoch: usize,
    pub step: usize,
    /// Where values that are not finite come from.
    pub place: String,
    /// The weights before the step.
    pub saved: Result<PathBuf, gsb_vit::Error>,
}

/// Finds the first parameter or layer of a model with a value that is not finite.
pub(crate) fn culprit<M: Classifier>(model: &M, batch: &TrainBatch) -> String {
    for parameter in parameters(model) {
        if !parameter.data.iter::<f64>().all(f64::is_finite) {
            return format!("the parameter {}", parameter.path);
        }
    }
    if !finite(batch.images.clone()) {
        return "the images".into();
    }
    let inside = model.activations(batch.images.clone());
    if !finite(inside.embedding) {
        return "the patch embedding".into();
    }
    let bad = inside.blocks.into_iter().position(|block| !finite(block));
    if let Some(block) = bad {
        return format!("blocks.{block}");
    }
    if !finite(inside.features) {
        return "the last normalization".into();
    }
    if !finite(inside.logits.class) {
        return "the class head".into();
    }
    if inside
        .logits
        .distillation
        .is_some_and(|logits| !finite(logits))
    {
        return "the distillation head".into();
    }
    "the loss itself".into()
}

fn finite<const D: usize>(x: Tensor<D>) -> bool {
    x.is_finite().all().into_scalar::<bool>()
}
