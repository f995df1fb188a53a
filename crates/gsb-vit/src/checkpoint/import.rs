//! From published tensors to a model.

use std::collections::HashMap;
use std::path::Path;

use burn::tensor::{Device, TensorData};

use gsb_checkpoint::is_leftover;

use super::names::{HEADS, Layout, Name, names};
use super::positions::resized;
use super::published::{Published, transposed};
use super::report::{ImportReport, ShapeMismatch, Strictness};
use crate::parameters::{not_finite, replaced};
use crate::{Error, Model, VitConfig};

/// What the published implementation starts a scale with, and then takes for one not yet set.
const UNSET: f32 = 1.0;

/// Reads a model from a `.pth` or `.safetensors` file with the published names, see
/// [`Published::into_model`].
///
/// # Errors
/// [`Error::Checkpoint`] if the file cannot be read; see also [`Published::into_model`].
pub fn import<M: Model>(
    path: impl AsRef<Path>,
    config: &VitConfig,
    strictness: Strictness,
    device: &Device,
) -> Result<(M, ImportReport), Error> {
    Published::read(path)?.into_model(config, strictness, device)
}

impl Published {
    /// The model of a configuration with these tensors, and what became of them.
    ///
    /// Positions of another square grid are interpolated. A head for another number of classes
    /// starts fresh, and so do the heads of a file without any. A scale counts as calibrated unless the file says otherwise; in files that say
    /// nothing, a scale of exactly 1, with which the published implementation starts, does not.
    ///
    /// # Errors
    /// [`Error::Import`] if the tensors do not fit and strictness does not allow it, or nothing
    /// fits; [`Error::NotFinite`] if a weight is not a finite number; see also [`VitConfig::validate`].
    pub fn into_model<M: Model>(
        self,
        config: &VitConfig,
        strictness: Strictness,
        device: &Device,
    ) -> Result<(M, ImportReport), Error> {
        let fresh = M::fresh(config, device)?;
        let names = names(M::PHASE, config);
        let mut import = Import::new(&self, &names, config);
        let model = replaced(fresh, |path, shape| import.value(path, shape));
        if let Some(name) = import.not_finite {
            return Err(Error::NotFinite {
                source_name: self.source,
                name,
            });
        }
        let report = import.finish();
        let refused = match strictness {
            Strictness::Strict => !report.fits(),
            Strictness::Lenient => report.loaded.is_empty(),
        };
        if refused {
            return Err(Error::Import {
                source_name: self.source,
                phase: M::PHASE,
                report: Box::new(report),
            });
        }
        Ok((model, report))
    }
}

struct Import<'a> {
    file: &'a Published,
    layouts: HashMap<&'a str, Layout>,
    /// The published parts of each of our parameters.
    parts: HashMap<&'a str, Vec<&'a Name>>,
    /// The scales behind each of our states of calibration.
    scales: HashMap<String, Vec<&'a Name>>,
    config: &'a VitConfig,
    /// Whether there is none in the file.
    headless: bool,
    /// The first tensor with a value that is not finite.
    not_finite: Option<String>,
    report: ImportReport,
}

impl<'a> Import<'a> {
    fn new(file: &'a Published, names: &'a [Name], config: &'a VitConfig) -> Self {
        let mut parts: HashMap<&str, Vec<&Name>> = HashMap::new();
        let mut scales: HashMap<String, Vec<&Name>> = HashMap::new();
        for name in names {
            parts.entry(&name.ours).or_default().push(name);
            if let Layout::Entry(_) = name.layout {
                scales.entry(name.calibrated()).or_default().push(name);
            }
        }
        let layouts = names
            .iter()
            .map(|name| (name.published.as_str(), name.layout));
        Self {
            file,
            layouts: layouts.collect(),
            parts,
            scales,
            config,
            headless: !file.has_heads(),
            not_finite: None,
            report: ImportReport {
                ignored: [&file.found.ignored[..], &file.translation.ignored].concat(),
                translated: file.translation.notes.clone(),
                file: file.found.clone(),
                ..ImportReport::default()
            },
        }
    }

    /// What the file has for a parameter of the model, if it fits.
    fn value(&mut self, path: &str, shape: &[usize]) -> Option<TensorData> {
        let Some(parts) = self.parts.get(path) else {
            return path
                .ends_with(".calibrated")
                .then(|| self.calibrated(path, shape));
        };
        let parts = parts.clone();
        if let [name] = parts[..]
            && !matches!(name.layout, Layout::Entry(_))
        {
            let data = self.part(name, &published_shape(name, shape))?;
            return Some(match name.layout {
                Layout::Transposed => transposed(&data),
                Layout::State => {
                    let set = data.iter::<f32>().all(|set| set != 0.0);
                    TensorData::new(vec![i64::from(set); shape[0]], [shape[0]])
                }
                _ => data,
            });
        }
        // The entries of a vector, each a tensor of its own; what is not there starts with 1.
        let mut entries = vec![UNSET; shape[0]];
        for name in parts {
            if let (Layout::Entry(index), Some(data)) = (name.layout, self.part(name, &[])) {
                entries[index] = data.iter::<f32>().next().unwrap_or(UNSET);
            }
        }
        Some(TensorData::new(entries, [shape[0]]))
    }

    /// The published tensor of a shape, and what became of it on record.
    fn part(&mut self, name: &Name, shape: &[usize]) -> Option<TensorData> {
        let published = name.published.clone();
        if self.head_starts_fresh(&name.published) {
            self.report.reinitialized.push(published);
            return None;
        }
        let Some(data) = self.file.tensors.get(&name.published) else {
            self.report.missing.push(published);
            return None;
        };
        if self.not_finite.is_none() && not_finite(data) {
            self.not_finite = Some(published.clone());
        }
        let found = data.shape().to_vec();
        if found == shape {
            self.report.loaded.push(published);
            return Some(data.clone());
        }
        let others = self.config.tokens() - self.config.patches();
        let side = self.config.image_size / self.config.patch_size;
        if name.ours == "tokens.position"
            && found.last() == shape.last()
            && let Some(positions) = resized(data, others, side)
        {
            self.report.resized.push(published);
            return Some(positions);
        }
        self.report.mismatched.push(ShapeMismatch {
            name: published,
            found,
            expected: shape.to_vec(),
        });
        None
    }

    /// Which entries of a vector of scales the file has set.
    fn calibrated(&self, path: &str, shape: &[usize]) -> TensorData {
        let mut set = vec![0i64; shape[0]];
        for name in self.scales.get(path).into_iter().flatten() {
            if let Layout::Entry(index) = name.layout {
                set[index] = i64::from(self.is_set(&name.published));
            }
        }
        TensorData::new(set, [shape[0]])
    }

    fn is_set(&self, scale: &str) -> bool {
        let Some(data) = self.file.tensors.get(scale) else {
            return false;
        };
        if !data.shape().to_vec().is_empty() || self.head_starts_fresh(scale) {
            return false;
        }
        match &self.file.uncalibrated {
            Some(uncalibrated) => !uncalibrated.contains(scale),
            None => data.iter::<f32>().next() != Some(UNSET),
        }
    }

    /// Whether a name is of a head, and those of the file, if it has any, are for other classes.
    fn head_starts_fresh(&self, published: &str) -> bool {
        let head = HEADS
            .into_iter()
            .map(|(head, _)| head)
            .find(|head| published.starts_with(head));
        if self.headless && head.is_some() {
            return true;
        }
        let weight = head.and_then(|head| self.file.shape(&format!("{head}weight")));
        match weight.as_deref() {
            Some(&[classes, width]) => classes != self.config.classes && width == self.config.width,
            _ => false,
        }
    }

    fn finish(mut self) -> ImportReport {
        for name in self.file.tensors.keys() {
            match self.layouts.get(name.as_str()) {
                None if is_leftover(name) => self.report.ignored.push(name.clone()),
                None => self.report.unexpected.push(name.clone()),
                Some(Layout::Constant(_) | Layout::StepCount) => {
                    self.report.ignored.push(name.clone());
                }
                Some(_) => {}
            }
        }
        self.report
    }
}

/// The shape of a tensor in a file for a parameter of ours.
fn published_shape(name: &Name, ours: &[usize]) -> Vec<usize> {
    match name.layout {
        Layout::Transposed => ours.iter().rev().copied().collect(),
        Layout::State => vec![1],
        _ => ours.to_vec(),
    }
}
