//! Where weights start.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use gsb_vit::checkpoint::{
    self, CheckpointError, Description, Hints, ImportReport, Published, Strictness, Take,
};
use gsb_vit::{
    Model, PatchNormalization, Phase, Stage1Student, Stage2Student, VisionTransformer, VitConfig,
};
use serde::{Deserialize, Serialize};

use super::init::Init;
use crate::error::Error;
use crate::files::absolute;
use crate::recipe::Recipe;

/// Checkpoints that a run starts from, instead of fresh weights, and what they do not say of
/// themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Start {
    /// A trained teacher, which then is not trained.
    #[serde(with = "crate::path_text")]
    pub teacher: Option<PathBuf>,
    /// A float model that the training of the teacher starts from.
    #[serde(with = "crate::path_text")]
    pub finetune: Option<PathBuf>,
    /// A trained stage-1 student that stage 2 starts from where stage 1 is not trained.
    #[serde(with = "crate::path_text")]
    pub stage1: Option<PathBuf>,
    /// What the first student starts from.
    #[serde(skip_serializing_if = "Init::is_fresh")]
    pub init: Init,
    /// Whether the average of the weights is taken from files that hold one.
    pub ema: bool,
    /// Number of heads of the teacher or of the float model, where the file does not say it.
    pub heads: Option<usize>,
}

/// A model from a checkpoint: our own (`.bpk`), or one with the published names (`.pth`,
/// `.safetensors`).
///
/// Where the heads are kept it is the model of the file. Where they are replaced it is one of the
/// configuration: heads for another number of classes start fresh, positions of another image size are
/// interpolated, and where the configuration does not say what a teacher's normalizations add to the
/// variance, that of the file stays.
///
/// # Errors
/// [`Error::Model`] if the file cannot be read or is of another model, [`Error::File`] if it is for
/// other classes or images.
pub fn load_model<M: Model>(
    path: &Path,
    config: &VitConfig,
    heads: Heads,
    device: &Device,
) -> Result<M, Error> {
    Ok(Start::default().load(path, config, heads, device)?.0)
}

impl Start {
    /// The same by absolute paths, which mean the same in every folder.
    pub fn absolute(mut self) -> Self {
        for path in [&mut self.teacher, &mut self.finetune, &mut self.stage1] {
            *path = path.take().map(|path| absolute(&path));
        }
        if let Init::File(path) = &mut self.init {
            *path = absolute(path);
        }
        self
    }

    /// As [`load_model`], with the report of a file with the published names.
    pub(crate) fn load<M: Model>(
        &self,
        path: &Path,
        config: &VitConfig,
        heads: Heads,
        device: &Device,
    ) -> Result<(M, Option<ImportReport>), Error> {
        let wrong = |reason: String| Error::file(path, reason);
        if checkpoint::is_own(path)? {
            let model: M = checkpoint::load(path, device)?;
            if heads == Heads::Kept {
                fits(model.config(), config).map_err(wrong)?;
                return Ok((model, None));
            }
            same_heads(model.config(), config).map_err(wrong)?;
            // By the published names, which know how to change heads and positions.
            let tensors = Published::of(&model);
            let config = with_epsilon::<M>(config, model.config());
            let model = tensors.into_model(&config, Strictness::Strict, device)?.0;
            return Ok((model, None));
        }
        let (published, found) = self.describe(path, config)?;
        if found.phase != M::PHASE {
            return Err(wrong(of_phase(found.phase, M::PHASE)));
        }
        let mut assumed = found.assumed;
        let config = match heads {
            Heads::Kept => {
                fits(&found.config, config).map_err(wrong)?;
                if !published.has_heads() {
                    let reason = "it has no head for classes, and nothing trains one".into();
                    return Err(wrong(reason));
                }
                found.config
            }
            Heads::Replaced => {
                same_heads(&found.config, config).map_err(wrong)?;
                let replaced = with_epsilon::<M>(config, &found.config);
                assumed.extend(other_epsilon(&found.config, &replaced));
                replaced
            }
        };
        let (model, mut report) = published.into_model(&config, Strictness::Strict, device)?;
        report.assumed = assumed;
        Ok((model, Some(report)))
    }

    /// The tensors of a file with the published names, and which model they are of. The classes of a
    /// file without heads are those of the data.
    fn describe(&self, path: &Path, config: &VitConfig) -> Result<(Published, Description), Error> {
        let published = match self.ema {
            true => match Published::read_as(path, Take::Average) {
                // Not every file has one; that one has, `check` sees to.
                Err(gsb_vit::Error::Checkpoint(CheckpointError::NoAverage { .. })) => {
                    Published::read(path)
                }
                read => read,
            },
            false => Published::read(path),
        }?;
        let hints = Hints {
            classes: Some(config.classes),
            heads: self.heads,
            scope: None,
        };
        let found = published.describe_with(&hints)?;
        Ok((published, found))
    }

    /// The float model that the teacher's training starts from: as the student's configuration has it,
    /// with a distillation token if the file has one, and the epsilon of the file.
    pub(crate) fn load_finetune(
        &self,
        path: &Path,
        model: &VitConfig,
        device: &Device,
    ) -> Result<(VisionTransformer, Option<ImportReport>), Error> {
        let token = match checkpoint::is_own(path)? {
            true => checkpoint::inspect(path)?.1.distillation_token,
            false => self.describe(path, model)?.1.config.distillation_token,
        };
        let config = model.clone().with_distillation_token(token);
        self.load(path, &config, Heads::Replaced, device)
    }

    /// Loads the files as the run will, for these classes and images; what was made of those with the
    /// published names.
    ///
    /// # Errors
    /// As [`load_model`].
    pub(crate) fn check(&self, recipe: &Recipe) -> Result<Vec<(PathBuf, ImportReport)>, Error> {
        let model = &recipe.model;
        let device = Device::default();
        let mut reports = Vec::new();
        if let Some(path) = &self.teacher {
            expect(path, Phase::Teacher)?;
            let (teacher, report) =
                self.load::<VisionTransformer>(path, model, Heads::Kept, &device)?;
            recipe.validate_inside(teacher.config())?;
            if self.init == Init::Teacher {
                Stage2Student::from_teacher(&teacher, model)?;
            }
            reports.push((path, report));
        }
        if let Some(path) = &self.finetune {
            expect(path, Phase::Teacher)?;
            reports.push((path, self.load_finetune(path, model, &device)?.1));
        }
        if let Init::File(path) = &self.init {
            expect(path, Phase::Teacher)?;
            let (float, report) = self.load_finetune(path, model, &device)?;
            Stage2Student::from_teacher(&float, model)?;
            reports.push((path, report));
        }
        if let Some(path) = &self.stage1 {
            expect(path, Phase::Stage1)?;
            let (stage1, report) = self.load::<Stage1Student>(path, model, Heads::Kept, &device)?;
            Stage2Student::from_stage1(&stage1, model, PatchNormalization::default())?;
            reports.push((path, report));
        }
        let of_others =
            |(path, report): (&PathBuf, Option<ImportReport>)| Some((path.clone(), report?));
        Ok(reports.into_iter().filter_map(of_others).collect())
    }

    /// Checks that averages are not asked for in vain.
    ///
    /// # Errors
    /// [`Error::Option`] if no file holds one.
    pub(crate) fn check_average(&self, reports: &[(PathBuf, ImportReport)]) -> Result<(), Error> {
        if self.ema && !reports.iter().any(|(_, report)| report.file.average) {
            let reason = "no file that the run starts from holds an average of the weights";
            return Err(Error::option("start.ema", reason));
        }
        Ok(())
    }
}

/// What was made of the files that a run starts from, a line each, and which of them lack the average that is asked for.
pub(crate) fn notes(reports: &[(PathBuf, ImportReport)], ema: bool) -> Vec<String> {
    let line = |(path, report): &(PathBuf, ImportReport)| {
        let mut all = vec![report.to_string()];
        all.extend(report.notes());
        if ema && !report.file.average {
            all.push("it holds no average of the weights, so they are taken as they are".into());
        }
        format!("{}: {}", path.display(), all.join("; "))
    };
    reports.iter().map(line).collect()
}

/// Fails for our own file of another phase.
fn expect(path: &Path, phase: Phase) -> Result<(), Error> {
    if !checkpoint::is_own(path)? {
        return Ok(());
    }
    let (found, _) = checkpoint::inspect(path)?;
    match found == phase {
        true => Ok(()),
        false => Err(Error::file(path, of_phase(found, phase))),
    }
}

fn of_phase(found: Phase, expected: Phase) -> String {
    format!("it holds a model of {found}, expected one of {expected}")
}

/// Whether the heads of a checkpoint must be those that are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heads {
    /// They are used: a checkpoint for other classes is an error.
    Kept,
    /// They are trained anew where the number of classes is another.
    Replaced,
}

/// Whether a model takes the images and knows the classes of another's data.
fn fits(found: &VitConfig, expected: &VitConfig) -> Result<(), String> {
    for (what, found, expected) in [
        ("classes", found.classes, expected.classes),
        ("colour channels", found.channels, expected.channels),
        ("pixels on a side", found.image_size, expected.image_size),
    ] {
        if found != expected {
            return Err(format!(
                "a model for {found} {what}, but the data have {expected}"
            ));
        }
    }
    Ok(())
}

/// The configuration of a model with the weights of another: what the normalizations of a teacher add to the variance
/// belongs to the weights, unless the configuration says it.
fn with_epsilon<M: Model>(config: &VitConfig, found: &VitConfig) -> VitConfig {
    let norm_epsilon = match M::PHASE {
        Phase::Teacher => config.norm_epsilon.or(found.norm_epsilon),
        // Those of students have no choice.
        Phase::Stage1 | Phase::Stage2 => config.norm_epsilon,
    };
    VitConfig {
        norm_epsilon,
        ..config.clone()
    }
}

/// A note that normalizations do not add what a file says, if its weights are taken for a model that says otherwise.
fn other_epsilon(found: &VitConfig, taken: &VitConfig) -> Option<String> {
    let (found, taken) = (found.norm_epsilon?, taken.norm_epsilon?);
    (found != taken).then(|| {
        format!(
            "normalizations add {taken:e} to the variance instead, as norm_epsilon of the run's model says"
        )
    })
}

/// Whether the weights of a model mean the same in another: their shapes do not tell the number of
/// heads.
fn same_heads(found: &VitConfig, expected: &VitConfig) -> Result<(), String> {
    let (heads, width) = (found.heads, found.width);
    if width == expected.width && heads != expected.heads {
        return Err(format!(
            "a model of {heads} heads, but that of the run has {}: give one of {heads} heads by --model",
            expected.heads
        ));
    }
    Ok(())
}
