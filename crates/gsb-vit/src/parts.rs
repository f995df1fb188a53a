//! What the phases put in the network that they share.

use burn::Tensor;
use burn::module::{Module, ModuleDisplay, ParamId};
use gsb_core::binarize::Blend;

use crate::weight_decay::WeightDecay;

/// Makes a feature map of images, one position for each patch.
pub trait PatchEmbedding: Module + ModuleDisplay {
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    /// - output: `[batch, token width, rows, columns]`
    fn embed(&self, images: Tensor<4>) -> Tensor<4>;

    /// Declares which of its parameters [weight decay](WeightDecay) treats otherwise than by their rank.
    fn weight_decay(&self, _decay: &mut WeightDecay) {}
}

/// An encoder block.
pub trait EncoderBlock: Module + ModuleDisplay {
    /// # Shapes
    /// - x and output: `[batch, tokens, width]`
    fn encode(&self, x: Tensor<3>) -> Tensor<3>;

    /// The output and the attention matrix, as it multiplies the value.
    ///
    /// # Shapes
    /// - x and output: `[batch, tokens, width]`
    /// - attention: `[batch, heads, tokens, tokens]`, a row for each query
    fn encode_with_attention(&self, x: Tensor<3>) -> (Tensor<3>, Tensor<4>);

    /// Its binarizers, where it has any of activations, hand on a [share](Blend) of the binarized value.
    fn with_blend(self, _blend: Blend) -> Self {
        self
    }

    /// The float weights behind its binary ones.
    fn latent_weights(&self) -> Vec<Tensor<2>> {
        Vec::new()
    }

    /// The parameters in the units of the attention matrix, whose elements are about one by the number of tokens:
    /// its shift and the scales of its groups.
    fn attention_matrix_parameters(&self) -> Vec<ParamId> {
        Vec::new()
    }

    /// Declares which of its parameters [weight decay](WeightDecay) treats otherwise than by their rank.
    fn weight_decay(&self, _decay: &mut WeightDecay) {}
}

/// Makes the logits of a token.
pub trait Head: Module + ModuleDisplay {
    /// # Shapes
    /// - x: `[batch, width]`
    /// - output: `[batch, classes]`
    fn logits(&self, x: Tensor<2>) -> Tensor<2>;

    /// Declares which of its parameters [weight decay](WeightDecay) treats otherwise than by their rank.
    fn weight_decay(&self, _decay: &mut WeightDecay) {}
}
