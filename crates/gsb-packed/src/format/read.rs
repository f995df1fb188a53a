//! Reading a packed file. Nothing in it is trusted: a tensor's type and shape are compared with what
//! the configuration asks for before its values are looked at.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use half::f16;
use memmap2::Mmap;
#[cfg(feature = "rayon")]
use rayon::iter::ParallelIterator;
use safetensors::tensor::{Metadata, TensorView};
use safetensors::{Dtype, SafeTensors};
use serde::de::DeserializeOwned;

use super::checksum;
use super::contents::{FORMAT, FORMAT_VERSION, PackedFile};
use crate::layout::{Kind, Source, Tensor};
use crate::validate::Checked;
use crate::{Block, Error, PackedConfig, PackedNetwork, SignMatrix, levels};

/// The version of the format that has no checksum.
const UNSEALED: &str = "1";

/// What is made of the bytes of a file.
pub(crate) fn with_bytes<T>(
    path: &Path,
    make: impl FnOnce(&[u8]) -> Result<T, Error>,
) -> Result<T, Error> {
    map(path)
        .and_then(|bytes| make(&bytes))
        .map_err(|error| error.of_file(path))
}

/// The bytes of a file, mapped into memory.
fn map(path: &Path) -> Result<Mmap, Error> {
    let io = |action| move |source| Error::Io { action, source };
    let file = File::open(path).map_err(io("open it"))?;
    // Files that this crate writes are never changed in place but replaced, which leaves a map as it is.
    #[allow(unsafe_code)]
    // SAFETY: sound as long as nobody changes the file in place or cuts it short while it is read,
    // which `PackedFile::open` and `PackedModel::open` ask of their callers. No borrow outlives the
    // reading: everything is copied out of the map.
    unsafe { Mmap::map(&file) }.map_err(io("map it"))
}

/// The contents of a file's bytes.
pub(super) fn read(bytes: &[u8]) -> Result<PackedFile, Error> {
    let (mut packed, blocks) = read_blocks(bytes, |_| Ok(()), |_, block| block)?;
    packed.network.blocks = blocks;
    Ok(packed)
}

/// The contents of a file's bytes, and what is made of each block as soon as it is read: so only a few are
/// in memory at once, in the same places. The configuration is looked at first.
pub(crate) fn read_blocks<T: Send>(
    bytes: &[u8],
    look: impl FnOnce(&PackedConfig) -> Result<(), Error>,
    make: impl Fn(&PackedConfig, Block) -> T + Sync,
) -> Result<(PackedFile, Vec<T>), Error> {
    let is_sealed = checksum::check(bytes)?;
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    let config: PackedConfig = {
        let format = entry(&header, "format").ok();
        if format != Some(FORMAT) {
            let found = format.map_or("missing".into(), |format| format!("{format:?}"));
            return Err(Error::NotPacked { found });
        }
        let found = entry(&header, "version")?;
        if !(1..=FORMAT_VERSION).any(|known| found == known.to_string()) {
            let (found, known) = (found.to_string(), FORMAT_VERSION);
            return Err(Error::Version { found, known });
        }
        if found != UNSEALED && !is_sealed {
            return Err(Error::Damaged);
        }
        json(&header, "config")?
    };
    config.validate()?;
    look(&config)?;
    let file = SafeTensors::deserialize(bytes)?;
    let tensors = || Tensors {
        file: &file,
        read: HashSet::new(),
    };
    let mut ends = tensors();
    let packed = PackedFile {
        class_names: json(&header, "class_names")?,
        preprocessing: json(&header, "preprocessing")?,
        provenance: json(&header, "provenance")?,
        network: PackedNetwork::build_ends(&config, &mut Checked(&mut ends))?,
    };
    packed.validate_rest()?;
    let block = |index| {
        let mut tensors = tensors();
        let block = Block::build_checked(&config, index, &mut tensors)?;
        Ok((make(&config, block), tensors.read))
    };
    #[cfg(feature = "rayon")]
    let blocks = rayon::iter::IntoParallelIterator::into_par_iter(0..config.depth);
    #[cfg(not(feature = "rayon"))]
    let blocks = 0..config.depth;
    let blocks: Vec<Result<_, Error>> = blocks.map(block).collect();
    let mut made = Vec::with_capacity(config.depth);
    // The error of the first that has one, whichever came first.
    for block in blocks {
        let (block, read) = block?;
        made.push(block);
        ends.read.extend(read);
    }
    let unread = file
        .names()
        .into_iter()
        .filter(|&name| !ends.read.contains(name));
    match unread.min() {
        None => Ok((packed, made)),
        Some(tensor) => Err(Error::UnknownTensor {
            tensor: tensor.into(),
        }),
    }
}

fn entry<'a>(header: &'a Metadata, key: &'static str) -> Result<&'a str, Error> {
    let entries = header.metadata().as_ref();
    let value = entries.and_then(|entries| entries.get(key));
    value.map(String::as_str).ok_or_else(|| Error::Metadata {
        key,
        reason: "missing".into(),
    })
}

fn json<T: DeserializeOwned>(header: &Metadata, key: &'static str) -> Result<T, Error> {
    serde_json::from_str(entry(header, key)?).map_err(|error| Error::Metadata {
        key,
        reason: error.to_string(),
    })
}

struct Tensors<'a> {
    file: &'a SafeTensors<'a>,
    /// The names of the tensors that have been read.
    read: HashSet<String>,
}

impl Source for Tensors<'_> {
    fn floats(&mut self, tensor: &Tensor<'_>) -> Result<Vec<f32>, Error> {
        let name = tensor.name();
        match tensor.kind {
            Kind::AttentionShift => self.shift(tensor),
            Kind::RowScales if self.view(&name)?.shape() == [1] => self.values(&name, &[1]),
            _ => self.values(&name, tensor.shape),
        }
    }

    fn levels(&mut self, tensor: &Tensor<'_>, bits: u8) -> Result<Vec<i8>, Error> {
        let (name, len) = (tensor.name(), tensor.len());
        match bits {
            1 => Ok(levels::from_signs(&self.matrix(tensor, [1, len])?)),
            8 => {
                let bytes = self.bytes(&name, Dtype::I8, tensor.shape)?;
                Ok(bytes.iter().map(|&level| level as i8).collect())
            }
            bits => {
                let packed = [levels::packed_len(len, bits)];
                let bytes = self.bytes(&name, Dtype::U8, &packed)?;
                Ok(levels::unpack(bytes, len, bits))
            }
        }
    }

    fn signs(&mut self, tensor: &Tensor<'_>) -> Result<SignMatrix, Error> {
        self.matrix(tensor, tensor.matrix())
    }
}

impl<'a> Tensors<'a> {
    fn shift(&mut self, tensor: &Tensor<'_>) -> Result<Vec<f32>, Error> {
        let (name, shape) = (tensor.name(), tensor.shape);
        match self.view(&name)?.dtype() {
            Dtype::F16 => {
                let bytes = self.bytes(&name, Dtype::F16, shape)?;
                let halves = bytes.as_chunks::<2>().0;
                Ok(halves
                    .iter()
                    .map(|&half| f16::from_le_bytes(half).to_f32())
                    .collect())
            }
            Dtype::I8 => {
                let bytes = self.bytes(&name, Dtype::I8, shape)?;
                let scales = self.values(&tensor.scale_name(), &shape[..1])?;
                let rows = bytes.chunks(bytes.len() / scales.len()).zip(scales);
                let value = |&byte: &u8, scale| f32::from(byte as i8) * scale;
                Ok(rows
                    .flat_map(|(row, scale)| row.iter().map(move |byte| value(byte, scale)))
                    .collect())
            }
            _ => self.values(&name, shape),
        }
    }

    fn matrix(
        &mut self,
        tensor: &Tensor<'_>,
        [rows, columns]: [usize; 2],
    ) -> Result<SignMatrix, Error> {
        let name = tensor.name();
        let bits = self.bytes(&name, Dtype::U8, &[(rows * columns).div_ceil(8)])?;
        let zeros_name = tensor.zeros_name();
        let zeros = match self.file.tensor(&zeros_name) {
            Err(_) => Vec::new(),
            Ok(view) => {
                let len = view.shape().iter().product();
                let bytes = self.bytes(&zeros_name, Dtype::U32, &[len])?;
                let zeros = bytes.as_chunks::<4>().0;
                zeros.iter().map(|&zero| u32::from_le_bytes(zero)).collect()
            }
        };
        SignMatrix::from_bits(rows, columns, bits.to_vec(), zeros).map_err(|error| match error {
            Error::Value {
                value,
                index,
                expected,
                ..
            } => Error::Value {
                tensor: name,
                value,
                index,
                expected,
            },
            error => error,
        })
    }

    fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let bytes = self.bytes(name, Dtype::F32, shape)?;
        Ok(bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&value| f32::from_le_bytes(value))
            .collect())
    }

    /// The bytes of a tensor that has this type and shape, so their number is known.
    fn bytes(&mut self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<&'a [u8], Error> {
        let view = self.view(name)?;
        if view.dtype() != dtype || view.shape() != shape {
            return Err(Error::Tensor {
                tensor: name.into(),
                found: format!("{:?} {:?}", view.dtype(), view.shape()),
                expected: format!("{dtype:?} {shape:?}"),
            });
        }
        self.read.insert(name.into());
        Ok(view.data())
    }

    fn view(&self, name: &str) -> Result<TensorView<'a>, Error> {
        self.file.tensor(name).map_err(|_| Error::MissingTensor {
            tensor: name.into(),
        })
    }
}
