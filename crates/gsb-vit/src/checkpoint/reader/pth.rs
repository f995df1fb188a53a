//! The state dict in a `.pth` file.

use std::path::Path;

use super::archive::{self, Archive};
use super::file::Tensor;
use super::layout::Layout;
use super::pickle::{Known, Pickle, Value};
use super::source::Source;
use super::{CheckpointError, ElementType};

/// Where training scripts keep the state dict, in the order in which it is looked for.
const STATE_DICTS: [&str; 2] = ["model", "state_dict"];

/// What `DistributedDataParallel` puts before every name.
const PARALLEL: &str = "module.";

/// Bytes of a file that a tensor takes at least, its data apart: what the pickle says of it.
///
/// It is 60 in fact. The limit keeps a hostile file from naming one tensor over and over, as what is
/// stored of a tensor takes more memory than a name.
const BYTES_PER_TENSOR: u64 = 32;

/// How often a tensor may be wrapped, as parameters and tensors with attributes are.
const MAX_WRAPPERS: usize = 4;

/// The tensors of the state dict, in its order.
pub(super) fn open(path: &Path, source: &mut Source) -> Result<Vec<Tensor>, CheckpointError> {
    let archive = Archive::open(source).map_err(|problem| archive_error(path, problem))?;
    let root = root(path, &archive)?;
    if archive
        .names()
        .any(|name| name == format!("{root}constants.pkl"))
    {
        return Err(CheckpointError::UnsupportedFormat {
            path: path.into(),
            format: "a TorchScript archive",
            expected: "torch.save of the state dict",
        });
    }
    let order = entry(path, source, &archive, &format!("{root}byteorder"))?;
    if order.is_some_and(|order| order != b"little") {
        return Err(CheckpointError::UnsupportedFormat {
            path: path.into(),
            format: "a checkpoint of a big-endian machine",
            expected: "byteorder little",
        });
    }
    let name = format!("{root}data.pkl");
    let bytes = entry(path, source, &archive, &name)?.unwrap_or_default();
    let pickle = Pickle::run(&bytes).map_err(|problem| CheckpointError::Pickle {
        path: path.into(),
        entry: name,
        position: problem.position,
        problem: problem.text,
    })?;
    let mut storages = Storages {
        path,
        source,
        archive,
        root,
    };
    tensors(&pickle, &mut storages)
}

fn archive_error(path: &Path, problem: archive::Problem) -> CheckpointError {
    let path = path.into();
    match problem {
        archive::Problem::Io(source) => CheckpointError::Io { path, source },
        archive::Problem::Archive(problem) => CheckpointError::Archive { path, problem },
    }
}

/// The folder of the archive that everything is in, with its slash.
fn root(path: &Path, archive: &Archive) -> Result<String, CheckpointError> {
    archive
        .names()
        .filter_map(|name| name.strip_suffix("data.pkl"))
        .find(|root| root.is_empty() || root.find('/') == Some(root.len() - 1))
        .map(str::to_owned)
        .ok_or_else(|| CheckpointError::Archive {
            path: path.into(),
            problem: "a zip archive without an entry \"data.pkl\", expected one of torch.save"
                .into(),
        })
}

/// The bytes of an entry, if there is one.
fn entry(
    path: &Path,
    source: &mut Source,
    archive: &Archive,
    name: &str,
) -> Result<Option<Vec<u8>>, CheckpointError> {
    let io = |source| CheckpointError::Io {
        path: path.into(),
        source,
    };
    let Some(block) = archive
        .locate(source, name)
        .map_err(|problem| archive_error(path, problem))?
    else {
        return Ok(None);
    };
    if !source.is_intact(&block).map_err(io)? {
        return Err(CheckpointError::Archive {
            path: path.into(),
            problem: format!("entry {name:?} is damaged: it does not have the checksum stated"),
        });
    }
    source.read(block.start, block.len).map(Some).map_err(io)
}

/// The tensors of the state dict in a pickle.
fn tensors(pickle: &Pickle, storages: &mut Storages) -> Result<Vec<Tensor>, CheckpointError> {
    let none = |expected| CheckpointError::NoTensors {
        path: storages.path.into(),
        expected,
    };
    let Value::Dict(root) = pickle.root() else {
        return Err(none(
            "expected a dictionary of tensors, not a single object: save the state_dict of a model",
        ));
    };
    let nested = STATE_DICTS.iter().find_map(|&name| {
        pickle.items(root).find_map(|(key, value)| match value {
            Value::Dict(dict) if key == name => Some(dict),
            _ => None,
        })
    });
    let dict = nested.unwrap_or(root);

    let room = storages.source.len() / BYTES_PER_TENSOR;
    let is_tensor = |value| matches!(value, Value::Call(_));
    let named = || {
        pickle
            .items(dict)
            .filter(|&(_, value)| is_tensor(value) || is_unread_tensor(pickle, value))
    };
    let count = named().count();
    if count as u64 > room {
        return Err(CheckpointError::Archive {
            path: storages.path.into(),
            problem: format!("{count} tensors in {} bytes", storages.source.len()),
        });
    }
    // A name may be one text of the file, used again and again: each tensor gets a copy.
    let text: u64 = named().map(|(name, _)| name.len() as u64).sum();
    if text > storages.source.len() {
        return Err(CheckpointError::Archive {
            path: storages.path.into(),
            problem: format!("names of {text} bytes in {}", storages.source.len()),
        });
    }
    let prefix = match named().all(|(name, _)| name.starts_with(PARALLEL)) {
        true => PARALLEL,
        false => "",
    };
    let tensors = named()
        .map(|(name, value)| {
            let name = name.strip_prefix(prefix).unwrap_or(name);
            let layout = layout(pickle, storages, value).map_err(|problem| match problem {
                Problem::Source(error) => error,
                Problem::Tensor(problem) => CheckpointError::Tensor {
                    path: storages.path.into(),
                    name: name.into(),
                    problem,
                },
            })?;
            Ok(Tensor {
                name: name.into(),
                layout,
            })
        })
        .collect::<Result<Vec<_>, CheckpointError>>()?;
    if tensors.is_empty() {
        return Err(none(
            "expected tensors by name, at the top or under \"model\" or \"state_dict\"",
        ));
    }
    Ok(tensors)
}

/// Whether a value is a tensor of a kind that is not read, such as a sparse one.
fn is_unread_tensor(pickle: &Pickle, value: Value) -> bool {
    matches!(value, Value::Object(_))
        && pickle
            .foreign(value)
            .is_some_and(|name| name.starts_with("_rebuild"))
}

/// The entries with the tensors' data.
struct Storages<'a> {
    path: &'a Path,
    source: &'a mut Source,
    archive: Archive,
    root: String,
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

    // ("storage", class, key, device, number of elements)
    let Some(&[kind, class, key, _, count]) = pickle
        .tuple(storage)
        .filter(|_| matches!(storage, Value::Storage { .. }))
    else {
        return Err(malformed().into());
    };
    let (Some("storage"), Some(key), Some(count)) =
        (pickle.text(kind), pickle.text(key), pickle.size(count))
    else {
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

    let name = format!("{}data/{key}", storages.root);
    let block = storages
        .archive
        .locate(storages.source, &name)
        .map_err(|problem| Problem::Source(archive_error(storages.path, problem)))?
        .ok_or_else(|| format!("its storage, entry {name:?}, is missing"))?;
    let bytes = count.checked_mul(unit).map(|bytes| bytes as u64);
    if bytes != Some(block.len) {
        return Err(format!(
            "its storage, entry {name:?}, has {} bytes, expected {count} elements of {unit}",
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
