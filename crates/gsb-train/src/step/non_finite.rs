//! Where values that are not finite come from.

use burn::Tensor;
use gsb_vit::{Classifier, parameters};

use super::batch::TrainBatch;

/// Finds the first parameter or layer of a model with a value that is not finite.
pub(crate) fn first_non_finite<M: Classifier>(model: &M, batch: &TrainBatch) -> String {
    for parameter in parameters(model) {
        if !parameter.data.iter::<f64>().all(f64::is_finite) {
            return format!("the parameter {}", parameter.path);
        }
    }
    if !is_finite(batch.images.clone()) {
        return "the images".into();
    }
    let inside = model.activations(batch.images.clone());
    if !is_finite(inside.embedding) {
        return "the patch embedding".into();
    }
    let bad = inside
        .blocks
        .into_iter()
        .position(|block| !is_finite(block));
    if let Some(block) = bad {
        return format!("blocks.{block}");
    }
    if !is_finite(inside.features) {
        return "the last normalization".into();
    }
    if !is_finite(inside.logits.class) {
        return "the class head".into();
    }
    if inside
        .logits
        .distillation
        .is_some_and(|logits| !is_finite(logits))
    {
        return "the distillation head".into();
    }
    "the loss itself".into()
}

fn is_finite<const D: usize>(x: Tensor<D>) -> bool {
    x.is_finite().all().into_scalar::<bool>()
}
