//! A model's tensors with the names and layouts of the published implementations.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Shape, TensorData};
use safetensors::tensor::{Dtype, TensorView};

use super::checksum::{self, CHECKSUM, DAMAGED, FORMAT, SEALED, UNKNOWN};
use super::names::{Layout, Name, names};
use super::plain::{Translation, translate};
use super::{Found, Take, TensorFile};
use crate::parameters::parameters;
use crate::{Error, Model, VitConfig};

/// In an export, the configuration.
const CONFIG: &str = "gsb.config";
/// In an export, the scales that are not calibrated.
const UNCALIBRATED: &str = "gsb.uncalibrated";
/// In an export, the version that wrote it.
const VERSION: &str = "gsb.version";

/// The tensors of a model, by the names and in the layouts of the published implementations: GSB
/// for the students, timm's DeiT for the teacher.
///
/// Linear weights are `[out, in]`, scales have shape `[]`. Between a model and its tensors nothing
/// gets lost.
///
/// ```
/// use burn::tensor::Device;
/// use gsb_vit::checkpoint::{Published, Strictness};
/// use gsb_vit::{Stage1Student, VitConfig};
///
/// let device = Device::default();
/// let student = VitConfig::micro().init_stage1(&device)?;
/// let published = Published::of(&student);
/// assert_eq!(published.shape("blocks.0.attn.qkv.weight").unwrap(), [192, 64]);
/// let (again, report) =
///     published.into_model::<Stage1Student>(&VitConfig::micro(), Strictness::Strict, &device)?;
/// assert!(report.fits());
/// assert_eq!(Published::of(&again), Published::of(&student));
/// # Ok::<(), gsb_vit::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    pub(super) tensors: BTreeMap<String, TensorData>,
    /// The scales that are not calibrated, where that is known.
    pub(super) uncalibrated: Option<HashSet<String>>,
    /// The configuration of the model, where it is known.
    pub(super) config: Option<VitConfig>,
    /// Where they come from, for messages.
    pub(super) source: String,
    /// The file that they come from, if it is one.
    pub(super) path: Option<PathBuf>,
    /// Where in the file they were.
    pub(super) found: Found,
    /// What was done to those of another library.
    pub(super) translation: Translation,
}

impl Published {
    /// Tensors from anywhere.
    pub fn new(tensors: impl IntoIterator<Item = (String, TensorData)>) -> Self {
        Self {
            tensors: tensors.into_iter().collect(),
            uncalibrated: None,
            config: None,
            source: "the tensors".into(),
            path: None,
            found: Found::default(),
            translation: Translation::default(),
        }
    }

    /// The tensors of a model.
    ///
    /// # Panics
    /// If parts of the model have been replaced by others than its configuration makes.
    pub fn of<M: Model>(model: &M) -> Self {
        let ours: HashMap<String, TensorData> = parameters(model)
            .into_iter()
            .map(|parameter| (parameter.path, parameter.data))
            .collect();
        let (mut tensors, mut uncalibrated) = (BTreeMap::new(), HashSet::new());
        for name in names(M::PHASE, model.config()) {
            let data = |path: &str| &ours[path];
            let tensor = match name.layout {
                Layout::Same => data(&name.ours).clone(),
                Layout::Transposed => transposed(data(&name.ours)),
                Layout::Entry(index) => {
                    if entry::<i64>(data(&name.calibrated()), index) == 0 {
                        uncalibrated.insert(name.published.clone());
                    }
                    number(entry::<f32>(data(&name.ours), index))
                }
                Layout::State => {
                    let set = data(&name.ours).iter::<i64>().all(|set| set != 0);
                    TensorData::new(vec![f32::from(u8::from(set))], [1])
                }
                Layout::Constant(values) => TensorData::new(values.to_vec(), [values.len()]),
                Layout::StepCount => number(0i64),
            };
            tensors.insert(name.published, tensor);
        }
        Self {
            tensors,
            uncalibrated: Some(uncalibrated),
            config: Some(model.config().clone()),
            source: "the tensors of a model".into(),
            path: None,
            found: Found::default(),
            translation: Translation::default(),
        }
    }

    /// Reads the weights in a `.pth` or `.safetensors` file.
    ///
    /// # Errors
    /// As [`read_as`](Self::read_as).
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::read_as(path, Take::Weights)
    }

    /// Reads the weights in a `.pth` or `.safetensors` file, or their average.
    ///
    /// Those of a plain Vision Transformer of another library get the published names: timm's with layer
    /// scale, without positions of the class token or without bias of query, key and value, Hugging Face's
    /// ViT, DeiT and Dinov2, and torchvision's. They compute the same; the report of an import says what was
    /// done.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the file cannot be read or has no average, [`Error::Read`] if an export
    /// is damaged, [`Error::Foreign`] if an export holds a wrong configuration, the file is a packed
    /// model, the tensors share so much data that they are far larger than the file, or the model has
    /// parts that none here has: register tokens, relative or rotary positions, gated MLPs, normalizations
    /// at other places, biases of query and value alone, another head than one of the class token.
    pub fn read_as(path: impl AsRef<Path>, take: Take) -> Result<Self, Error> {
        let path = path.as_ref();
        // What cannot be read at all is for who opens it.
        let right = checksum::is_export_right(path).unwrap_or_default();
        let damaged = || Error::read(path, DAMAGED);
        if right == Some(false) {
            return Err(damaged());
        }
        let file = TensorFile::open_as(path, take)?;
        if right.is_none() && file.metadata().contains_key(FORMAT) {
            return Err(damaged());
        }
        let source = file.path().display().to_string();
        refuse_aliases(&file, &source)?;
        if file.metadata().get("format").map(String::as_str) == Some("gsb-packed") {
            return Err(Error::Foreign {
                source_name: source,
                reason: "it is packed already: gsb predict and gsb inspect read it".into(),
            });
        }
        let tensors = file
            .names()
            .map(|name| Ok((name.to_string(), file.read(name)?)))
            .collect::<Result<BTreeMap<_, _>, Error>>()?;
        let (tensors, translation) = match file.metadata().contains_key(CONFIG) {
            true => (tensors, Translation::default()),
            false => translate(tensors).map_err(|reason| Error::Foreign {
                source_name: source.clone(),
                reason,
            })?,
        };
        let mut published = Self::new(tensors);
        published.source = source;
        published.path = Some(file.path().into());
        published.found = file.found().clone();
        published.translation = translation;
        published.with_metadata(file.metadata())
    }

    /// The names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors.get(name).map(|data| data.shape().to_vec())
    }

    /// Where in the file they were; empty for tensors from elsewhere.
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// A tensor.
    pub fn get(&self, name: &str) -> Option<&TensorData> {
        self.tensors.get(name)
    }

    /// Writes a `.safetensors` file, whole or not at all.
    ///
    /// Besides the tensors it holds, as metadata, what the published names have no place for: the
    /// configuration, which scales are calibrated and a checksum of the file. The same tensors are the
    /// same bytes.
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let views = self
            .tensors
            .iter()
            .map(|(name, data)| {
                let view =
                    view(data).map_err(|reason| Error::write(path, format!("{name}: {reason}")))?;
                Ok((name, view))
            })
            .collect::<Result<Vec<_>, Error>>()?;
        let mut bytes = safetensors::serialize(views, Some(self.metadata()))
            .map_err(|error| Error::write(path, error))?;
        checksum::seal_export(&mut bytes);
        gsb_files::replace(path, |file| file.write_all(&bytes))
            .map_err(|error| Error::write(path, error))
    }

    fn metadata(&self) -> HashMap<String, String> {
        let mut metadata = HashMap::from([
            ("format".to_string(), "pt".to_string()),
            (CHECKSUM.into(), UNKNOWN.into()),
            (FORMAT.into(), SEALED.into()),
            (VERSION.into(), env!("CARGO_PKG_VERSION").into()),
        ]);
        if let Some(config) = &self.config {
            metadata.insert(CONFIG.into(), config.to_json());
        }
        if let Some(uncalibrated) = &self.uncalibrated {
            let mut names: Vec<&str> = uncalibrated.iter().map(String::as_str).collect();
            names.sort_unstable();
            metadata.insert(UNCALIBRATED.into(), names.join(","));
        }
        metadata
    }

    /// What [`metadata`](Self::metadata) wrote.
    pub(super) fn with_metadata(
        mut self,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        if let Some(config) = metadata.get(CONFIG) {
            let config = VitConfig::from_json(config).map_err(|error| Error::Foreign {
                source_name: self.source.clone(),
                reason: format!("{CONFIG}: {error}"),
            })?;
            self.config = Some(config);
        }
        if let Some(names) = metadata.get(UNCALIBRATED) {
            let names = names.split(',').filter(|name| !name.is_empty());
            self.uncalibrated = Some(names.map(String::from).collect());
        }
        Ok(self)
    }
}

/// Writes a model as a `.safetensors` file with the published names, see [`Published::write`].
///
/// # Errors
/// [`Error::Write`] if the file cannot be written.
///
/// # Panics
/// See [`Published::of`].
pub fn export<M: Model>(model: &M, path: impl AsRef<Path>) -> Result<(), Error> {
    Published::of(model).write(path)
}

impl Name {
    /// The path of the state of calibration beside a scale.
    pub(super) fn calibrated(&self) -> String {
        let parent = self.ours.rsplit_once('.').map_or("", |(parent, _)| parent);
        format!("{parent}.calibrated")
    }
}

/// The transposed matrix; anything else as it is.
pub(super) fn transposed(data: &TensorData) -> TensorData {
    let [rows, columns] = data.shape().to_vec()[..] else {
        return data.clone();
    };
    let values: Vec<f32> = data.iter::<f32>().collect();
    let turned = (0..columns)
        .flat_map(|column| (0..rows).map(move |row| row * columns + column))
        .map(|index| values[index])
        .collect::<Vec<f32>>();
    TensorData::new(turned, [columns, rows])
}

fn entry<E: burn::tensor::Element>(data: &TensorData, index: usize) -> E {
    data.iter::<E>()
        .nth(index)
        .expect("an entry for each group")
}

fn number<E: burn::tensor::Element>(value: E) -> TensorData {
    TensorData::new(vec![value], Shape::new([0; 0]))
}

fn view(data: &TensorData) -> Result<TensorView<'_>, String> {
    let dtype = match data.dtype() {
        DType::F32 => Dtype::F32,
        DType::I64 => Dtype::I64,
        other => return Err(format!("elements of {other:?}, expected F32 or I64")),
    };
    TensorView::new(dtype, data.shape().to_vec(), data.as_bytes())
        .map_err(|error| error.to_string())
}

/// How much larger than their file tensors may be that share data.
const SHARED: u64 = 4;

/// Tensors may be views of the same data, and here each becomes a copy.
fn refuse_aliases(file: &TensorFile, source: &str) -> Result<(), Error> {
    let size = std::fs::metadata(file.path()).map_or(0, |metadata| metadata.len());
    let bytes = file
        .names()
        .filter_map(|name| file.info(name))
        .map(|info| {
            let elements = info.shape.iter().map(|&n| n as u64);
            elements.fold(info.element.size() as u64, u64::saturating_mul)
        })
        .fold(0, u64::saturating_add);
    if bytes > size.saturating_mul(SHARED) {
        return Err(Error::Foreign {
            source_name: source.into(),
            reason: format!("tensors of {bytes} bytes in a file of {size}"),
        });
    }
    Ok(())
}
