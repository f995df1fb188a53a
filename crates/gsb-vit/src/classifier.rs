//! What training and evaluation ask of a model.

use burn::Tensor;
use burn::module::Module;
use gsb_core::distill::Logits;

use crate::Activations;

/// A model that classifies images with one head or two, for code that takes any of them.
pub trait Classifier: Module {
    /// The logits of each head, for training.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    /// - logits of a head: `[batch, classes]`
    fn forward(&self, images: Tensor<4>) -> Logits;

    /// A forward pass that keeps what lies between images and logits.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    fn activations(&self, images: Tensor<4>) -> Activations;

    /// The logits of a prediction: the mean of the heads.
    ///
    /// What acts during training alone (drop path, statistics of a batch) acts here too on an
    /// autodiff device; call it on [`Module::valid`] to evaluate.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    /// - output: `[batch, classes]`
    fn infer(&self, images: Tensor<4>) -> Tensor<2> {
        self.forward(images).mean()
    }
}
