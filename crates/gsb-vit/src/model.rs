//! What the models of all phases have in common.

use std::path::Path;

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Device;

use crate::{Error, Phase, Stage1Student, Stage2Student, VisionTransformer, VitConfig, checkpoint};

/// A model of a phase.
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

    /// The model of a checkpoint: one of our own (`.bpk`), or one with the published names (`.pth`,
    /// `.safetensors`), told apart by their contents.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, or holds a model of another phase.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use gsb_vit::{Model, Stage2Student, VitConfig, checkpoint};
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("student.bpk");
    /// let device = Device::default();
    /// let student = VitConfig::micro().init_stage2(&device)?;
    /// checkpoint::save(&student, &path)?;
    /// let student = Stage2Student::load(&path, &device)?;
    /// assert_eq!(Model::config(&student), &VitConfig::micro());
    /// # Ok::<(), gsb_vit::Error>(())
    /// ```
    fn load(path: impl AsRef<Path>, device: &Device) -> Result<Self, Error> {
        checkpoint::load_any(path.as_ref(), device)
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
}

impl Model for Stage1Student {
    const PHASE: Phase = Phase::Stage1;

    fn fresh(config: &VitConfig, device: &Device) -> Result<Self, Error> {
        config.init_stage1(device)
    }

    fn config(&self) -> &VitConfig {
        Self::config(self)
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
}
