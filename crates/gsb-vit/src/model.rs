//! What the models of all phases have in common.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Device;

use crate::weight_decay::WeightDecay;
use crate::{Error, Phase, Stage1Student, Stage2Student, VisionTransformer, VitConfig};

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
}
