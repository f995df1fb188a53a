//! From pickled tensors to where their elements lie.

use std::path::Path;

use crate::archive::Archive;
use crate::contents::{Contents, Stored};
use crate::layout::{Block, Layout};
use crate::names::{Tidied, tidy};
use crate::pickle::{Known, Pickle, Value};
use crate::source::Source;
use crate::{CheckpointError, ElementType, Format, Found, Take, state_dict};

/// Bytes of a file that a tensor takes at least, its data apart: what the pickle says of it.
///
/// It is 60 in fact. The limit keeps a hostile file from naming one tensor over and over, as what is
/// stored of a tensor takes more memory than a name.
const BYTES_PER_TENSOR: u64 = 32;

/// How often a tensor may be wrapped, as parameters and tensors with attributes are.
const MAX_WRAPPERS: usize = 4;

/// The data that a pickle refers to.
pub(crate) struct Storages<'a> {
    pub path: &'a Path,
    pub source: &'a mut Source,
    pub place: Place<'a>,
}

/// Where data lie.
pub(crate) enum Place<'a> {
    /// In entries of an archive, in the folder of this name.
    Archive { archive: Archive, root: String },
    /// One after another, sorted by key.
    Sequence(Vec<(&'a str, Block)>),
}

impl Storages<'_> {
    /// Where the data of a key are, and what they are called.
    fn locate(&mut self, key: &str) -> Result<(String, Block), Problem> {
        let (name, block) = match &self.place {
            Place::Archive { archive, root } => {
                let name = format!("{root}data/{key}");
                let block = archive
                    .locate(self.source, &name)
                    .map_err(|problem| Problem::Source(problem.of(self.path)))?;
                (format!("entry {name:?}"), block)
            }
            Place::Sequence(blocks) => {
                let found = blocks.binary_search_by_key(&key, |(key, _)| key);
                (format!("{key:?}"), found.ok().map(|at| blocks[at].1))
            }
        };
        match block {
            Some(block) => Ok((name, block)),
            None => Err(format!("its storage, {name}, is missing").into()),
        }
    }
}

/// The tensors of the state dict in a pickle.
pub(crate) fn tensors(
    pickle: &Pickle,
    storages: &mut Storages,
    take: Take,
    format: Format,
) -> Result<Contents, CheckpointError> {
    let path = storages.path;
    let dict = state_dict::find(pickle, take).map_err(|reason| CheckpointError::NoTensors {
        path: path.into(),
        reason,
    })?;
    let room = storages.source.len();
    let named = || {
        pickle
            .items(dict.number)
            .filter(|&(_, value)| pickle.is_tensor(value))
    };
    let count = named().count();
    if count as u64 > room / BYTES_PER_TENSOR {
        return Err(CheckpointError::Archive {
            path: path.into(),
            problem: format!("{count} tensors in {room} bytes"),
        });
    }
    // A name may be one text of the file, used again and again: each tensor gets a copy.
    let text: u64 = named().map(|(name, _)| name.len() as u64).sum();
    if text > room {
        return Err(CheckpointError::Archive {
            path: path.into(),
            problem: format!("names of {text} bytes in {room}"),
        });
    }
    let mut found = Found {
        format,
        key: dict.key,
        average: dict.average,
        averages: dict.averages,
        others: dict.others,
        ..Found::default()
    };
    let Tidied { names } = tidy(
        named().map(|(name, _)| name).collect(),
        if dict.average { Take::Weights } else { take },
        &mut found,
    )
    .ok_or_else(|| CheckpointError::NoAverage { path: path.into() })?;
    let mut tensors = Vec::with_capacity(names.len());
    for ((_, value), name) in named().zip(names) {
        let Some(name) = name else { continue };
        let layout = layout(pickle, storages, value).map_err(|problem| match problem {
            Problem::Source(error) => error,
            Problem::Tensor(problem) => CheckpointError::Tensor {
                path: path.into(),
                name: name.clone(),
                problem,
            },
        })?;
        tensors.push(Stored { name, layout });
    }
    Ok(Contents {
        tensors,
        found,
        ..Contents::default()
    })
}

/// Why a tensor cannot be read.
enum Problem {
    Source(CheckpointError),
    Tensor(String),
}

impl From<String> for Problem {
    fn from(problem: String) -> Self {
        Self::Tensor(problem)
    }
}

/// What a pickle refers to data by.
pub(crate) struct Reference<'a> {
    pub class: Value,
    pub key: &'a str,
    /// Number of elements.
    pub count: usize,
}

impl<'a> Reference<'a> {
    /// `("storage", class, key, device, elements)`, and before PyTorch 1.6 what of it is viewed: all,
    /// for any version that has Vision Transformers.
    pub(crate) fn of(pickle: &Pickle<'a>, storage: Value) -> Option<Self> {
        let (Value::Storage { .. }, Some([kind, class, key, _, count, view @ ..])) =
            (storage, pickle.tuple(storage))
        else {
            return None;
        };
        let whole = matches!(view, [] | [Value::Other]);
        if pickle.text(*kind) != Some("storage") || !whole {
            return None;
        }
        Some(Self {
            class: *class,
            key: pickle.text(*key)?,
            count: pickle.size(*count)?,
        })
    }
}

/// Where the elements of a pickled tensor are.
fn layout(pickle: &Pickle, storages: &mut Storages, tensor: Value) -> Result<Layout, Problem> {
    let (arguments, element) = rebuild(pickle, tensor)?;
    let malformed = || "it is not made as torch.save makes tensors".to_owned();
    let [storage, offset, shape, strides] = *arguments;
    let sizes = |value| {
        let sizes = pickle.tuple(value).ok_or_else(malformed)?;
        sizes
            .iter()
            .map(|&size| pickle.size(size).ok_or_else(malformed))
            .collect::<Result<Vec<usize>, String>>()
    };
    let (shape, strides) = (sizes(shape)?, sizes(strides)?);
    let offset = pickle.size(offset).ok_or_else(malformed)?;

    let Some(Reference { class, key, count }) = Reference::of(pickle, storage) else {
        return Err(malformed().into());
    };
    let (element, unit) = match (class, element) {
        (Value::Known(Known::Element(of_storage)), None) => (of_storage, of_storage.size()),
        (Value::Known(Known::Element(of_storage)), Some(element)) if of_storage == element => {
            (element, element.size())
        }
        (Value::Known(Known::Untyped), Some(element)) => (element, 1),
        (class, _) => {
            let class = pickle.foreign(class).unwrap_or("another type");
            return Err(format!("elements of {class} are not read").into());
        }
    };

    let (name, block) = storages.locate(key)?;
    let bytes = count.checked_mul(unit).map(|bytes| bytes as u64);
    if bytes != Some(block.len) {
        return Err(format!(
            "its storage, {name}, has {} bytes, expected {count} elements of {unit}",
            block.len
        )
        .into());
    }
    let limit = storages.source.len();
    Ok(Layout::strided(
        element, shape, strides, offset, block, limit,
    )?)
}

/// Storage, offset, shape and strides of a tensor, and the type of its elements if they are given.
fn rebuild<'a>(
    pickle: &'a Pickle,
    tensor: Value,
) -> Result<(&'a [Value; 4], Option<ElementType>), String> {
    let malformed = || "it is not made as torch.save makes tensors".to_owned();
    if let Some(kind) = pickle.foreign(tensor) {
        return Err(format!("tensors made by {kind} are not read"));
    }
    let (mut function, mut arguments) = pickle.call(tensor).ok_or_else(malformed)?;
    for _ in 0..MAX_WRAPPERS {
        let list = pickle.tuple(arguments).ok_or_else(malformed)?;
        let Value::Known(known) = function else {
            let kind = pickle.foreign(function).unwrap_or("another function");
            return Err(format!("tensors made by {kind} are not read"));
        };
        // What a parameter or a tensor with attributes is made of.
        match (known, list) {
            (Known::RebuildParameter, [tensor, ..]) => {
                (function, arguments) = pickle.call(*tensor).ok_or_else(malformed)?;
                continue;
            }
            (Known::RebuildFromType, [inner, _, inner_arguments, ..]) => {
                (function, arguments) = (*inner, *inner_arguments);
                continue;
            }
            _ => {}
        }
        let (first, rest) = list.split_first_chunk::<4>().ok_or_else(malformed)?;
        // requires_grad and hooks come next; what follows them changes what the elements mean.
        let (element, rest) = match (known, rest) {
            (Known::RebuildTensor, rest) => (None, rest.get(2..)),
            (Known::RebuildTensorV3, [_, _, Value::Known(Known::Element(element)), rest @ ..]) => {
                (Some(*element), Some(rest))
            }
            (Known::RebuildTensorV3, _) => {
                return Err("elements of another type are not read".into());
            }
            _ => return Err(malformed()),
        };
        if rest.is_some_and(|rest| !rest.is_empty()) {
            return Err("a conjugated or negated view is not read".into());
        }
        return Ok((first, element));
    }
    Err(malformed())
}
