//! The header of a safetensors file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use safetensors::{Dtype, tensor::TensorInfo};
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::contents::{Contents, Stored};
use crate::layout::{Block, Layout};
use crate::names::{Tidied, tidy};
use crate::source::Source;
use crate::{CheckpointError, ElementType, Format, Found, Take};

/// Bytes of the header's length, which the file starts with.
const PREFIX: u64 = 8;

/// The longest header that the format allows.
const MAX_HEADER: u64 = 100_000_000;

/// Whether a file that starts so looks like safetensors: a length, then JSON.
pub(crate) fn starts(head: &[u8]) -> bool {
    let Some((prefix, json)) = head.split_first_chunk::<{ PREFIX as usize }>() else {
        return false;
    };
    u64::from_le_bytes(*prefix) <= MAX_HEADER && json.first() == Some(&b'{')
}

/// The tensors of a file in the order of their data, and its metadata.
pub(crate) fn open(
    path: &Path,
    source: &mut Source,
    take: Take,
) -> Result<Contents, CheckpointError> {
    let io = |source| CheckpointError::Io {
        path: path.into(),
        source,
    };
    let broken = |problem| CheckpointError::Header {
        path: path.into(),
        problem,
    };
    let prefix = source.read(0, PREFIX).map_err(io)?;
    let len = prefix.try_into().map_or(0, u64::from_le_bytes);
    let room = source.len() - PREFIX;
    if len > room {
        return Err(broken(format!(
            "it is said to be {len} bytes long, the file has {room}: it was cut off, download or copy \
             it again"
        )));
    }
    let json = source.read(PREFIX, len).map_err(io)?;
    let mut header = read(&json).map_err(|error| broken(error.to_string()))?;
    header.tensors.sort_by_key(|(_, info)| info.data_offsets);

    let data = PREFIX + len;
    let room = room - len;
    let mut end = 0;
    let mut found = Found {
        format: Format::Safetensors,
        ..Found::default()
    };
    let names = header.tensors.iter().map(|(name, _)| name.as_str());
    let Tidied { names } = tidy(names.collect(), take, &mut found)
        .ok_or_else(|| CheckpointError::NoAverage { path: path.into() })?;
    let mut tensors = Vec::with_capacity(header.tensors.len());
    for ((full, info), name) in header.tensors.into_iter().zip(names) {
        // Also of what is left out: the data of all follow each other.
        let layout = layout(info, data, room, &mut end);
        match (layout, name) {
            (Ok(layout), Some(name)) => tensors.push(Stored { name, layout }),
            (Ok(_), None) => {}
            (Err(problem), _) => {
                return Err(CheckpointError::Tensor {
                    path: path.into(),
                    name: full,
                    problem,
                });
            }
        }
    }
    if end != room {
        return Err(broken(format!(
            "its tensors take {end} bytes, the file has {room} bytes of data"
        )));
    }
    if tensors.is_empty() {
        return Err(CheckpointError::NoTensors {
            path: path.into(),
            reason: "expected tensors by name".into(),
        });
    }
    Ok(Contents {
        tensors,
        metadata: header.metadata,
        found,
    })
}

/// Where the elements of the next tensor are, whose data follow those of the last without a gap.
fn layout(info: TensorInfo, data: u64, room: u64, end: &mut u64) -> Result<Layout, String> {
    let (start, stop) = (info.data_offsets.0 as u64, info.data_offsets.1 as u64);
    if start != *end || stop < start || stop > room {
        return Err(format!(
            "its data are said to be at {start}..{stop}, expected them from {end} on and within the \
             {room} bytes of data{}",
            match stop > room {
                true => ": the file was cut off, download or copy it again",
                false => "",
            }
        ));
    }
    *end = stop;
    let block = Block {
        start: data + start,
        len: stop - start,
        crc32: None,
    };
    Layout::contiguous(element(info.dtype)?, info.shape, block)
}

/// The header as it is written.
///
/// The `safetensors` crate reads it into generic values first, which take many times its length.
#[derive(Default)]
struct Header {
    metadata: BTreeMap<String, String>,
    tensors: Vec<(String, TensorInfo)>,
}

fn read(json: &[u8]) -> Result<Header, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let header = reader.deserialize_map(HeaderVisitor)?;
    reader.end()?;
    Ok(header)
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut header = Header::default();
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                header.metadata = map.next_value()?;
            } else {
                header.tensors.push((name, map.next_value()?));
            }
        }
        Ok(header)
    }
}

fn element(dtype: Dtype) -> Result<ElementType, String> {
    Ok(match dtype {
        Dtype::F64 => ElementType::F64,
        Dtype::F32 => ElementType::F32,
        Dtype::F16 => ElementType::F16,
        Dtype::BF16 => ElementType::BF16,
        Dtype::I64 => ElementType::I64,
        Dtype::I32 => ElementType::I32,
        Dtype::I16 => ElementType::I16,
        Dtype::I8 => ElementType::I8,
        Dtype::U32 => ElementType::U32,
        Dtype::U16 => ElementType::U16,
        Dtype::U8 => ElementType::U8,
        Dtype::BOOL => ElementType::Bool,
        other => return Err(format!("elements of type {other} are not read")),
    })
}
