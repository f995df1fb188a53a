//! Checkpoints of either kind: our own, or with the published names.

use std::path::Path;

use burn::tensor::Device;

use super::{Published, Strictness, inspect, load, refuse_folder};
use crate::{Error, Model, Phase, VitConfig};

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
pub fn is_own(path: &Path) -> Result<bool, Error> {
    refuse_folder(path)?;
    let named = path.extension().is_some_and(|extension| extension == "bpk");
    Ok(named || inspect(path).is_ok())
}

/// The model of a checkpoint of either kind.
pub(crate) fn load_any<M: Model>(path: &Path, device: &Device) -> Result<M, Error> {
    if is_own(path)? {
        return load(path, device);
    }
    let published = Published::read(path)?;
    let (found, config) = published.describe()?;
    if found != M::PHASE {
        return Err(Error::Read {
            path: path.into(),
            reason: format!("it holds a model of {found}, expected one of {}", M::PHASE),
        });
    }
    Ok(published.into_model(&config, Strictness::Strict, device)?.0)
}
