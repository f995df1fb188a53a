//! A checkpoint file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use burn::tensor::TensorData;

use super::layout::Layout;
use super::source::Source;
use super::{CheckpointError, ElementType, archive, pth, safetensors};

/// The first bytes of a pickle, what `torch.save` wrote before its archives.
const PICKLE: &[u8] = b"\x80\x02";

/// Bytes that tell the formats apart.
const HEAD: u64 = 9;

/// The tensors of a checkpoint file, by name. Their data are read on demand.
///
/// Opening reads only what says which tensors there are. The file stays open, so that another one
/// put in its place does not matter.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    source: Mutex<Source>,
    tensors: Vec<Tensor>,
    /// The numbers of the tensors, sorted by name.
    by_name: Vec<usize>,
    metadata: BTreeMap<String, String>,
}

/// What a file says of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// The type of its elements in the file.
    pub element: ElementType,
}

/// A tensor of a file.
#[derive(Debug)]
pub(super) struct Tensor {
    pub name: String,
    pub layout: Layout,
}

impl TensorFile {
    /// Opens a checkpoint of `torch.save` or a safetensors file; the content says which.
    ///
    /// Of a `.pth` file the state dict is read: the dictionary under `model`, else the one under
    /// `state_dict`, else the whole. Entries that are not tensors are left out, and so is the prefix
    /// `module.` if all names have it.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is damaged, in another format or without tensors, or if a tensor
    /// is of a kind that is not read: sparse, quantized, complex or of more than 8 dimensions.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let path = path.as_ref().to_path_buf();
        let io = |source| CheckpointError::Io {
            path: path.clone(),
            source,
        };
        let mut source = Source::open(&path).map_err(io)?;
        let head = source.read(0, source.len().min(HEAD)).map_err(io)?;
        let (tensors, metadata) = if head.starts_with(archive::SIGNATURE) {
            (pth::open(&path, &mut source)?, BTreeMap::new())
        } else if safetensors::starts(&head) {
            safetensors::open(&path, &mut source)?
        } else if head.starts_with(PICKLE) {
            return Err(CheckpointError::UnsupportedFormat {
                path,
                format: "the format of torch.save before PyTorch 1.6",
                expected: "the zip archive that it writes since",
            });
        } else {
            return Err(CheckpointError::UnknownFormat { path });
        };

        let name = |&number: &usize| tensors[number].name.as_str();
        let mut by_name: Vec<usize> = (0..tensors.len()).collect();
        by_name.sort_unstable_by_key(|number| name(number));
        if let Some(pair) = by_name
            .windows(2)
            .find(|pair| name(&pair[0]) == name(&pair[1]))
        {
            return Err(CheckpointError::Tensor {
                name: name(&pair[0]).into(),
                path,
                problem: "it is there twice".into(),
            });
        }
        Ok(Self {
            path,
            source: Mutex::new(source),
            tensors,
            by_name,
            metadata,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the tensors: in the order of the state dict in a `.pth` file, of the data in a
    /// safetensors file.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.tensors.iter().map(|tensor| tensor.name.as_str())
    }

    /// Shape and element type of a tensor, if there is one of that name.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        Some(&self.find(name)?.layout.info)
    }

    /// Reads a tensor: floats of any width as `f32`, integers and booleans as `i64`.
    ///
    /// # Errors
    ///
    /// If there is no such tensor, or its data cannot be read or are damaged.
    pub fn read(&self, name: &str) -> Result<TensorData, CheckpointError> {
        let tensor = self.find(name).ok_or_else(|| CheckpointError::Missing {
            path: self.path.clone(),
            name: name.into(),
            count: self.tensors.len(),
        })?;
        // A panic elsewhere leaves nothing behind here but the place in the file.
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = source
            .elements(&tensor.layout)
            .map_err(|error| CheckpointError::Tensor {
                path: self.path.clone(),
                name: name.into(),
                problem: error.to_string(),
            })?;
        let TensorInfo { shape, element } = &tensor.layout.info;
        Ok(element.decode(&bytes, shape))
    }

    /// The texts in the header of a safetensors file; empty for a `.pth` file.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    fn find(&self, name: &str) -> Option<&Tensor> {
        let at = self
            .by_name
            .binary_search_by_key(&name, |&number| self.tensors[number].name.as_str())
            .ok()?;
        self.tensors.get(self.by_name[at])
    }
}
