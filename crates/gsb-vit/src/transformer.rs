//! The network that all phases share.

use burn::Tensor;
use burn::module::{Module, ModuleDisplay};
use gsb_core::distill::Logits;
use gsb_core::nn::LayerNorm;

use crate::embedding::{TokenEmbedding, patch_tokens, token};
use crate::{Activations, Classifier, VitConfig};

/// Makes a feature map of images, one position for each patch.
pub trait PatchEmbedding: Module + ModuleDisplay {
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    /// - output: `[batch, token width, rows, columns]`
    fn embed(&self, images: Tensor<4>) -> Tensor<4>;
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
}

/// Makes the logits of a token.
pub trait Head: Module + ModuleDisplay {
    /// # Shapes
    /// - x: `[batch, width]`
    /// - output: `[batch, classes]`
    fn logits(&self, x: Tensor<2>) -> Tensor<2>;
}

/// A Vision Transformer (arXiv 2010.11929): patch embedding, learned tokens and positions, encoder
/// blocks, layer normalization, and a head for the class token and, if there is one, another for
/// the distillation token (arXiv 2012.12877).
///
/// The phases differ in the parts: [`VisionTransformer`](crate::VisionTransformer),
/// [`Stage1Student`](crate::Stage1Student), [`Stage2Student`](crate::Stage2Student).
#[derive(Module, Debug)]
pub struct Transformer<P: PatchEmbedding, B: EncoderBlock, H: Head> {
    /// Makes a token of each patch.
    pub patch_embedding: P,
    /// Class and distillation token, positions.
    pub tokens: TokenEmbedding,
    /// The encoder.
    pub blocks: Vec<B>,
    /// Normalization before the heads.
    pub norm: LayerNorm,
    /// Head of the class token, weight `[width, classes]`.
    pub class_head: H,
    /// Head of the distillation token, weight `[width, classes]`.
    pub distillation_head: Option<H>,
    #[module(skip)]
    pub(crate) config: VitConfig,
}

impl<P: PatchEmbedding, B: EncoderBlock, H: Head> Transformer<P, B, H> {
    /// The configuration it was made with.
    pub fn config(&self) -> &VitConfig {
        &self.config
    }

    /// The tokens that enter the encoder.
    pub(crate) fn embed(&self, images: Tensor<4>) -> Tensor<3> {
        self.tokens
            .forward(patch_tokens(self.patch_embedding.embed(images)))
    }

    /// The logits of normalized tokens.
    pub(crate) fn classify(&self, features: &Tensor<3>) -> Logits {
        Logits {
            class: self.class_head.logits(token(features, 0)),
            distillation: self
                .distillation_head
                .as_ref()
                .map(|head| head.logits(token(features, 1))),
        }
    }
}

impl<P: PatchEmbedding, B: EncoderBlock, H: Head> Classifier for Transformer<P, B, H> {
    fn forward(&self, images: Tensor<4>) -> Logits {
        let x = self.embed(images);
        let x = self.blocks.iter().fold(x, |x, block| block.encode(x));
        self.classify(&self.norm.forward(x))
    }

    fn activations(&self, images: Tensor<4>) -> Activations {
        let embedding = self.embed(images);
        let mut x = embedding.clone();
        let (mut blocks, mut attention) = (Vec::new(), Vec::new());
        for block in &self.blocks {
            let (y, matrix) = block.encode_with_attention(x);
            blocks.push(y.clone());
            attention.push(matrix);
            x = y;
        }
        let features = self.norm.forward(x);
        Activations {
            embedding,
            blocks,
            attention,
            logits: self.classify(&features),
            features,
        }
    }
}
