//! The network that all phases share.

use burn::Tensor;
use burn::module::{Module, ParamId};
use gsb_core::binarize::Blend;
use gsb_core::distill::Logits;
use gsb_core::nn::LayerNorm;

use crate::embedding::{TokenEmbedding, patch_tokens, token};
use crate::parts::{EncoderBlock, Head, PatchEmbedding};
use crate::weight_decay::WeightDecay;
use crate::{Activations, Classifier, VitConfig};

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

    /// What weight decay does with each parameter.
    pub fn weight_decay(&self) -> WeightDecay {
        let mut decay = WeightDecay::by_rank(self);
        self.patch_embedding.weight_decay(&mut decay);
        self.tokens.weight_decay(&mut decay);
        for block in &self.blocks {
            block.weight_decay(&mut decay);
        }
        for head in [&self.class_head]
            .into_iter()
            .chain(&self.distillation_head)
        {
            head.weight_decay(&mut decay);
        }
        decay
    }

    /// The binarizers of its blocks hand on a [share](Blend) of the binarized value, where activations are binary.
    pub fn with_blend(mut self, blend: Blend) -> Self {
        let blocks = self.blocks.into_iter();
        self.blocks = blocks.map(|block| block.with_blend(blend)).collect();
        self
    }

    /// The float weights behind the binary ones of its blocks.
    pub fn latent_weights(&self) -> Vec<Tensor<2>> {
        self.blocks.iter().flat_map(B::latent_weights).collect()
    }

    /// The parameters in the units of an attention matrix: shifts and scales of its groups.
    pub fn attention_matrix_parameters(&self) -> Vec<ParamId> {
        let blocks = self.blocks.iter();
        blocks.flat_map(B::attention_matrix_parameters).collect()
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

/// The methods of [`Classifier`], without the trait.
impl<P: PatchEmbedding, B: EncoderBlock, H: Head> Transformer<P, B, H> {
    /// The logits of each head, for training.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    /// - logits of a head: `[batch, classes]`
    pub fn forward(&self, images: Tensor<4>) -> Logits {
        let x = self.embed(images);
        let x = self.blocks.iter().fold(x, |x, block| block.encode(x));
        self.classify(&self.norm.forward(x))
    }

    /// The logits of a prediction: the mean of the heads.
    ///
    /// What acts during training alone (drop path, statistics of a batch) acts here too on an
    /// autodiff device; call it on [`Module::valid`] to evaluate.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    /// - output: `[batch, classes]`
    pub fn infer(&self, images: Tensor<4>) -> Tensor<2> {
        self.forward(images).mean()
    }

    /// A forward pass that keeps what lies between images and logits.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    pub fn activations(&self, images: Tensor<4>) -> Activations {
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

impl<P: PatchEmbedding, B: EncoderBlock, H: Head> Classifier for Transformer<P, B, H> {
    fn forward(&self, images: Tensor<4>) -> Logits {
        Self::forward(self, images)
    }

    fn activations(&self, images: Tensor<4>) -> Activations {
        Self::activations(self, images)
    }
}
