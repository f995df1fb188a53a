//! A checkpoint file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::contents::{Contents, Stored};
use crate::source::Source;
use crate::{
    CheckpointError, Found, Take, Tensor, TensorInfo, archive, foreign, legacy, pth, refuse_folder,
    safetensors,
};

/// What every pickle of a protocol from 2 on starts with.
const PICKLE: u8 = 0x80;

/// The tensors of a checkpoint file, by name. Their data are read on demand.
///
/// Opening reads only what says which tensors there are. The file stays open, so that another one
/// put in its place does not matter.
pub struct TensorFile {
    path: PathBuf,
    source: Mutex<Source>,
    contents: Contents,
    /// The numbers of the tensors, sorted by name.
    by_name: Vec<usize>,
}

impl TensorFile {
    /// Opens a checkpoint of `torch.save` or a safetensors file; the content says which.
    ///
    /// Of a checkpoint of `torch.save` the state dict is read, wherever it lies. The names are without
    /// what wrappers put before and into them, and without the counters of profilers. [`Self::found`]
    /// says what was done.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is damaged, in another format or without tensors, or if a tensor
    /// is of a kind that is not read: sparse, quantized, complex or of more than 8 dimensions. Also if
    /// an average is to be taken and there is none.
    pub fn open(path: impl AsRef<Path>, take: Take) -> Result<Self, CheckpointError> {
        let path = path.as_ref();
        refuse_folder(path)?;
        let source = Source::open(path).map_err(|source| CheckpointError::Io {
            path: path.into(),
            source,
        })?;
        Self::of_source(path, source, take)
    }

    /// The same of a file in memory. The name is for messages.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn from_bytes(
        name: impl AsRef<Path>,
        bytes: Vec<u8>,
        take: Take,
    ) -> Result<Self, CheckpointError> {
        Self::of_source(name.as_ref(), Source::of_bytes(bytes), take)
    }

    fn of_source(path: &Path, mut source: Source, take: Take) -> Result<Self, CheckpointError> {
        let head = source
            .read(0, source.len().min(foreign::HEAD))
            .map_err(|source| CheckpointError::Io {
                path: path.into(),
                source,
            })?;
        let contents = if head.starts_with(archive::SIGNATURE) {
            pth::open(path, &mut source, take)
        } else if legacy::starts(&head) {
            legacy::open(path, &mut source, take)
        } else if safetensors::starts(&head) {
            safetensors::open(path, &mut source, take)
        } else if head.first() == Some(&PICKLE) {
            Err(CheckpointError::UnsupportedFormat {
                path: path.into(),
                format: "a pickle that torch.save has not written".into(),
                remedy: "open it in Python and save the weights with torch.save",
            })
        } else {
            Err(foreign::refusal(path, &head))
        }?;

        let name = |&number: &usize| contents.tensors[number].name.as_str();
        let mut by_name: Vec<usize> = (0..contents.tensors.len()).collect();
        by_name.sort_unstable_by_key(|number| name(number));
        if let Some(pair) = by_name
            .windows(2)
            .find(|pair| name(&pair[0]) == name(&pair[1]))
        {
            let prefixes = &contents.found.prefixes;
            let without = match prefixes.is_empty() {
                true => String::new(),
                false => format!(", without {}", prefixes.join(", ")),
            };
            return Err(CheckpointError::Tensor {
                name: name(&pair[0]).into(),
                path: path.into(),
                problem: format!("it is there twice{without}"),
            });
        }
        Ok(Self {
            path: path.into(),
            source: Mutex::new(source),
            contents,
            by_name,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the tensors: in the order of the state dict in a `.pth` file, of the data in a
    /// safetensors file.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.contents
            .tensors
            .iter()
            .map(|tensor| tensor.name.as_str())
    }

    /// Where in the file the tensors were, and what was left out.
    pub fn found(&self) -> &Found {
        &self.contents.found
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
    pub fn read(&self, name: &str) -> Result<Tensor, CheckpointError> {
        let tensor = self.find(name).ok_or_else(|| CheckpointError::Missing {
            path: self.path.clone(),
            name: name.into(),
            count: self.contents.tensors.len(),
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
        Ok(Tensor {
            shape: shape.clone(),
            values: element.decode(&bytes),
        })
    }

    /// The texts in the header of a safetensors file; empty for a `.pth` file.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.contents.metadata
    }

    fn find(&self, name: &str) -> Option<&Stored> {
        let at = self
            .by_name
            .binary_search_by_key(&name, |&number| self.contents.tensors[number].name.as_str())
            .ok()?;
        self.contents.tensors.get(self.by_name[at])
    }
}

impl std::fmt::Debug for TensorFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.names().collect();
        f.debug_struct("TensorFile")
            .field("path", &self.path)
            .field("names", &names)
            .field("found", self.found())
            .finish_non_exhaustive()
    }
}
