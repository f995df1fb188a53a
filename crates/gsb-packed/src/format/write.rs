//! Writing a packed file.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

use half::f16;
use safetensors::{Dtype, View};
use serde::Deserialize;

use super::names::{FORMAT, block, part};
use super::{FORMAT_VERSION, PackedFile, ShiftStorage, checksum, levels};
use crate::{Attention, BinaryLinear, Error, Head, LayerNorm, PackedConfig, SignMatrix};

/// The bytes of a file.
pub(super) fn bytes(packed: &PackedFile, shifts: ShiftStorage) -> Result<Vec<u8>, Error> {
    let network = &packed.network;
    let config = &network.config;
    let width = config.width;
    let mut out = Tensors::default();

    let patch = &network.patch_embedding;
    let shape = [width, config.channels, config.patch_size, config.patch_size];
    out.levels("patch_embedding", &patch.weight, &shape, config.patch_bits)?;
    out.floats("patch_embedding.scales", &patch.scales, &[width]);
    out.floats("patch_embedding.bias", &patch.bias, &[width]);
    out.floats("tokens.class_token", &network.class_token, &[width]);
    if let Some(token) = &network.distillation_token {
        out.floats("tokens.distillation_token", token, &[width]);
    }
    out.floats(
        "tokens.position",
        &network.positions,
        &[config.tokens(), width],
    );
    for (index, layers) in network.blocks.iter().enumerate() {
        let name = block(index);
        out.norm(&part(&name, "norm1"), &layers.norm1);
        out.attention(&part(&name, "attention"), &layers.attention, config, shifts)?;
        out.norm(&part(&name, "norm2"), &layers.norm2);
        out.linear(&part(&name, "mlp.fc1"), &layers.fc1);
        out.linear(&part(&name, "mlp.fc2"), &layers.fc2);
    }
    out.norm("norm", &network.norm);
    out.head("class_head", &network.class_head, config)?;
    if let Some(head) = &network.distillation_head {
        out.head("distillation_head", head, config)?;
    }
    let mut bytes = safetensors::serialize(out.0, Some(metadata(packed)))?;
    order_metadata(&mut bytes);
    checksum::seal(&mut bytes);
    Ok(bytes)
}

fn metadata(packed: &PackedFile) -> HashMap<String, String> {
    let json =
        |value: serde_json::Result<String>| value.expect("strings, numbers and lists of them");
    [
        ("checksum", checksum::UNKNOWN.to_string()),
        ("format", FORMAT.to_string()),
        ("version", FORMAT_VERSION.to_string()),
        (
            "config",
            json(serde_json::to_string(&packed.network.config)),
        ),
        (
            "class_names",
            json(serde_json::to_string(&packed.class_names)),
        ),
        (
            "preprocessing",
            json(serde_json::to_string(&packed.preprocessing)),
        ),
        (
            "provenance",
            json(serde_json::to_string(&packed.provenance)),
        ),
    ]
    .map(|(key, value)| (key.to_string(), value))
    .into()
}

/// Puts the entries of the metadata in order, which the serializer does not: the same contents are to be
/// the same bytes. The header keeps its length, as its entries do.
fn order_metadata(bytes: &mut [u8]) {
    let (length, rest) = bytes.split_at_mut(8);
    let length = u64::from_le_bytes(length.try_into().expect("8 bytes")) as usize;
    let header = &mut rest[..length];
    let parsed: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(header).expect("a header that was just written");
    let ordered: BTreeMap<&String, BTreeMap<String, serde_json::Value>> = parsed
        .iter()
        .map(|(name, entries)| (name, BTreeMap::deserialize(entries).expect("an object")))
        .collect();
    let text = serde_json::to_vec(&ordered).expect("strings, numbers and lists of them");
    header[..text.len()].copy_from_slice(&text);
}

/// Puts the bytes of a file in place: a failure leaves what was there before.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let action = "write it";
    gsb_files::replace(path, |file| file.write_all(bytes))
        .map_err(|source| Error::Io { action, source })
}

/// A tensor of a file.
struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for Tensor {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

#[derive(Default)]
struct Tensors(Vec<(String, Tensor)>);

impl Tensors {
    fn push(&mut self, name: impl Into<String>, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) {
        let shape = shape.to_vec();
        self.0.push((
            name.into(),
            Tensor {
                dtype,
                shape,
                bytes,
            },
        ));
    }

    fn floats(&mut self, name: impl Into<String>, values: &[f32], shape: &[usize]) {
        let bytes = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.push(name, Dtype::F32, shape, bytes);
    }

    fn list(&mut self, layer: &str, name: &str, values: &[f32]) {
        self.floats(part(layer, name), values, &[values.len()]);
    }

    fn signs(&mut self, layer: &str, signs: &SignMatrix) {
        let bits = signs.bits();
        self.push(
            part(layer, "weight"),
            Dtype::U8,
            &[bits.len()],
            bits.to_vec(),
        );
        let zeros = signs.zeros();
        if !zeros.is_empty() {
            let bytes = zeros.iter().flat_map(|zero| zero.to_le_bytes()).collect();
            self.push(
                part(layer, "weight.zeros"),
                Dtype::U32,
                &[zeros.len()],
                bytes,
            );
        }
    }

    fn levels(
        &mut self,
        layer: &str,
        values: &[i8],
        shape: &[usize],
        bits: u8,
    ) -> Result<(), Error> {
        let name = part(layer, "weight");
        match bits {
            1 => self.signs(layer, &levels::to_signs(values)?),
            8 => self.push(name, Dtype::I8, shape, levels::pack(values, 8)),
            bits => {
                let bytes = levels::pack(values, bits);
                self.push(name, Dtype::U8, &[bytes.len()], bytes);
            }
        }
        Ok(())
    }

    fn norm(&mut self, layer: &str, norm: &LayerNorm) {
        self.list(layer, "gamma", &norm.gamma);
        self.list(layer, "beta", &norm.beta);
    }

    fn linear(&mut self, layer: &str, linear: &BinaryLinear) {
        self.signs(layer, &linear.weight);
        self.list(layer, "weight_scale", &linear.weight_scale);
        self.list(layer, "shift", &linear.input_shift);
        self.list(layer, "input_scale", &[linear.input_scale]);
        self.list(layer, "bias", &linear.bias);
    }

    fn head(&mut self, layer: &str, head: &Head, config: &PackedConfig) -> Result<(), Error> {
        let shape = [config.classes, config.width];
        self.levels(layer, &head.weight, &shape, config.head_bits)?;
        self.list(layer, "weight_scale", &[head.weight_scale]);
        self.list(layer, "shift", &head.input_shift);
        self.list(layer, "input_scale", &[head.input_scale]);
        self.list(layer, "bias", &head.bias);
        Ok(())
    }

    fn attention(
        &mut self,
        layer: &str,
        attention: &Attention,
        config: &PackedConfig,
        storage: ShiftStorage,
    ) -> Result<(), Error> {
        self.linear(&part(layer, "qkv"), &attention.qkv);
        let shifts = part(layer, "shifts");
        self.list(&shifts, "query", &attention.query_shift);
        self.list(&shifts, "key", &attention.key_shift);
        self.list(&shifts, "value", &attention.value_shift);
        let scores = part(layer, "scores");
        self.list(&scores, "query_scale", &[attention.query_scale]);
        self.list(&scores, "key_scale", &[attention.key_scale]);
        self.shift(
            &part(layer, "attention_shift"),
            &attention.attention_shift,
            config,
            storage,
        )?;
        let attended = part(layer, "attended");
        self.list(&attended, "attention_scales", &attention.attention_scales);
        self.list(&attended, "value_scales", &attention.value_scales);
        self.linear(&part(layer, "output"), &attention.output);
        Ok(())
    }

    /// Refuses values that would be infinite when they are read.
    fn shift(
        &mut self,
        layer: &str,
        values: &[f32],
        config: &PackedConfig,
        storage: ShiftStorage,
    ) -> Result<(), Error> {
        let (heads, tokens) = (config.heads, config.tokens());
        let shape = [heads, tokens, tokens];
        let name = part(layer, "bias");
        let refuse = |index: usize, expected| {
            Err(Error::Value {
                tensor: name.clone(),
                value: values[index].to_string(),
                index,
                expected,
            })
        };
        match storage {
            ShiftStorage::F32 => self.floats(name, values, &shape),
            ShiftStorage::F16 => {
                if let Some(index) = values
                    .iter()
                    .position(|&value| !f16::from_f32(value).is_finite())
                {
                    return refuse(
                        index,
                        "a number of magnitude below 65520, for 16-bit floats",
                    );
                }
                let bytes = values
                    .iter()
                    .flat_map(|&value| f16::from_f32(value).to_le_bytes())
                    .collect();
                self.push(name, Dtype::F16, &shape, bytes);
            }
            ShiftStorage::I8 => {
                let rows = values.chunks(tokens * tokens);
                let largest =
                    |row: &[f32]| row.iter().fold(0f32, |most, value| most.max(value.abs()));
                let scales: Vec<f32> = rows.clone().map(|row| largest(row) / 127.0).collect();
                let level = |value: f32, scale: f32| match scale {
                    0.0 => 0,
                    scale => (value / scale).round_ties_even() as i8,
                };
                let pairs = rows
                    .zip(&scales)
                    .flat_map(|(row, &scale)| row.iter().map(move |&value| (value, scale)));
                let is_infinite =
                    |(value, scale)| (f32::from(level(value, scale)) * scale).is_infinite();
                if let Some(index) = pairs.clone().position(is_infinite) {
                    return refuse(
                        index,
                        "a number whose 127th part, rounded, is finite 127 times",
                    );
                }
                let bytes = pairs
                    .map(|(value, scale)| level(value, scale) as u8)
                    .collect();
                self.push(name, Dtype::I8, &shape, bytes);
                self.list(layer, "scale", &scales);
            }
        }
        Ok(())
    }
}
