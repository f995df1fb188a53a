//! Checkpoints of either kind: our own, or with the published names.

use std::path::Path;

use burn::tensor::Device;

use super::native::{inspect, load};
use super::{Published, Strictness, refuse_folder};
use crate::{EncoderBlock, Error, Head, Model, PatchEmbedding, Phase, Transformer, VitConfig};

/// Phase and configuration of a checkpoint, our own or one with the published names.
///
/// # Errors
/// What is wrong with the file, if it is neither.
pub fn describe(path: impl AsRef<Path>) -> Result<(Phase, VitConfig), Error> {
    let path = path.as_ref();
    if is_own(path)? {
        return inspect(path);
    }
    Published::read(path)?.describe()
}

/// Whether a checkpoint is our own, by its contents; of what is neither, the name says what it should
/// be.
///
/// # Errors
/// If it is a folder.
pub fn is_own(path: impl AsRef<Path>) -> Result<bool, Error> {
    let path = path.as_ref();
    refuse_folder(path)?;
    if inspect(path).is_ok() {
        return Ok(true);
    }
    let named = path.extension().is_some_and(|extension| extension == "bpk");
    Ok(named && Published::read(path).is_err())
}

/// The model of a checkpoint of either kind, told apart by their contents.
///
/// # Errors
/// If the file cannot be read, is damaged, or holds a model of another phase.
pub fn load_any<M: Model>(path: impl AsRef<Path>, device: &Device) -> Result<M, Error> {
    let path = path.as_ref();
    if is_own(path)? {
        return load(path, device);
    }
    let published = Published::read(path)?;
    let (found, config) = published.describe()?;
    if found != M::PHASE {
        let reason = format!("it holds a model of {found}, expected one of {}", M::PHASE);
        return Err(Error::read(path, reason));
    }
    Ok(published.into_model(&config, Strictness::Strict, device)?.0)
}

impl<P: PatchEmbedding, B: EncoderBlock, H: Head> Transformer<P, B, H>
where
    Self: Model,
{
    /// The model of a checkpoint: one of our own (`.bpk`), or one with the published names (`.pth`,
    /// `.safetensors`), told apart by their contents.
    ///
    /// Of what a file with the published names leaves open, the published answer is taken where there is one. Others are given to
    /// [`Published::describe_with`], whose configuration goes to [`Published::into_model`].
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, or holds a model of another phase; with the name of a [hint](super::Hints) if it
    /// leaves open what has no published answer.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use gsb_vit::{Stage2Student, VitConfig, checkpoint};
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("student.bpk");
    /// let device = Device::default();
    /// checkpoint::save(&VitConfig::micro().init_stage2(&device)?, &path)?;
    /// let student = Stage2Student::load(&path, &device)?;
    /// assert_eq!(student.config(), &VitConfig::micro());
    /// # Ok::<(), gsb_vit::Error>(())
    /// ```
    pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<Self, Error> {
        load_any(path, device)
    }
}
