//! Where weights start.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use gsb_vit::checkpoint::{self, Strictness};
use gsb_vit::{Model, Phase, VitConfig};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Checkpoints that a run starts from, instead of fresh weights.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Start {
    /// A trained teacher, which then is not trained.
    #[serde(with = "crate::path_text")]
    pub teacher: Option<PathBuf>,
    /// A float model that the training of the teacher starts from.
    #[serde(with = "crate::path_text")]
    pub finetune: Option<PathBuf>,
    /// A trained stage-1 student that stage 2 starts from where stage 1 is not trained.
    #[serde(with = "crate::path_text")]
    pub stage1: Option<PathBuf>,
}

/// A model from a checkpoint: our own (`.bpk`), or one with the published names (`.pth`,
/// `.safetensors`).
///
/// Heads for another number of classes start fresh where `heads` allows it, and positions of another
/// image size are interpolated.
///
/// # Errors
/// [`Error::Model`] if the file cannot be read or is of another model, [`Error::File`] if it is for
/// other classes or images.
pub fn load_model<M: Model>(
    path: &Path,
    config: &VitConfig,
    heads: Heads,
    device: &Device,
) -> Result<M, Error> {
    let wrong = |reason: String| Error::file(path, reason);
    if is_own(path) {
        let model: M = checkpoint::load(path, device)?;
        if heads == Heads::Kept {
            fits(model.config(), config).map_err(wrong)?;
            return Ok(model);
        }
        // By the published names, which know how to change heads and positions.
        let tensors = checkpoint::Published::of(&model);
        return Ok(tensors.into_model(config, Strictness::Strict, device)?.0);
    }
    let published = checkpoint::Published::read(path)?;
    let (_, found) = published.describe()?;
    if heads == Heads::Kept {
        fits(&found, config).map_err(wrong)?;
    }
    Ok(published.into_model(config, Strictness::Strict, device)?.0)
}

/// Phase and configuration of a checkpoint, our own or one with the published names.
///
/// # Errors
/// [`Error::Model`] if it is neither.
pub fn describe(path: &Path) -> Result<(Phase, VitConfig), Error> {
    if is_own(path) {
        return Ok(checkpoint::inspect(path)?);
    }
    Ok(checkpoint::Published::read(path)?.describe()?)
}

/// Whether it is our own, by its contents; of what is neither, the name says what it should be.
fn is_own(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "bpk")
        || checkpoint::inspect(path).is_ok()
}

impl Start {
    /// Checks that the files are models of their phases for these classes and images.
    ///
    /// # Errors
    /// As [`load_model`].
    pub(crate) fn check(&self, model: &VitConfig) -> Result<(), Error> {
        for (path, expected, heads) in [
            (&self.teacher, Phase::Teacher, Heads::Kept),
            (&self.finetune, Phase::Teacher, Heads::Replaced),
            (&self.stage1, Phase::Stage1, Heads::Kept),
        ] {
            let Some(path) = path else { continue };
            let (phase, found) = describe(path)?;
            if phase != expected {
                let reason = format!("it holds a model of {phase}, expected one of {expected}");
                return Err(Error::file(path, reason));
            }
            if heads == Heads::Kept {
                fits(&found, model).map_err(|reason| Error::file(path, reason))?;
            }
        }
        Ok(())
    }
}

/// Whether the heads of a checkpoint must be those that are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heads {
    /// They are used: a checkpoint for other classes is an error.
    Kept,
    /// They are trained anew where the number of classes is another.
    Replaced,
}

/// Whether a model takes the images and knows the classes of another's data.
fn fits(found: &VitConfig, expected: &VitConfig) -> Result<(), String> {
    for (what, found, expected) in [
        ("classes", found.classes, expected.classes),
        ("colour channels", found.channels, expected.channels),
        ("pixels on a side", found.image_size, expected.image_size),
    ] {
        if found != expected {
            return Err(format!(
                "a model for {found} {what}, but the data have {expected}"
            ));
        }
    }
    Ok(())
}
