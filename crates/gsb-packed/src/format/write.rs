//! Writing a packed file.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

use gsb_numerics::shift_step;
use half::f16;
use safetensors::{Dtype, View};
use serde::Deserialize;

use super::checksum;
use super::contents::{FORMAT, FORMAT_VERSION, PackedFile, ShiftStorage};
use crate::layout::{Kind, Tensor, Visitor};
use crate::{Error, SignMatrix, levels};

/// The bytes of a file.
pub(super) fn bytes(packed: &PackedFile, shifts: ShiftStorage) -> Result<Vec<u8>, Error> {
    let mut out = Tensors {
        list: Vec::new(),
        shifts,
    };
    packed.network.visit(&mut out)?;
    let mut bytes = safetensors::serialize(out.list, Some(metadata(packed)))?;
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
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for Entry {
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

struct Tensors {
    list: Vec<(String, Entry)>,
    shifts: ShiftStorage,
}

impl Visitor for Tensors {
    fn floats(&mut self, tensor: &Tensor<'_>, values: &[f32]) -> Result<(), Error> {
        match tensor.kind {
            Kind::AttentionShift => return self.shift(tensor, values),
            Kind::RowScales => self.values(tensor.name(), values, &[values.len()]),
            _ => self.values(tensor.name(), values, tensor.shape),
        }
        Ok(())
    }

    fn levels(&mut self, tensor: &Tensor<'_>, bits: u8, values: &[i8]) -> Result<(), Error> {
        match bits {
            1 => return self.signs(tensor, &levels::to_signs(values)?),
            8 => self.push(
                tensor.name(),
                Dtype::I8,
                tensor.shape,
                levels::pack(values, 8),
            ),
            bits => {
                let bytes = levels::pack(values, bits);
                self.push(tensor.name(), Dtype::U8, &[bytes.len()], bytes);
            }
        }
        Ok(())
    }

    fn signs(&mut self, tensor: &Tensor<'_>, values: &SignMatrix) -> Result<(), Error> {
        let (bits, zeros) = (values.bits(), values.zeros());
        self.push(tensor.name(), Dtype::U8, &[bits.len()], bits.to_vec());
        if !zeros.is_empty() {
            let bytes = zeros.iter().flat_map(|zero| zero.to_le_bytes()).collect();
            self.push(tensor.zeros_name(), Dtype::U32, &[zeros.len()], bytes);
        }
        Ok(())
    }
}

impl Tensors {
    fn push(&mut self, name: String, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) {
        let shape = shape.to_vec();
        let entry = Entry {
            dtype,
            shape,
            bytes,
        };
        self.list.push((name, entry));
    }

    fn values(&mut self, name: String, values: &[f32], shape: &[usize]) {
        let bytes = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.push(name, Dtype::F32, shape, bytes);
    }

    /// Refuses values that would be infinite when they are read.
    fn shift(&mut self, tensor: &Tensor<'_>, values: &[f32]) -> Result<(), Error> {
        let (name, shape) = (tensor.name(), tensor.shape);
        let refuse = |index: usize, expected| {
            Err(Error::Value {
                tensor: name.clone(),
                value: values[index].to_string(),
                index,
                expected,
            })
        };
        match self.shifts {
            ShiftStorage::F32 => self.values(name, values, shape),
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
                self.push(name, Dtype::F16, shape, bytes);
            }
            ShiftStorage::I8 => {
                let rows = values.chunks(shape[1..].iter().product());
                let scales: Vec<f32> = rows.clone().map(step).collect();
                // Of no float is the 127th part rounded up so far that 127 times it is infinite.
                let bytes = rows
                    .zip(&scales)
                    .flat_map(|(row, &step)| row.iter().map(move |&value| level(value, step) as u8))
                    .collect();
                self.push(name, Dtype::I8, shape, bytes);
                self.values(tensor.scale_name(), &scales, &shape[..1]);
            }
        }
        Ok(())
    }
}

/// Whether a storage keeps the attention shifts of that number of heads as they are.
pub(super) fn keeps(storage: ShiftStorage, shifts: &[f32], heads: usize) -> bool {
    match storage {
        ShiftStorage::F32 => true,
        ShiftStorage::F16 => shifts
            .iter()
            .all(|&value| f16::from_f32(value).to_f32() == value),
        ShiftStorage::I8 => shifts
            .chunks((shifts.len() / heads.max(1)).max(1))
            .all(|row| {
                let step = step(row);
                row.iter()
                    .all(|&value| f32::from(level(value, step)) * step == value)
            }),
    }
}

/// The step of the attention shifts of a head.
fn step(row: &[f32]) -> f32 {
    shift_step(row.iter().fold(0f32, |most, value| most.max(value.abs())))
}

/// The multiple of a step that is nearest to a shift.
fn level(value: f32, step: f32) -> i8 {
    match step {
        0.0 => 0,
        step => (value / step).round_ties_even() as i8,
    }
}
