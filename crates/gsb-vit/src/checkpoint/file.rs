//! A checkpoint file with the names of another implementation.

use std::ops::Deref;
use std::path::Path;

use burn::tensor::TensorData;
use gsb_checkpoint::{CheckpointError, Take, Values};

/// The tensors of a checkpoint file, by name: [`gsb_checkpoint::TensorFile`], whose tensors become
/// Burn's.
#[derive(Debug)]
pub struct TensorFile(gsb_checkpoint::TensorFile);

impl TensorFile {
    /// Opens a checkpoint of `torch.save` or a safetensors file for its weights.
    ///
    /// # Errors
    /// As [`open_as`](Self::open_as).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        Self::open_as(path, Take::Weights)
    }

    /// Opens a checkpoint of `torch.save` or a safetensors file for its weights or their average.
    ///
    /// # Errors
    /// As [`gsb_checkpoint::TensorFile::open`].
    pub fn open_as(path: impl AsRef<Path>, take: Take) -> Result<Self, CheckpointError> {
        gsb_checkpoint::TensorFile::open(path, take).map(Self)
    }

    /// Reads a tensor: floats of any width as `f32`, integers and booleans as `i64`.
    ///
    /// # Errors
    /// If there is no such tensor, or its data cannot be read or are damaged.
    pub fn read(&self, name: &str) -> Result<TensorData, CheckpointError> {
        let tensor = self.0.read(name)?;
        Ok(match tensor.values {
            Values::Floats(values) => TensorData::new(values, tensor.shape),
            Values::Integers(values) => TensorData::new(values, tensor.shape),
        })
    }
}

impl Deref for TensorFile {
    type Target = gsb_checkpoint::TensorFile;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
