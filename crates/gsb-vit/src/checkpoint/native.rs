//! Checkpoints of our own: one file that says what it holds.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use burn::store::ModuleRecord;
use burn::tensor::{Bytes, DType, Device, TensorData};
use burn_pack::{HEADER_SIZE, Header, MAGIC_NUMBER, Reader, Tensor as Packed, Writer};

use super::checksum::{self, CHECKSUM, DAMAGED, FORMAT, SEALED, UNKNOWN};
use super::justified::justified;
use crate::parameters::{not_finite, parameters};
use crate::phase::ParsePhaseError;
use crate::{Error, Model, Phase, VitConfig};

const PHASE: &str = "gsb.phase";
const CONFIG: &str = "gsb.config";
const VERSION: &str = "gsb.version";

/// What precedes the digits of the checksum: texts of 12 and 8 bytes, in CBOR.
const BEFORE: &[u8] = b"\x6cgsb.checksum\x68";

/// Saves a model with its configuration, its state of calibration, the library's version and a
/// checksum of the file, whole or not at all: a failed or interrupted write leaves the file that was
/// there.
///
/// The file is a Burn record (burnpack) with the parameters by path, which Burn alone reads too.
///
/// # Errors
/// [`Error::Write`] if the file cannot be written.
///
/// ```
/// use burn::tensor::Device;
/// use gsb_vit::checkpoint::{load, save};
/// use gsb_vit::{Stage2Student, VitConfig};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("student.bpk");
/// let device = Device::default();
/// save(&VitConfig::micro().init_stage2(&device)?, &path)?;
/// let student: Stage2Student = load(&path, &device)?;
/// assert_eq!(student.config(), &VitConfig::micro());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn save<M: Model>(model: &M, path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref();
    let bytes = to_bytes(model, |data| data).map_err(|error| Error::write(path, error))?;
    gsb_files::replace(path, |file| file.write_all(&bytes))
        .map_err(|error| Error::write(path, error))
}

/// The bytes of a checkpoint, with what is made of the data of each parameter.
fn to_bytes<M: Model>(
    model: &M,
    made: impl Fn(TensorData) -> TensorData,
) -> Result<Bytes, burn_pack::Error> {
    let tensors = parameters(model).into_iter().map(|parameter| {
        let (bytes, shape, dtype) = made(parameter.data).into_parts();
        Packed::new(
            parameter.path,
            dtype,
            shape,
            Some(parameter.id.val()),
            bytes,
        )
    });
    let mut bytes = Writer::new(tensors.collect())
        .with_metadata(CHECKSUM, UNKNOWN)
        .with_metadata(CONFIG, &model.config().to_json())
        .with_metadata(FORMAT, SEALED)
        .with_metadata(PHASE, M::PHASE.name())
        .with_metadata(VERSION, env!("CARGO_PKG_VERSION"))
        .into_bytes()?;
    let head = head(&bytes);
    checksum::seal(&mut bytes, head, BEFORE);
    Ok(bytes)
}

/// The phase and configuration of a saved model.
///
/// # Errors
/// [`Error::Read`] if the file cannot be read, is damaged or is not such a checkpoint.
pub fn inspect(path: impl AsRef<Path>) -> Result<(Phase, VitConfig), Error> {
    let path = path.as_ref();
    Ok(open(path)?.described)
}

/// Loads a model that [`save`] has written. [`load_any`](super::load_any) reads files with the published names as well.
///
/// # Errors
/// [`Error::Read`] if the file cannot be read, is damaged, is not such a checkpoint, is of a model of
/// another phase, or lacks a parameter; [`Error::NotFinite`] if a weight is not a finite number.
pub fn load<M: Model>(path: impl AsRef<Path>, device: &Device) -> Result<M, Error> {
    let path = path.as_ref();
    let failed = |reason: String| Error::read(path, reason);
    let file = open(path)?;
    let (phase, config) = file.described;
    if phase != M::PHASE {
        return Err(failed(format!(
            "it holds a model of {phase}, expected one of {}",
            M::PHASE
        )));
    }
    // Views of the file: nothing is made of it before it is known to fit.
    let tensors = file.reader.into_tensors();
    let mut elements = 0u64;
    for tensor in tensors.map_err(|error| Error::read(path, error))? {
        // Floats of any width, as the device had them, become those of this one.
        let is_int = matches!(tensor.dtype, DType::I64 | DType::I32);
        if !(tensor.dtype.is_float() || is_int) {
            let (name, dtype) = (tensor.name, tensor.dtype);
            return Err(failed(format!("{name} has elements of {dtype:?}")));
        }
        let shape = tensor.shape.iter().map(|&n| n as u64);
        elements = elements.saturating_add(shape.fold(1, u64::saturating_mul));
    }
    justified(phase, &config, elements).map_err(failed)?;
    let record = ModuleRecord::from_bytes(file.bytes).map_err(|error| Error::read(path, error))?;
    let model = M::fresh(&config, device)?
        .try_load_record(record.cast_to_module_dtype())
        .map_err(|error| Error::read(path, error))?;
    let mut parameters = parameters(&model).into_iter();
    match parameters.find(|parameter| not_finite(&parameter.data)) {
        Some(parameter) => Err(Error::NotFinite {
            source_name: path.display().to_string(),
            name: parameter.path,
        }),
        None => Ok(model),
    }
}

/// A file as it was when it was opened, even if it is replaced later.
struct Open {
    bytes: Bytes,
    reader: Reader,
    described: (Phase, VitConfig),
}

fn open(path: &Path) -> Result<Open, Error> {
    let failed = |reason: String| Error::read(path, reason);
    let no_record = |reason: &dyn std::fmt::Display| {
        failed(format!(
            "it is damaged or no record of Burn (burnpack): {reason}"
        ))
    };
    let bytes = read(path).map_err(|error| Error::read(path, error))?;
    let Some(bytes) = bytes else {
        return Err(no_record(&"it does not begin as one"));
    };
    let sealed = checksum::is_right(&bytes, head(&bytes), BEFORE);
    if sealed == Some(false) {
        return Err(failed(DAMAGED.into()));
    }
    let bytes = Bytes::from_bytes_vec(bytes).shared();
    let reader = Reader::from_bytes(bytes.clone()).map_err(|error| no_record(&error))?;
    if sealed.is_none() && reader.metadata().contains_key(FORMAT) {
        return Err(failed(DAMAGED.into()));
    }
    let described = described(path, &reader)?;
    Ok(Open {
        bytes,
        reader,
        described,
    })
}

/// The bytes of a file that begins as a record does.
fn read(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    (&mut file).take(4).read_to_end(&mut bytes)?;
    if bytes != MAGIC_NUMBER.to_le_bytes() {
        return Ok(None);
    }
    file.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Bytes of a record before its tensors, without padding.
fn head(bytes: &[u8]) -> usize {
    Header::from_bytes(bytes).map_or(0, |header| HEADER_SIZE + header.metadata_size as usize)
}

fn described(path: &Path, reader: &Reader) -> Result<(Phase, VitConfig), Error> {
    let failed = |reason: String| Error::read(path, reason);
    let entry = |key: &str| {
        let value = reader.metadata().get(key);
        value.ok_or_else(|| failed(format!("it has no {key}: not a checkpoint of this library")))
    };
    let phase = entry(PHASE)?
        .parse()
        .map_err(|error: ParsePhaseError| Error::read(path, error))?;
    let config = VitConfig::from_json(entry(CONFIG)?).map_err(|error| Error::read(path, error))?;
    Ok((phase, config))
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::{Stage2Student, VitConfig};

    /// As a device that computes with them has them.
    #[test]
    fn floats_of_another_width_are_loaded() {
        let device = Device::flex();
        let student = VitConfig::micro().init_stage2(&device).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for dtype in [DType::F16, DType::BF16, DType::F64] {
            let converted = |data: TensorData| match data.dtype() {
                DType::F32 => data.convert_dtype(dtype),
                _ => data,
            };
            let path = folder.path().join(format!("{dtype:?}.bpk"));
            std::fs::write(&path, &*to_bytes(&student, converted).unwrap()).unwrap();
            let loaded: Stage2Student = load(&path, &device).unwrap();
            for (loaded, saved) in parameters(&loaded).iter().zip(parameters(&student)) {
                assert_eq!(loaded.path, saved.path);
                let expected = converted(saved.data).convert_dtype(loaded.data.dtype());
                assert_eq!(loaded.data, expected);
            }
        }
    }
}
