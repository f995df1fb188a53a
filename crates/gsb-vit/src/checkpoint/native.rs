//! Checkpoints of our own: one file that says what it holds.

use std::path::Path;

use burn::store::ModuleRecord;
use burn::tensor::{Bytes, DType, Device};
use burn_pack::{Reader, Tensor as Packed, Writer};

use super::describe::justified;
use crate::parameters::{not_finite, parameters};
use crate::{Error, Model, Phase, VitConfig};

const PHASE: &str = "gsb.phase";
const CONFIG: &str = "gsb.config";
const VERSION: &str = "gsb.version";

/// Saves a model with its configuration, its state of calibration and the library's version, whole
/// or not at all: a failed or interrupted write leaves the file that was there.
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
    let tensors = parameters(model).into_iter().map(|parameter| {
        let (bytes, shape, dtype) = parameter.data.into_parts();
        Packed::new(
            parameter.path,
            dtype,
            shape,
            Some(parameter.id.val()),
            bytes,
        )
    });
    Writer::new(tensors.collect())
        .with_metadata(PHASE, M::PHASE.name())
        .with_metadata(CONFIG, &model.config().to_json())
        .with_metadata(VERSION, env!("CARGO_PKG_VERSION"))
        .auto_extension(false)
        .write_to_file(path)
        .map_err(|error| Error::Write {
            path: path.into(),
            reason: error.to_string(),
        })
}

/// The phase and configuration of a saved model.
///
/// # Errors
/// [`Error::Read`] if the file cannot be read or is not such a checkpoint.
pub fn inspect(path: impl AsRef<Path>) -> Result<(Phase, VitConfig), Error> {
    let path = path.as_ref();
    described(path, &open(path)?)
}

/// Loads a model that [`save`] has written.
///
/// # Errors
/// [`Error::Read`] if the file cannot be read, is not such a checkpoint, is of a model of another
/// phase, or lacks a parameter; [`Error::NotFinite`] if a weight is not a finite number.
pub fn load<M: Model>(path: impl AsRef<Path>, device: &Device) -> Result<M, Error> {
    let path = path.as_ref();
    let failed = |reason: String| Error::Read {
        path: path.into(),
        reason,
    };
    let reader = open(path)?;
    let (phase, config) = described(path, &reader)?;
    if phase != M::PHASE {
        return Err(failed(format!(
            "it holds a model of {phase}, expected one of {}",
            M::PHASE
        )));
    }
    // Views of the file: nothing is read before it is known to fit.
    let tensors = reader.into_tensors();
    let mut elements = 0u64;
    for tensor in tensors.map_err(|error| failed(error.to_string()))? {
        if !matches!(tensor.dtype, DType::F32 | DType::I64 | DType::I32) {
            let (name, dtype) = (tensor.name, tensor.dtype);
            return Err(failed(format!("{name} has elements of {dtype:?}")));
        }
        let shape = tensor.shape.iter().map(|&n| n as u64);
        elements = elements.saturating_add(shape.fold(1, u64::saturating_mul));
    }
    justified(phase, &config, elements).map_err(failed)?;
    // A record of the file itself would read it when a parameter is first used, whatever it holds by then.
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(bytes))
        .map_err(|error| failed(error.to_string()))?;
    let model = M::fresh(&config, device)?
        .try_load_record(record.cast_to_module_dtype())
        .map_err(|error| failed(error.to_string()))?;
    let mut parameters = parameters(&model).into_iter();
    match parameters.find(|parameter| not_finite(&parameter.data)) {
        Some(parameter) => Err(Error::NotFinite {
            source_name: path.display().to_string(),
            name: parameter.path,
        }),
        None => Ok(model),
    }
}

fn open(path: &Path) -> Result<Reader, Error> {
    Reader::from_file_exact(path).map_err(|error| Error::Read {
        path: path.into(),
        reason: error.to_string(),
    })
}

fn described(path: &Path, reader: &Reader) -> Result<(Phase, VitConfig), Error> {
    let failed = |reason: String| Error::Read {
        path: path.into(),
        reason,
    };
    let entry = |key: &str| {
        let value = reader.metadata().get(key);
        value.ok_or_else(|| failed(format!("it has no {key}: not a checkpoint of this library")))
    };
    let phase = entry(PHASE)?
        .parse()
        .map_err(|error: Error| failed(error.to_string()))?;
    let config = VitConfig::from_json(entry(CONFIG)?).map_err(|error| failed(error.to_string()))?;
    Ok((phase, config))
}
