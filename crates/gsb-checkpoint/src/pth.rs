//! The zip archive that `torch.save` writes since PyTorch 1.6.

use std::path::Path;

use crate::archive::Archive;
use crate::contents::Contents;
use crate::foreign::archive_refusal;
use crate::pickle::Pickle;
use crate::rebuild::{Place, Storages, tensors};
use crate::source::Source;
use crate::{CheckpointError, Format, Take};

/// The tensors of the state dict, in its order.
pub(crate) fn open(
    path: &Path,
    source: &mut Source,
    take: Take,
) -> Result<Contents, CheckpointError> {
    let archive = Archive::open(source).map_err(|problem| problem.of(path))?;
    let root = root(path, &archive)?;
    if archive
        .names()
        .any(|name| name == format!("{root}constants.pkl"))
    {
        return Err(CheckpointError::UnsupportedFormat {
            path: path.into(),
            format: "a TorchScript archive".into(),
            remedy: "save its weights with torch.save(torch.jit.load(FILE).state_dict(), NEW)",
        });
    }
    let order = entry(path, source, &archive, &format!("{root}byteorder"))?;
    if order.is_some_and(|order| order != b"little") {
        return Err(CheckpointError::UnsupportedFormat {
            path: path.into(),
            format: "a checkpoint of a big-endian machine".into(),
            remedy: "save it again on a little-endian one",
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
        place: Place::Archive { archive, root },
    };
    tensors(&pickle, &mut storages, take, Format::Torch)
}

/// The folder of the archive that everything is in, with its slash.
fn root(path: &Path, archive: &Archive) -> Result<String, CheckpointError> {
    let roots = archive.names().filter_map(|name| {
        let root = name.strip_suffix("data.pkl")?;
        (root.is_empty() || root.find('/') == Some(root.len() - 1)).then_some(root)
    });
    let mut roots: Vec<&str> = roots.collect();
    roots.sort_unstable();
    match roots[..] {
        [] => Err(archive_refusal(path, archive)),
        [root] => Ok(root.to_owned()),
        [first, second, ..] => Err(CheckpointError::Archive {
            path: path.into(),
            problem: format!("two pickles, {first}data.pkl and {second}data.pkl, expected one"),
        }),
    }
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
        .map_err(|problem| problem.of(path))?
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
