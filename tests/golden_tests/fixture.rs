//! Reading the golden files.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use burn::Tensor;
use burn::tensor::{Device, Int, TensorData};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value};

/// Calls a function that is generic over the rank of a tensor.
macro_rules! by_rank {
    ($rank:expr, $run:ident($($arg:expr),* $(,)?)) => {
        match $rank {
            0 | 1 => $run::<1>($($arg),*),
            2 => $run::<2>($($arg),*),
            3 => $run::<3>($($arg),*),
            4 => $run::<4>($($arg),*),
            5 => $run::<5>($($arg),*),
            6 => $run::<6>($($arg),*),
            rank => Err(format!("no test runs tensors of rank {rank}")),
        }
    };
}
pub(crate) use by_rank;

/// The numbers of a tensor on the host.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Values {
    /// Its shape; a scalar's is `[1]`.
    pub shape: Vec<usize>,
    /// Its elements, row by row.
    pub data: Vec<f32>,
}

impl Values {
    pub(crate) fn scalar(value: f32) -> Self {
        Self {
            shape: vec![1],
            data: vec![value],
        }
    }

    /// The largest magnitude.
    pub(crate) fn max_abs(&self) -> f64 {
        self.data.iter().fold(0.0, |max, v| max.max(v.abs().into()))
    }
}

impl<const D: usize> From<Tensor<D>> for Values {
    fn from(tensor: Tensor<D>) -> Self {
        Self {
            shape: tensor.dims().to_vec(),
            data: tensor
                .into_data()
                .try_to_vec()
                .expect("the tests use f32 tensors"),
        }
    }
}

/// One case of a golden file.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// The file's name, without extension.
    pub file: String,
    /// Where the file is.
    pub directory: PathBuf,
    pub name: String,
    pub config: Map<String, Value>,
    pub tensors: BTreeMap<String, Values>,
    /// The integer tensors; labels.
    pub integers: BTreeMap<String, Vec<i64>>,
    /// The double-precision tensors; learning rates.
    pub doubles: BTreeMap<String, Vec<f64>>,
    /// Names of the tensors of shape `[]`.
    pub scalars: BTreeSet<String>,
    /// Names of the tensors that were read as inputs.
    pub read: RefCell<BTreeSet<String>>,
}

impl Case {
    /// The configuration's entry, a `null` being none.
    fn field(&self, name: &str) -> Option<&Value> {
        self.config.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.field(name).and_then(Value::as_str)
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.field(name).and_then(Value::as_bool)
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.field(name).and_then(Value::as_f64)
    }

    pub(crate) fn flags(&self, name: &str) -> Option<Vec<bool>> {
        let values = self.field(name)?.as_array()?;
        values.iter().map(Value::as_bool).collect()
    }

    /// A number of bits or a size, or two of them.
    pub(crate) fn sizes(&self, name: &str) -> Result<[usize; 2], String> {
        let size = |value: &Value| value.as_u64().map(|size| size as usize);
        match self.field(name) {
            Some(Value::Array(pair)) if pair.len() == 2 => size(&pair[0]).zip(size(&pair[1])),
            Some(value) => size(value).map(|size| (size, size)),
            None => None,
        }
        .map(Into::into)
        .ok_or_else(|| format!("the configuration has no {name:?}"))
    }

    pub(crate) fn bits(&self, name: &str) -> Result<u8, String> {
        let [bits, _] = self.sizes(name)?;
        u8::try_from(bits).map_err(|_| format!("{name:?} is {bits}"))
    }

    /// Whether the published code rejects the inputs.
    pub(crate) fn raises(&self) -> bool {
        self.config.contains_key("raises")
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name) || self.integers.contains_key(name)
    }

    /// The largest difference to a float64 evaluation that the file states for a tensor.
    ///
    /// Of a training run it is the larger of that and of what noise of two or three spacings on
    /// inputs and parameters does; of a teacher one number stands for all.
    pub(crate) fn sensitivity(&self, name: &str) -> Option<f64> {
        let check = self
            .field("check")
            .and_then(|check| check.get("f64_maxabs"));
        if let Some(stated) = check {
            return stated.get(name)?.as_f64();
        }
        if let Some(runs) = self.field("sensitivity") {
            let stated = runs.get(name)?.as_array()?.iter();
            return stated.filter_map(Value::as_f64).reduce(f64::max);
        }
        self.number("f64_maxabs")
    }

    /// How much relative noise on the inputs grows on its way to the results, as the file states.
    pub(crate) fn amplification(&self) -> f64 {
        let check = self.field("check");
        let number = |name| check.and_then(|check| check.get(name)?.as_f64());
        number("perturb_rel_worst")
            .zip(number("perturb_scale"))
            .map_or(0.0, |(change, noise)| change / noise)
    }

    pub(crate) fn values(&self, name: &str) -> Result<&Values, String> {
        self.read.borrow_mut().insert(name.to_string());
        self.tensors
            .get(name)
            .ok_or_else(|| format!("the case has no tensor {name:?}"))
    }

    pub(crate) fn scalar(&self, name: &str) -> Result<f32, String> {
        match self.values(name)?.data[..] {
            [value] => Ok(value),
            _ => Err(format!("{name:?} is not a scalar")),
        }
    }

    /// An input, of rank `D`.
    pub(crate) fn tensor<const D: usize>(
        &self,
        name: &str,
        device: &Device,
    ) -> Result<Tensor<D>, String> {
        let values = self.values(name)?;
        if values.shape.len() != D {
            return Err(format!(
                "{name:?} has shape {:?}, not rank {D}",
                values.shape
            ));
        }
        let data = TensorData::new(values.data.clone(), values.shape.clone());
        Ok(Tensor::from_data(data, device))
    }

    pub(crate) fn doubles(&self, name: &str) -> Result<&[f64], String> {
        self.read.borrow_mut().insert(name.to_string());
        let values = self.doubles.get(name).map(Vec::as_slice);
        values.ok_or_else(|| format!("the case has no double-precision tensor {name:?}"))
    }

    pub(crate) fn labels(&self, name: &str, device: &Device) -> Result<Tensor<1, Int>, String> {
        self.read.borrow_mut().insert(name.to_string());
        let labels = self
            .integers
            .get(name)
            .ok_or_else(|| format!("the case has no labels {name:?}"))?;
        let data = TensorData::new(labels.clone(), [labels.len()]);
        Ok(Tensor::from_data(data, device))
    }

    pub(crate) fn rank(&self, name: &str) -> usize {
        self.tensors.get(name).map_or(0, |v| v.shape.len())
    }

    /// Marks what the published code stores but nothing computes with.
    pub(crate) fn ignore(&self, name: &str) {
        self.read.borrow_mut().insert(name.to_string());
    }
}

/// The golden files of a directory that this package tests, in order.
pub(crate) fn files(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let fail = |error: std::io::Error| format!("{}: {error}", directory.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ours = ["a_", "b_", "c_", "d_", "e_", "f_", "g_"]
            .iter()
            .any(|start| name.starts_with(start));
        if ours && name.ends_with(".safetensors") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The cases of a file.
pub(crate) fn cases(path: &Path) -> Result<Vec<Case>, String> {
    let place = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| format!("{place}: {error}"))?;
    let file = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let directory = path.parent().unwrap_or(Path::new(""));
    parse(&file, directory, &bytes).map_err(|error| format!("{place}: {error}"))
}

fn parse(file: &str, directory: &Path, bytes: &[u8]) -> Result<Vec<Case>, String> {
    let text = |error: safetensors::SafeTensorError| error.to_string();
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(text)?;
    let stored = SafeTensors::deserialize(bytes).map_err(text)?;
    let cases = header
        .metadata()
        .as_ref()
        .and_then(|entries| entries.get("cases"))
        .ok_or("the header has no cases")?;
    let cases: Map<String, Value> =
        serde_json::from_str(cases).map_err(|error| error.to_string())?;
    cases
        .into_iter()
        .map(|(name, config)| {
            let Value::Object(config) = config else {
                return Err(format!("the configuration of case {name:?} is no object"));
            };
            let mut case = Case {
                file: file.to_string(),
                directory: directory.to_path_buf(),
                name,
                config,
                tensors: BTreeMap::new(),
                integers: BTreeMap::new(),
                doubles: BTreeMap::new(),
                scalars: BTreeSet::new(),
                read: RefCell::default(),
            };
            fill(&mut case, &stored)?;
            Ok(case)
        })
        .collect()
}

/// Reads the tensors that the case's configuration lists.
fn fill(case: &mut Case, stored: &SafeTensors) -> Result<(), String> {
    let listed = case
        .config
        .get("tensors")
        .and_then(Value::as_array)
        .ok_or_else(|| format!("case {:?} lists no tensors", case.name))?;
    for name in listed.iter().filter_map(Value::as_str) {
        let full = format!("{}/{name}", case.name);
        let view = stored
            .tensor(&full)
            .map_err(|error| format!("{full}: {error}"))?;
        if view.shape().is_empty() {
            case.scalars.insert(name.to_string());
        }
        match view.dtype() {
            Dtype::F64 => {
                let data = numbers(view.data(), f64::from_le_bytes);
                case.doubles.insert(name.to_string(), data);
            }
            Dtype::F32 => {
                let mut shape = view.shape().to_vec();
                if shape.is_empty() {
                    shape.push(1);
                }
                let data = numbers(view.data(), f32::from_le_bytes);
                case.tensors
                    .insert(name.to_string(), Values { shape, data });
            }
            Dtype::I64 => {
                let data = numbers(view.data(), i64::from_le_bytes);
                case.integers.insert(name.to_string(), data);
            }
            other => return Err(format!("{full}: no test reads {other:?}")),
        }
    }
    Ok(())
}

fn numbers<T, const N: usize>(bytes: &[u8], number: fn([u8; N]) -> T) -> Vec<T> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|&chunk| number(chunk))
        .collect()
}
