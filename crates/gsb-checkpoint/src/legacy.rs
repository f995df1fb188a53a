//! What `torch.save` wrote before PyTorch 1.6, and still writes with
//! `_use_new_zipfile_serialization=False`.
//!
//! Pickles one after another: a number that marks the format, its version, the sizes of C's types, the
//! object, the keys of the storages. The storages follow in the order of the keys, each its number of
//! elements in 8 bytes, then the elements.

use std::path::Path;

use crate::contents::Contents;
use crate::layout::Block;
use crate::pickle::{Known, Pickle, Problem, Value};
use crate::rebuild::{Place, Reference, Storages, tensors};
use crate::source::Source;
use crate::{CheckpointError, Format, Take};

/// The pickled number that the format begins with: the operation, its length, the number.
const MAGIC: [u8; 12] = [
    0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19,
];

/// The version of the format, the only one.
const VERSION: Value = Value::Int(1001);

/// Bytes of a pickle that are read at first.
const WINDOW: u64 = 1 << 16;

/// Whether a file that starts so is of this format. What the number is pickled with takes a few bytes.
pub(crate) fn starts(head: &[u8]) -> bool {
    let beginning = &head[..head.len().min(32)];
    beginning.windows(MAGIC.len()).any(|window| window == MAGIC)
}

/// The tensors of the state dict, in its order.
pub(crate) fn open(
    path: &Path,
    source: &mut Source,
    take: Take,
) -> Result<Contents, CheckpointError> {
    let mut at = 0;
    let mut next = |source: &mut Source, part| {
        let bytes = pickle_at(path, source, at, part)?;
        at += bytes.len() as u64;
        Ok::<_, CheckpointError>(bytes)
    };
    next(source, "magic number")?;
    let version = next(source, "version")?;
    let sizes = next(source, "system")?;
    let object = next(source, "object")?;
    let keys = next(source, "keys")?;

    if run(path, &version, "version")?.root() != VERSION {
        return Err(CheckpointError::UnsupportedFormat {
            path: path.into(),
            format: "a version of this format other than 1001".into(),
            remedy: "open it with torch.load and save it again with torch.save",
        });
    }
    let sizes = run(path, &sizes, "system")?;
    let mut system = match sizes.root() {
        Value::Dict(dict) => Some(sizes.items(dict)),
        _ => None,
    }
    .into_iter()
    .flatten();
    if system.any(|entry| entry == ("little_endian", Value::Bool(false))) {
        return Err(CheckpointError::UnsupportedFormat {
            path: path.into(),
            format: "a checkpoint of a big-endian machine".into(),
            remedy: "save it again on a little-endian one",
        });
    }
    let pickle = run(path, &object, "object")?;
    let keys = run(path, &keys, "keys")?;
    let blocks = blocks(path, source, at, &pickle, &keys)?;
    let mut storages = Storages {
        path,
        source,
        place: Place::Sequence(blocks),
    };
    tensors(&pickle, &mut storages, take, Format::Legacy)
}

/// The bytes of the pickle that starts at a place, however long it is.
fn pickle_at(
    path: &Path,
    source: &mut Source,
    at: u64,
    part: &'static str,
) -> Result<Vec<u8>, CheckpointError> {
    let rest = source.len() - at;
    let mut window = WINDOW.min(rest);
    loop {
        let mut bytes = source
            .read(at, window)
            .map_err(|source| CheckpointError::Io {
                path: path.into(),
                source,
            })?;
        let len = match Pickle::run(&bytes) {
            Ok(pickle) => pickle.len(),
            Err(problem) if problem.ends_early && window < rest => {
                window = window.saturating_mul(2).min(rest);
                continue;
            }
            Err(problem) => return Err(broken(path, part, problem)),
        };
        bytes.truncate(len);
        bytes.shrink_to_fit();
        return Ok(bytes);
    }
}

fn run<'a>(
    path: &Path,
    bytes: &'a [u8],
    part: &'static str,
) -> Result<Pickle<'a>, CheckpointError> {
    Pickle::run(bytes).map_err(|problem| broken(path, part, problem))
}

fn broken(path: &Path, part: &str, problem: Problem) -> CheckpointError {
    let hint = match problem.ends_early {
        true => " (the file was cut off: download or copy it again)",
        false => "",
    };
    CheckpointError::Pickle {
        path: path.into(),
        entry: part.into(),
        position: problem.position,
        problem: problem.text + hint,
    }
}

/// Where the data of each key are, sorted by key.
fn blocks<'a>(
    path: &Path,
    source: &mut Source,
    mut at: u64,
    pickle: &Pickle,
    keys: &Pickle<'a>,
) -> Result<Vec<(&'a str, Block)>, CheckpointError> {
    let broken = |problem: String| CheckpointError::Archive {
        path: path.into(),
        problem,
    };
    let mut sizes: Vec<(&str, Option<usize>)> = pickle
        .storages()
        .filter_map(|storage| Reference::of(pickle, storage))
        .map(|reference| (reference.key, size(pickle, reference.class)))
        .collect();
    sizes.sort_unstable();
    sizes.dedup();
    let listed = keys.sequence(keys.root()).unwrap_or_default();
    // Before any place is looked for: each of them follows from those before.
    let mut known = Vec::with_capacity(listed.len());
    let mut seen = vec![false; sizes.len()];
    for &key in listed {
        let key = keys.text(key);
        let key = key.ok_or_else(|| broken("a key of its storages is no text".into()))?;
        let place = sizes.partition_point(|&(known, _)| known < key);
        let size = match sizes.get(place) {
            Some(&(known, size)) if known == key => size,
            _ => return Err(broken(format!("its storage {key:?} is used by no tensor"))),
        };
        if std::mem::replace(&mut seen[place], true) {
            return Err(broken(format!("its storage {key:?} is there twice")));
        }
        let size = size.ok_or_else(|| {
            broken(format!(
                "the elements of its storage {key:?} are of a type not known"
            ))
        })?;
        known.push((key, size));
    }
    let mut blocks = Vec::with_capacity(known.len());
    for (key, size) in known {
        let cut = || {
            broken(format!(
                "its storage {key:?} goes beyond the end: the file was cut off, download or copy it again"
            ))
        };
        let header = source.read(at, 8).map_err(|_| cut())?;
        let count = header.try_into().map_or(0, u64::from_le_bytes);
        let start = at + 8;
        let len = count.checked_mul(size as u64).ok_or_else(cut)?;
        at = start
            .checked_add(len)
            .filter(|&end| end <= source.len())
            .ok_or_else(cut)?;
        blocks.push((
            key,
            Block {
                start,
                len,
                crc32: None,
            },
        ));
    }
    blocks.sort_unstable_by_key(|&(key, _)| key);
    Ok(blocks)
}

/// Bytes of an element of a storage, also of types that are not read, which lie between others.
fn size(pickle: &Pickle, class: Value) -> Option<usize> {
    match class {
        Value::Known(Known::Element(element)) => Some(element.size()),
        Value::Known(Known::Untyped) => Some(1),
        class => match pickle.foreign(class)? {
            "ComplexDoubleStorage" => Some(16),
            "ComplexFloatStorage" => Some(8),
            "QInt32Storage" => Some(4),
            "QInt8Storage" | "QUInt8Storage" | "QUInt4x2Storage" | "QUInt2x4Storage" => Some(1),
            _ => None,
        },
    }
}
