//! Everything that describes a run, from defaults, file and options.

mod file;

use std::path::Path;

use gsb_data::{ColorJitter, DataSplits, Fingerprint, Mixup, RandomErasing};
use gsb_train::{PhaseRecipe, Recipe, Start, TeacherLogits, absolute};
use gsb_vit::{Phase, VitConfig};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::file::{merged, parsed, read};
use crate::compute::{DeviceName, Strategy};
use crate::data::{DataConfig, Purpose};
use crate::defaults;
use crate::error::Error;
use crate::model::ModelName;
use crate::options::names::DistillationName;
use crate::options::{DataArgs, TrainArgs};

/// A run, as `config.json` holds it and `--config` reads it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// What to train and test on.
    pub data: DataConfig,
    /// Names of the classes, as the data had them.
    #[serde(default)]
    pub classes: Vec<String>,
    /// What tells the images from others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// Where to compute.
    #[serde(default)]
    pub device: DeviceName,
    /// Number of devices.
    #[serde(default = "one")]
    pub devices: usize,
    /// How several devices work together.
    #[serde(default)]
    pub strategy: Strategy,
    /// Model, phases and how they are trained.
    pub recipe: Recipe,
    /// What they start from.
    pub start: Start,
}

fn one() -> usize {
    1
}

impl RunConfig {
    /// The run that options describe, and its images.
    ///
    /// # Errors
    /// If a file cannot be read, an option is impossible, or the data are not there.
    pub fn of(args: &TrainArgs) -> Result<(Self, DataSplits), Error> {
        let mut file = match &args.config {
            Some(path) => read(path)?,
            None => Value::Object(serde_json::Map::new()),
        };
        let data = data(&args.data, file.get("data"), args.config.as_deref())?;
        let splits = data.open(Purpose::Training)?;
        let name = args.model.as_deref().map(ModelName::new).transpose()?;
        let mut model = defaults::model(&data, &splits, name)?;
        // The size of the images decides about much else, so the model comes first.
        if let Some(path) = &args.config
            && let Some(recipe) = file.get_mut("recipe").and_then(Value::as_object_mut)
            && let Some(over) = recipe.remove("model")
            && args.model.is_none()
        {
            VitConfig::check_fields(&over)
                .map_err(|error| Error::file(path, format!("recipe.model: {error}")))?;
            model = merged(&model, over, path)?;
        }
        set(&mut model.image_size, args.input_size);
        let recipe = defaults::recipe(&data, &splits, model)?;
        let rates = Rates::of(&recipe, &file, args);
        let config = Self {
            data: data.clone(),
            classes: Vec::new(),
            fingerprint: None,
            device: DeviceName::default(),
            devices: 1,
            strategy: Strategy::default(),
            recipe,
            start: Start::default(),
        };
        let mut config = match &args.config {
            Some(path) => merged(&config, file, path)?,
            None => config,
        };
        // Options count more than the file.
        config.data = data.absolute();
        config.classes = splits.classes().to_vec();
        config.apply(args, &rates)?;
        config.recipe.validate()?;
        let (found, expected) = (splits.classes().len(), config.recipe.model.classes);
        if found != expected {
            let reason = format!("the data have {found} classes, the model {expected}");
            let option = "model.classes".into();
            return Err(gsb_train::Error::Option { option, reason }.into());
        }
        config.fingerprint = Some(splits.fingerprint()?);
        Ok((config, splits))
    }

    /// The run of a folder's `config.json`, if there is one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of_folder(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join("config.json");
        if !path.exists() {
            return Ok(None);
        }
        parsed(read(&path)?, &path).map(Some)
    }

    /// The run that a checkpoint lies in, if it lies in one.
    ///
    /// # Errors
    /// As [`of_folder`](Self::of_folder).
    pub fn of_checkpoint(checkpoint: &Path) -> Result<Option<Self>, Error> {
        Self::of_folder(checkpoint.parent().unwrap_or(Path::new("")))
    }

    /// The images of the run.
    ///
    /// # Errors
    /// If they cannot be opened, or have other classes than they had.
    pub fn open_data(&self, purpose: Purpose) -> Result<DataSplits, Error> {
        if let Some(path) = &self.data.path
            && !self.data.download
            && !path.exists()
        {
            let (set, path) = (self.data.set, absolute(path));
            let reason = format!(
                "{set} was looked for in {}, which is not there: give the folder that it is in now",
                path.display()
            );
            return Err(Error::Option {
                option: "--data-path",
                reason,
            });
        }
        let splits = self.data.open(purpose)?;
        if !self.classes.is_empty() && self.classes != splits.classes() {
            let reason = format!(
                "the run was trained on the classes {}, but {} has {}",
                self.classes.join(", "),
                self.data.set,
                splits.classes().join(", ")
            );
            return Err(Error::Option {
                option: "--data-path",
                reason,
            });
        }
        Ok(splits)
    }

    /// The names of the classes as the run was trained on them.
    ///
    /// # Errors
    /// Where the configuration, of an earlier version, does not have them: as
    /// [`open_data`](Self::open_data).
    pub fn class_names(&self) -> Result<Vec<String>, Error> {
        if self.classes.is_empty() {
            return Ok(self.open_data(Purpose::Names)?.classes().to_vec());
        }
        Ok(self.classes.clone())
    }

    /// Checks that the images are those that the run began with, or keeps what tells them from others now.
    ///
    /// # Errors
    /// If they are not, unless that is `allowed`.
    pub fn check_images(&mut self, splits: &DataSplits, allowed: bool) -> Result<(), Error> {
        // Earlier versions kept nothing to compare with.
        let Some(begun) = &self.fingerprint else {
            return Ok(());
        };
        let now = splits.fingerprint()?;
        if now == *begun {
            return Ok(());
        }
        if !allowed {
            return Err(Error::ChangedData {
                begun: begun.clone(),
                now,
            });
        }
        self.fingerprint = Some(now);
        Ok(())
    }

    fn apply(&mut self, args: &TrainArgs, rates: &Rates) -> Result<(), Error> {
        set(&mut self.device, args.device);
        set(&mut self.devices, args.devices);
        set(&mut self.strategy, args.strategy);
        let recipe = &mut self.recipe;
        set(&mut recipe.seed, args.seed);
        set(&mut recipe.workers, args.workers);
        set(&mut recipe.repeats, args.repeated_aug);
        if !args.phase.is_empty() {
            recipe.phases.clone_from(&args.phase);
        }
        if args.cache_teacher {
            recipe.teacher_logits = TeacherLogits::Cached;
        }
        for phase in Phase::ALL {
            let own = match phase {
                Phase::Teacher => (args.teacher_epochs, args.teacher_lr),
                Phase::Stage1 => (args.stage1_epochs, args.stage1_lr),
                Phase::Stage2 => (args.stage2_epochs, args.stage2_lr),
            };
            let settings = recipe.phase_mut(phase);
            set(&mut settings.epochs, own.0.or(args.epochs));
            set(&mut settings.batch_size, args.batch_size);
            set(&mut settings.accumulation, args.accumulation);
            set(&mut settings.lr, own.1.or(args.lr));
            rates.follow(phase, settings);
            set(&mut settings.min_lr, args.min_lr);
            set(&mut settings.warmup_epochs, args.warmup_epochs);
            set(&mut settings.warmup_lr, args.warmup_lr);
            set(&mut settings.weight_decay, args.weight_decay);
            set(&mut settings.smoothing, args.smoothing);
            set(&mut settings.checkpoint_every, args.checkpoint_every);
            set(&mut settings.distillation_alpha, args.distillation_alpha);
            set(&mut settings.distillation_tau, args.distillation_tau);
            settings.clip_grad = args.clip_grad.or(settings.clip_grad);
            settings.model_ema = args.model_ema.or(settings.model_ema);
            settings.patience = args.patience.or(settings.patience);
            // A default end or start of the schedule gives way to the rate that was asked for.
            if args.min_lr.is_none() {
                settings.min_lr = settings.min_lr.min(settings.lr);
            }
            if args.warmup_lr.is_none() {
                settings.warmup_lr = settings.warmup_lr.min(settings.lr);
            }
            if phase != Phase::Teacher
                && let Some(kind) = args.distillation_type
            {
                settings.distillation = kind.into();
            }
        }
        let model = &mut recipe.model;
        set(&mut model.attention_groups, args.attention_groups);
        set(&mut model.value_groups, args.value_groups);
        set(&mut model.scope, args.scope.map(Into::into));
        set(
            &mut model.initial_scales,
            args.initial_scales.map(Into::into),
        );
        set(&mut model.dropout, args.drop);
        set(&mut model.drop_path, args.drop_path);
        // A distillation token that nobody teaches is left out.
        if args.distillation_type == Some(DistillationName::None) && args.model.is_none() {
            model.distillation_token = false;
        }
        let augmentation = &mut recipe.augmentation;
        if let Some(policy) = &args.aa {
            let none = policy == "none";
            augmentation.rand_augment = (!none).then(|| policy.parse()).transpose()?;
        }
        if let Some(strength) = args.color_jitter {
            let jitter = ColorJitter::uniform(strength);
            augmentation.color_jitter = (strength > 0.0).then_some(jitter);
        }
        if let Some(probability) = args.reprob {
            let erasing = RandomErasing {
                probability,
                ..augmentation.random_erasing.unwrap_or_default()
            };
            augmentation.random_erasing = (probability > 0.0).then_some(erasing);
        }
        if args.mixup.is_some() || args.cutmix.is_some() {
            let mut mixup = recipe.mixup.unwrap_or(Mixup {
                mixup_alpha: 0.0,
                cutmix_alpha: 0.0,
                ..Mixup::default()
            });
            set(&mut mixup.mixup_alpha, args.mixup);
            set(&mut mixup.cutmix_alpha, args.cutmix);
            let nothing = mixup.mixup_alpha == 0.0 && mixup.cutmix_alpha == 0.0;
            recipe.mixup = (!nothing).then_some(mixup);
        }
        let start = &mut self.start;
        start.finetune = args.finetune.clone().or(start.finetune.take());
        start.stage1 = args.stage1_path.clone().or(start.stage1.take());
        start.teacher = args.teacher_path.clone().or(start.teacher.take());
        start.ema |= args.ema;
        start.heads = args.heads.or(start.heads);
        // What is there is not trained, unless it is asked for; then the run refuses.
        if args.phase.is_empty() {
            let Start {
                teacher, stage1, ..
            } = start;
            recipe.phases.retain(|phase| match phase {
                Phase::Teacher => teacher.is_none(),
                Phase::Stage1 => stage1.is_none(),
                Phase::Stage2 => true,
            });
        }
        Ok(())
    }
}

/// Learning rates that nobody gave: they follow the number of images in a batch.
struct Rates(Vec<(Phase, PhaseRecipe)>);

impl Rates {
    /// The default phases whose rates neither a file nor options say.
    fn of(recipe: &Recipe, file: &Value, args: &TrainArgs) -> Self {
        let of_phase = |phase: Phase| {
            let option = match phase {
                Phase::Teacher => args.teacher_lr,
                Phase::Stage1 => args.stage1_lr,
                Phase::Stage2 => args.stage2_lr,
            };
            let given =
                option.or(args.lr).is_some() || file["recipe"][phase.name()].get("lr").is_some();
            (!given).then(|| (phase, recipe.phase(phase).clone()))
        };
        Self(Phase::ALL.into_iter().filter_map(of_phase).collect())
    }

    fn follow(&self, phase: Phase, settings: &mut PhaseRecipe) {
        if let Some((_, default)) = self.0.iter().find(|(of, _)| *of == phase)
            && settings.batch_size != default.batch_size
        {
            settings.lr = default.lr * settings.batch_size as f64 / default.batch_size as f64;
        }
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// The data that options and file describe.
fn data(args: &DataArgs, file: Option<&Value>, path: Option<&Path>) -> Result<DataConfig, Error> {
    let mut data = match (file, path) {
        (Some(value), Some(path)) => serde_path_to_error::deserialize(value)
            .map_err(|error| Error::file(path, format!("data.{error}")))?,
        _ => DataConfig::default(),
    };
    data.apply(args);
    Ok(data)
}

/// A configuration as JSON.
///
/// # Errors
/// If it holds what JSON does not.
pub fn to_value(config: &impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(config).map_err(|error| Error::Option {
        option: "--config",
        reason: format!("the run cannot be described in JSON: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file of a run, and what its number would be in a file of TOML, say the run again.
    #[test]
    fn rates_survive_their_file_to_the_last_bit() {
        let folder = tempfile::tempdir().unwrap();
        let (json, toml) = (
            folder.path().join("config.json"),
            folder.path().join("run.toml"),
        );
        let repeated = |path: &Path| {
            let args = TrainArgs {
                config: Some(path.into()),
                ..TrainArgs::default()
            };
            RunConfig::of(&args).unwrap().0
        };
        for batch in 1..=512 {
            let args = TrainArgs {
                batch_size: Some(batch),
                ..TrainArgs::default()
            };
            let (config, _) = RunConfig::of(&args).unwrap();
            let plan: gsb_train::Plan = serde_json::from_value(to_value(&config).unwrap()).unwrap();
            gsb_train::write_json(&json, &plan).unwrap();
            assert_eq!(repeated(&json), config, "batches of {batch}");

            let lr = config.recipe.teacher.lr;
            std::fs::write(&toml, format!("[recipe.teacher]\nlr = {lr}\n")).unwrap();
            assert_eq!(repeated(&toml).recipe.teacher.lr.to_bits(), lr.to_bits());
        }
    }
}
