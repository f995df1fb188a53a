//! Reading a packed file. Nothing in it is trusted: a tensor's type and shape are compared with what
//! the configuration asks for before its values are looked at.

use std::collections::HashSet;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use memmap2::{Mmap, MmapOptions};
#[cfg(feature = "rayon")]
use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, SafeTensors};
use serde::de::DeserializeOwned;

use super::checksum::{Part, Seal};
use super::contents::{FORMAT, FORMAT_VERSION, PackedFile};
use super::shift::StoredShift;
use crate::engine::{MEMORY, Memory, ShiftKind};
use crate::layout::{Kind, Source, Tensor, attention_shift};
use crate::validate::{Checked, not_finite};
use crate::{Block, Error, PackedConfig, PackedNetwork, SignMatrix, levels};

/// The version of the format that has no checksum.
const UNSEALED: &str = "1";

/// Bytes of the length of the header, before it.
const HEADER_LEN: usize = 8;

/// Bytes of arranged weights and shifts that need no justification by the size of a file, and how many each of its bytes
/// justifies: heads of one channel are padded to 32, weights to 64 channels, queries to 16.
const MODEST: u64 = 10 << 20;
const MOST_FOR_A_BYTE: u64 = 64;

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
    // reading: everything is copied out of the map. All of it is read, so its pages are asked for at once.
    unsafe { MmapOptions::new().populate().map(&file) }.map_err(io("map it"))
}

/// The contents of a file's bytes.
pub(super) fn read(bytes: &[u8]) -> Result<PackedFile, Error> {
    with_reader(bytes, |reader| {
        let parts = vec![(); reader.config.depth];
        let (mut packed, blocks) = reader.read(parts, |mut block, shift, ()| {
            let values = &mut block.attention.attention_shift;
            *values = shift.values();
            values
                .iter()
                .all(|value| value.is_finite())
                .then_some(block)
        })?;
        packed.network.blocks = blocks;
        Ok(packed)
    })
}

/// What is made of the bytes of a file, if they are those that its checksum says: whatever else is wrong with damaged
/// ones is not told. They may be damaged while it is made, so making it has no effect but the result, which is dropped then.
pub(crate) fn with_reader<T>(
    bytes: &[u8],
    make: impl FnOnce(&Reader<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let seal = Seal::of(bytes);
    let sums = Mutex::default();
    let made = Reader::new(bytes, seal.as_ref().map(|_| &sums)).and_then(|reader| make(&reader));
    let sums = sums.into_inner().unwrap_or_else(PoisonError::into_inner);
    match seal.is_none_or(|seal| seal.holds(sums)) {
        true => made,
        false => Err(Error::Damaged),
    }
}

/// The bytes of a file whose configuration has been looked at, and nothing else yet.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    /// Where the sums of attention shifts go as they are read, if there is a checksum.
    sums: Option<&'a Mutex<Vec<Part>>>,
    header: Metadata,
    /// What follows the header.
    data: &'a [u8],
    config: PackedConfig,
}

impl<'a> Reader<'a> {
    /// Looks at the version and the configuration.
    fn new(bytes: &'a [u8], sums: Option<&'a Mutex<Vec<Part>>>) -> Result<Self, Error> {
        let (len, header) = SafeTensors::read_metadata(bytes)?;
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
        if found != UNSEALED && sums.is_none() {
            return Err(Error::Damaged);
        }
        let config: PackedConfig = json(&header, "config")?;
        config.validate()?;
        Ok(Self {
            bytes,
            sums,
            data: &bytes[HEADER_LEN + len..],
            header,
            config,
        })
    }

    /// The configuration.
    pub(crate) fn config(&self) -> &PackedConfig {
        &self.config
    }

    /// As levels if all attention shifts are stored so.
    pub(crate) fn shift_kind(&self) -> ShiftKind {
        let is_level = |block: usize| {
            let info = self.header.info(&attention_shift(block));
            info.is_some_and(|info| info.dtype == Dtype::I8)
        };
        match (0..self.config.depth).all(is_level) {
            true => ShiftKind::Levels,
            false => ShiftKind::Floats,
        }
    }

    /// Refuses a configuration whose weights and shifts take memory out of proportion to the file: it is taken before
    /// they are read.
    pub(crate) fn check_memory(&self) -> Result<(), Error> {
        let bytes = Memory::bytes(&self.config, self.shift_kind());
        let len = self.bytes.len() as u64;
        let most = MODEST.saturating_add(len.saturating_mul(MOST_FOR_A_BYTE));
        if bytes <= most {
            return Ok(());
        }
        Err(Error::Config {
            field: MEMORY,
            value: format!("{bytes} bytes"),
            expected: format!("at most {most} for a file of {len}"),
        })
    }

    /// The contents, and what is made of each block, its attention shifts and the part that is given for it, as soon
    /// as it is read: so only a few are in memory at once. Nothing is made of shifts that are not all finite.
    pub(crate) fn read<P: Send, T: Send>(
        &self,
        parts: Vec<P>,
        make: impl Fn(Block, &StoredShift<'_>, P) -> Option<T> + Sync,
    ) -> Result<(PackedFile, Vec<T>), Error> {
        let Self { header, config, .. } = self;
        let tensors = || Tensors {
            reader: self,
            read: HashSet::new(),
            shift: None,
        };
        let mut ends = tensors();
        let packed = PackedFile {
            class_names: json(header, "class_names")?,
            preprocessing: json(header, "preprocessing")?,
            provenance: json(header, "provenance")?,
            network: PackedNetwork::build_ends(config, &mut Checked(&mut ends))?,
        };
        packed.validate_rest()?;
        let block = |tensors: &mut Tensors<'_>, (index, part)| {
            let block = Block::build_checked(config, index, tensors)?;
            let (name, shift) = tensors.shift.take().expect("a block has attention shifts");
            let made =
                make(block, &shift, part).ok_or_else(|| not_finite(name, &shift.values()))?;
            Ok((made, std::mem::take(&mut tensors.read)))
        };
        #[cfg(feature = "rayon")]
        let blocks = {
            let parts = rayon::iter::IntoParallelIterator::into_par_iter(parts);
            parts.enumerate().map_init(tensors, block)
        };
        #[cfg(not(feature = "rayon"))]
        let blocks = {
            let mut tensors = tensors();
            let parts = parts.into_iter().enumerate();
            parts.map(move |part| block(&mut tensors, part))
        };
        let blocks: Vec<Result<_, Error>> = blocks.collect();
        let mut made = Vec::with_capacity(config.depth);
        // The error of the first that has one, whichever came first.
        for block in blocks {
            let (block, read) = block?;
            made.push(block);
            ends.read.extend(read);
        }
        let unread = header
            .offset_keys()
            .into_iter()
            .filter(|name| !ends.read.contains(name));
        match unread.min() {
            None => Ok((packed, made)),
            Some(tensor) => Err(Error::UnknownTensor { tensor }),
        }
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
    reader: &'a Reader<'a>,
    /// The names of the tensors that have been read.
    read: HashSet<String>,
    /// The attention shifts that were read last, and their name.
    shift: Option<(String, StoredShift<'a>)>,
}

impl Source for Tensors<'_> {
    fn leaves(&self, tensor: &Tensor<'_>) -> bool {
        tensor.kind == Kind::AttentionShift
    }

    fn floats(&mut self, tensor: &Tensor<'_>) -> Result<Vec<f32>, Error> {
        let name = tensor.name();
        match tensor.kind {
            Kind::AttentionShift => {
                self.shift = Some((name, self.shift(tensor)?));
                Ok(Vec::new())
            }
            Kind::RowScales if self.info(&name)?.shape == [1] => self.values(&name, &[1]),
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
    fn shift(&mut self, tensor: &Tensor<'_>) -> Result<StoredShift<'a>, Error> {
        let (name, shape) = (tensor.name(), tensor.shape);
        let dtype = match self.info(&name)?.dtype {
            dtype @ (Dtype::F16 | Dtype::I8) => dtype,
            _ => Dtype::F32,
        };
        let place = self.place(&name, dtype, shape)?;
        let Reader {
            bytes, data, sums, ..
        } = self.reader;
        if let Some(sums) = sums {
            // These are most of the file, and are looked at next, from a cache.
            let first = bytes.len() - data.len();
            let part = Part::new(bytes, first + place.start..first + place.end);
            let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
            sums.push(part);
        }
        let values = &data[place];
        Ok(match dtype {
            Dtype::F16 => StoredShift::F16(values.as_chunks().0),
            Dtype::I8 => StoredShift::I8 {
                levels: values,
                steps: self.values(&tensor.scale_name(), &shape[..1])?,
            },
            _ => StoredShift::F32(values.as_chunks().0),
        })
    }

    fn matrix(
        &mut self,
        tensor: &Tensor<'_>,
        [rows, columns]: [usize; 2],
    ) -> Result<SignMatrix, Error> {
        let name = tensor.name();
        let bits = self.bytes(&name, Dtype::U8, &[(rows * columns).div_ceil(8)])?;
        let zeros_name = tensor.zeros_name();
        let zeros = match self.reader.header.info(&zeros_name) {
            None => Vec::new(),
            Some(info) => {
                let len = info.shape.iter().product();
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
        Ok(&self.reader.data[self.place(name, dtype, shape)?])
    }

    /// Where they are among the data.
    fn place(&mut self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<Range<usize>, Error> {
        let info = self.info(name)?;
        if info.dtype != dtype || info.shape != shape {
            return Err(Error::Tensor {
                tensor: name.into(),
                found: format!("{:?} {:?}", info.dtype, info.shape),
                expected: format!("{dtype:?} {shape:?}"),
            });
        }
        self.read.insert(name.into());
        let (start, end) = info.data_offsets;
        Ok(start..end)
    }

    fn info(&self, name: &str) -> Result<&'a TensorInfo, Error> {
        let info = self.reader.header.info(name);
        info.ok_or_else(|| Error::MissingTensor {
            tensor: name.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Isa;
    use crate::{Image, PackedModel, Random, ShiftStorage};

    fn packed() -> PackedFile {
        PackedFile::unnamed(PackedNetwork::random(&PackedConfig::micro(), 1).unwrap())
    }

    // An interpreter would take minutes for networks of this size.
    #[cfg_attr(miri, ignore)]
    #[test]
    fn levels_stay_levels() {
        for (storage, kind) in [
            (ShiftStorage::F32, ShiftKind::Floats),
            (ShiftStorage::F16, ShiftKind::Floats),
            (ShiftStorage::I8, ShiftKind::Levels),
        ] {
            let bytes = packed().to_bytes(storage).unwrap();
            let found = with_reader(&bytes, |reader| Ok(reader.shift_kind()));
            assert_eq!(found.unwrap(), kind);
        }
    }

    #[cfg_attr(miri, ignore)]
    #[test]
    fn levels_give_the_same_on_all_instruction_sets_and_with_several_threads() {
        let bytes = packed().to_bytes(ShiftStorage::I8).unwrap();
        let floats = PackedModel::with_isa(read(&bytes).unwrap(), Isa::Scalar).unwrap();
        let image = Random::new(2).image(floats.config());
        let expected = floats.predict(&image).unwrap();
        for isa in Isa::available() {
            let model = PackedModel::of_bytes(&bytes, isa).unwrap();
            for mut scratch in [model.scratch(), model.shared_scratch(2)] {
                let mut logits = vec![0.0; model.config().classes];
                let image = Image::from(&image);
                model.logits_into(image, &mut scratch, &mut logits).unwrap();
                assert_eq!(logits, expected.logits(), "{isa}");
            }
        }
    }

    /// Models are made of bytes while their sum is taken: no damage gets through, and none is called something else.
    #[cfg_attr(miri, ignore)]
    #[test]
    fn no_model_is_made_of_damaged_bytes() {
        let config = PackedConfig {
            width: 4,
            depth: 2,
            heads: 1,
            mlp_width: 3,
            ..PackedConfig::micro()
        };
        let packed = PackedFile::unnamed(PackedNetwork::random(&config, 1).unwrap());
        for storage in [ShiftStorage::F32, ShiftStorage::I8] {
            let bytes = packed.to_bytes(storage).unwrap();
            PackedModel::of_bytes(&bytes, Isa::Scalar).unwrap();
            // Without its beginning, a file has no checksum that could be wrong.
            let beginning = bytes.windows(8).position(|part| part == b"\"format\"");
            // A bit of every byte, and all of them in turn.
            for bit in (8 * beginning.unwrap()..8 * bytes.len()).step_by(7) {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let made = PackedModel::of_bytes(&flipped, Isa::Scalar);
                assert!(
                    matches!(made, Err(Error::Damaged)),
                    "{storage:?}, bit {bit}"
                );
            }
        }
    }
}
