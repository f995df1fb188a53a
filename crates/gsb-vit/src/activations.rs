//! What lies between images and logits.

use burn::Tensor;
use gsb_core::distill::Logits;

/// What a model computes on the way to its logits, see
/// [`Classifier::activations`](crate::Classifier::activations).
#[derive(Debug, Clone)]
pub struct Activations {
    /// The tokens that enter the first block, `[batch, tokens, width]`: class token, distillation
    /// token (if there is one), patches row by row.
    pub embedding: Tensor<3>,
    /// The output of each block, `[batch, tokens, width]`.
    pub blocks: Vec<Tensor<3>>,
    /// The attention matrix of each block as it multiplies the value (binarized in stage 2),
    /// `[batch, heads, tokens, tokens]`, a row for each query.
    pub attention: Vec<Tensor<4>>,
    /// The normalized output of the encoder, `[batch, tokens, width]`: the features of an image are
    /// those of its first tokens.
    pub features: Tensor<3>,
    /// The logits of each head.
    pub logits: Logits,
}
