//! Reading a packed file. Nothing in it is trusted: a tensor's type and shape are compared with what
//! the configuration asks for before its values are looked at.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use half::f16;
use memmap2::Mmap;
use safetensors::tensor::{Metadata, TensorView};
use safetensors::{Dtype, SafeTensors};
use serde::de::DeserializeOwned;

use super::names::{FORMAT, block, part};
use super::{FORMAT_VERSION, PackedFile, checksum, levels};
use crate::{
    Attention, BinaryLinear, Block, Error, Head, LayerNorm, Network, PackedConfig, PatchEmbedding,
    SignMatrix,
};

/// The version of the format that has no checksum.
const UNSEALED: &str = "1";

/// The bytes of a file, mapped into memory.
pub(super) fn map(path: &Path) -> Result<Mmap, Error> {
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
    let tensors = Tensors {
        file: SafeTensors::deserialize(bytes)?,
        read: RefCell::default(),
    };
    let packed = PackedFile {
        class_names: json(&header, "class_names")?,
        preprocessing: json(&header, "preprocessing")?,
        provenance: json(&header, "provenance")?,
        network: tensors.network(config)?,
    };
    let read = tensors.read.borrow();
    let unread = tensors
        .file
        .names()
        .into_iter()
        .filter(|&name| !read.contains(name));
    match unread.min() {
        None => Ok(packed),
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
    file: SafeTensors<'a>,
    /// The names of the tensors that have been read.
    read: RefCell<HashSet<String>>,
}

impl<'a> Tensors<'a> {
    fn network(&self, config: PackedConfig) -> Result<Network, Error> {
        let width = config.width;
        let shape = [width, config.channels, config.patch_size, config.patch_size];
        Ok(Network {
            patch_embedding: PatchEmbedding {
                weight: self.levels("patch_embedding", &shape, config.patch_bits)?,
                scales: self.list("patch_embedding", "scales", width)?,
                bias: self.list("patch_embedding", "bias", width)?,
            },
            class_token: self.list("tokens", "class_token", width)?,
            distillation_token: config
                .distillation_token
                .then(|| self.list("tokens", "distillation_token", width))
                .transpose()?,
            positions: self.floats("tokens.position", &[config.tokens(), width])?,
            blocks: (0..config.depth)
                .map(|index| self.block(&block(index), &config))
                .collect::<Result<_, _>>()?,
            norm: self.norm("norm", width)?,
            class_head: self.head("class_head", &config)?,
            distillation_head: config
                .distillation_token
                .then(|| self.head("distillation_head", &config))
                .transpose()?,
            config,
        })
    }

    fn block(&self, name: &str, config: &PackedConfig) -> Result<Block, Error> {
        let (width, hidden) = (config.width, config.mlp_width);
        Ok(Block {
            norm1: self.norm(&part(name, "norm1"), width)?,
            attention: self.attention(&part(name, "attention"), config)?,
            norm2: self.norm(&part(name, "norm2"), width)?,
            fc1: self.linear(&part(name, "mlp.fc1"), width, hidden)?,
            fc2: self.linear(&part(name, "mlp.fc2"), hidden, width)?,
        })
    }

    fn attention(&self, layer: &str, config: &PackedConfig) -> Result<Attention, Error> {
        let width = config.width;
        let shifts = part(layer, "shifts");
        let scores = part(layer, "scores");
        let attended = part(layer, "attended");
        Ok(Attention {
            qkv: self.linear(&part(layer, "qkv"), width, 3 * width)?,
            query_shift: self.list(&shifts, "query", width)?,
            key_shift: self.list(&shifts, "key", width)?,
            value_shift: self.list(&shifts, "value", width)?,
            query_scale: self.number(&scores, "query_scale")?,
            key_scale: self.number(&scores, "key_scale")?,
            value_scales: self.list(&attended, "value_scales", config.value_groups)?,
            attention_shift: self.shift(&part(layer, "attention_shift"), config)?,
            attention_scales: self.list(&attended, "attention_scales", config.attention_groups)?,
            output: self.linear(&part(layer, "output"), width, width)?,
        })
    }

    fn norm(&self, layer: &str, width: usize) -> Result<LayerNorm, Error> {
        Ok(LayerNorm {
            gamma: self.list(layer, "gamma", width)?,
            beta: self.list(layer, "beta", width)?,
        })
    }

    fn linear(&self, layer: &str, inputs: usize, outputs: usize) -> Result<BinaryLinear, Error> {
        let per_output = self.file.tensor(&part(layer, "weight_scale"));
        let scales = match per_output {
            Ok(view) if view.shape() == [1] => 1,
            _ => outputs,
        };
        Ok(BinaryLinear {
            weight: self.signs(layer, outputs, inputs)?,
            weight_scale: self.list(layer, "weight_scale", scales)?,
            input_shift: self.list(layer, "shift", inputs)?,
            input_scale: self.number(layer, "input_scale")?,
            bias: self.list(layer, "bias", outputs)?,
        })
    }

    fn head(&self, layer: &str, config: &PackedConfig) -> Result<Head, Error> {
        Ok(Head {
            weight: self.levels(layer, &[config.classes, config.width], config.head_bits)?,
            weight_scale: self.number(layer, "weight_scale")?,
            input_shift: self.list(layer, "shift", config.width)?,
            input_scale: self.number(layer, "input_scale")?,
            bias: self.list(layer, "bias", config.classes)?,
        })
    }

    fn shift(&self, layer: &str, config: &PackedConfig) -> Result<Vec<f32>, Error> {
        let (heads, tokens) = (config.heads, config.tokens());
        let shape = [heads, tokens, tokens];
        let name = part(layer, "bias");
        match self.view(&name)?.dtype() {
            Dtype::F16 => {
                let bytes = self.bytes(&name, Dtype::F16, &shape)?;
                let halves = bytes.as_chunks::<2>().0;
                Ok(halves
                    .iter()
                    .map(|&half| f16::from_le_bytes(half).to_f32())
                    .collect())
            }
            Dtype::I8 => {
                let bytes = self.bytes(&name, Dtype::I8, &shape)?;
                let scales = self.list(layer, "scale", heads)?;
                let rows = bytes.chunks(tokens * tokens).zip(scales);
                let value = |&byte: &u8, scale| f32::from(byte as i8) * scale;
                Ok(rows
                    .flat_map(|(row, scale)| row.iter().map(move |byte| value(byte, scale)))
                    .collect())
            }
            _ => self.floats(&name, &shape),
        }
    }

    fn levels(&self, layer: &str, shape: &[usize], bits: u8) -> Result<Vec<i8>, Error> {
        let len = shape.iter().product();
        let name = part(layer, "weight");
        match bits {
            1 => Ok(levels::from_signs(&self.signs(layer, 1, len)?)),
            8 => {
                let bytes = self.bytes(&name, Dtype::I8, shape)?;
                Ok(bytes.iter().map(|&level| level as i8).collect())
            }
            bits => {
                let packed = [levels::packed_len(len, bits)];
                Ok(levels::unpack(
                    self.bytes(&name, Dtype::U8, &packed)?,
                    len,
                    bits,
                ))
            }
        }
    }

    fn signs(&self, layer: &str, rows: usize, columns: usize) -> Result<SignMatrix, Error> {
        let name = part(layer, "weight");
        let bits = self.bytes(&name, Dtype::U8, &[(rows * columns).div_ceil(8)])?;
        let zeros_name = part(layer, "weight.zeros");
        let zeros = match self.file.tensor(&zeros_name) {
            Err(_) => Vec::new(),
            Ok(view) => {
                let len = view.shape().iter().product();
                let bytes = self.bytes(&zeros_name, Dtype::U32, &[len])?;
                bytes
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .map(|&zero| u32::from_le_bytes(zero))
                    .collect()
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

    fn number(&self, layer: &str, name: &str) -> Result<f32, Error> {
        Ok(self.list(layer, name, 1)?[0])
    }

    fn list(&self, layer: &str, name: &str, len: usize) -> Result<Vec<f32>, Error> {
        self.floats(&part(layer, name), &[len])
    }

    fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let bytes = self.bytes(name, Dtype::F32, shape)?;
        Ok(bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&value| f32::from_le_bytes(value))
            .collect())
    }

    /// The bytes of a tensor that has this type and shape, so their number is known.
    fn bytes(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<&[u8], Error> {
        let view = self.view(name)?;
        if view.dtype() != dtype || view.shape() != shape {
            return Err(Error::Tensor {
                tensor: name.into(),
                found: format!("{:?} {:?}", view.dtype(), view.shape()),
                expected: format!("{dtype:?} {shape:?}"),
            });
        }
        self.read.borrow_mut().insert(name.into());
        Ok(view.data())
    }

    fn view(&self, name: &str) -> Result<TensorView<'_>, Error> {
        self.file.tensor(name).map_err(|_| Error::MissingTensor {
            tensor: name.into(),
        })
    }
}
