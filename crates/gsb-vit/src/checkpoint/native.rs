//! Checkpoints of our own: one file that says what it holds.

use std::collections::HashMap;
use std::path::Path;

use burn::tensor::{DType, Device, TensorData};
use burn_pack::{Reader, Tensor as Packed, Writer};

use super::describe::justified;
use super::parameters::{parameters, replaced};
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
        Packed::new(parameter.path, dtype, shape, Some(parameter.id), bytes)
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
/// phase, or lacks a parameter.
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
    let mut tensors = HashMap::new();
    for tensor in reader
        .into_tensors()
        .map_err(|error| failed(error.to_string()))?
    {
        let (name, dtype, shape, _, bytes) = tensor
            .into_parts()
            .map_err(|error| failed(error.to_string()))?;
        if !matches!(dtype, DType::F32 | DType::I64 | DType::I32) {
            return Err(failed(format!("{name} has elements of {dtype:?}")));
        }
        tensors.insert(name, TensorData::from_bytes(bytes, shape, dtype));
    }
    let elements = tensors
        .values()
        .map(|data: &TensorData| data.num_elements() as u64);
    justified(phase, &config, elements.sum()).map_err(failed)?;
    let mut wrong = None;
    let model = replaced(M::fresh(&config, device)?, |name, shape| {
        let found = tensors.remove(name);
        let problem = match &found {
            Some(data) if data.shape().to_vec() == shape => None,
            Some(data) => Some(format!(
                "{name} has shape {:?}, expected {shape:?}",
                data.shape().to_vec()
            )),
            None => Some(format!("{name} is missing")),
        };
        if problem.is_some() {
            wrong = wrong.take().or(problem);
            return None;
        }
        found
    });
    let stray = tensors.keys().min();
    match wrong.or(stray.map(|name| format!("{name} has no place in the model"))) {
        Some(reason) => Err(failed(reason)),
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
