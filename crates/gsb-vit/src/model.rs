//! What the models of all phases have in common.

use burn::Tensor;
use burn::module::{Module, ModuleDisplay, ParamId};
use burn::tensor::Device;
use gsb_core::binarize::Blend;

use crate::weight_decay::WeightDecay;
use crate::{
    BlockSuperpositions, Error, Phase, Stage1Student, Stage2Student, VisionTransformer, VitConfig,
};

/// A model of a phase. Its checkpoints: [`checkpoint`](crate::checkpoint).
pub trait Model: Module + ModuleDisplay {
    /// Its phase.
    const PHASE: Phase;

    /// A fresh model.
    ///
    /// # Errors
    /// See [`VitConfig::validate`].
    fn fresh(config: &VitConfig, device: &Device) -> Result<Self, Error>;

    /// The configuration it was made with.
    fn config(&self) -> &VitConfig;

    /// What weight decay does with each parameter.
    fn weight_decay(&self) -> WeightDecay;

    /// Its binarizers hand on a [share](Blend) of the binarized value, where activations are binary.
    fn with_blend(self, _blend: Blend) -> Self {
        self
    }

    /// The float weights behind its binary ones.
    fn latent_weights(&self) -> Vec<Tensor<2>> {
        Vec::new()
    }

    /// The parameters in the units of an attention matrix, whose elements are about one by the number of tokens:
    /// shifts and scales of its groups.
    fn attention_matrix_parameters(&self) -> Vec<ParamId> {
        Vec::new()
    }

    /// The superpositions of each block, if it has any, their groups filled by some images. Waits for the device.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    fn superpositions(&self, _images: Tensor<4>) -> Vec<BlockSuperpositions> {
        Vec::new()
    }
}

impl Model for VisionTransformer {
    const PHASE: Phase = Phase::Teacher;

    fn fresh(config: &VitConfig, device: &Device) -> Result<Self, Error> {
        config.init_teacher(device)
    }

    fn config(&self) -> &VitConfig {
        Self::config(self)
    }

    fn weight_decay(&self) -> WeightDecay {
        Self::weight_decay(self)
    }
}

impl Model for Stage1Student {
    const PHASE: Phase = Phase::Stage1;

    fn fresh(config: &VitConfig, device: &Device) -> Result<Self, Error> {
        config.init_stage1(device)
    }

    fn config(&self) -> &VitConfig {
        Self::config(self)
    }

    fn weight_decay(&self) -> WeightDecay {
        Self::weight_decay(self)
    }

    fn latent_weights(&self) -> Vec<Tensor<2>> {
        Self::latent_weights(self)
    }
}

impl Model for Stage2Student {
    const PHASE: Phase = Phase::Stage2;

    fn fresh(config: &VitConfig, device: &Device) -> Result<Self, Error> {
        config.init_stage2(device)
    }

    fn config(&self) -> &VitConfig {
        Self::config(self)
    }

    fn weight_decay(&self) -> WeightDecay {
        Self::weight_decay(self)
    }

    fn with_blend(self, blend: Blend) -> Self {
        Self::with_blend(self, blend)
    }

    fn latent_weights(&self) -> Vec<Tensor<2>> {
        Self::latent_weights(self)
    }

    fn attention_matrix_parameters(&self) -> Vec<ParamId> {
        Self::attention_matrix_parameters(self)
    }

    fn superpositions(&self, images: Tensor<4>) -> Vec<BlockSuperpositions> {
        Self::superpositions(self, images)
    }
}
