//! Everything that describes a run, from defaults, file and options.

use std::path::Path;

use clap::ValueEnum;
use gsb::binarize::{InitialScales, ThresholdScope};
use gsb::distill::Distillation;
use gsb_data::{ColorJitter, DataSplits, RandomErasing};
use gsb_train::{Recipe, Start, TeacherLogits};
use gsb_vit::Phase;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::{DataArgs, TrainArgs};
use crate::compute::{DeviceName, Strategy};
use crate::data::DataConfig;
use crate::defaults;
use crate::error::Error;
use crate::model_name::ModelName;

/// A run, as `config.json` holds it and `--config` reads it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// What to train and test on.
    pub data: DataConfig,
    /// Where to compute.
    pub device: DeviceName,
    /// Number of devices.
    pub devices: usize,
    /// How several devices work together.
    pub strategy: Strategy,
    /// Model, phases and how they are trained.
    pub recipe: Recipe,
    /// What they start from.
    pub start: Start,
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
        let splits = data.open()?;
        let name = args.model.as_deref().map(ModelName::new).transpose()?;
        let mut model = defaults::model(&data, &splits, name)?;
        // The size of the images decides about much else, so the model comes first.
        if let Some(path) = &args.config
            && let Some(recipe) = file.get_mut("recipe").and_then(Value::as_object_mut)
            && let Some(over) = recipe.remove("model")
            && args.model.is_none()
        {
            model = merged(&model, over, path)?;
        }
        set(&mut model.image_size, args.input_size);
        let recipe = defaults::recipe(&data, &splits, model)?;
        let config = Self {
            data: data.clone(),
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
        config.data = data;
        config.apply(args)?;
        config.recipe.validate()?;
        Ok((config, splits))
    }

    /// The run of a folder's `config.json`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of_folder(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("config.json");
        let value = read(&path)?;
        serde_json::from_value(value).map_err(|error| Error::file(&path, error))
    }

    fn apply(&mut self, args: &TrainArgs) -> Result<(), Error> {
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
            let mut mixup = recipe.mixup.unwrap_or_default();
            set(&mut mixup.mixup_alpha, args.mixup);
            set(&mut mixup.cutmix_alpha, args.cutmix);
            let nothing = mixup.mixup_alpha == 0.0 && mixup.cutmix_alpha == 0.0;
            recipe.mixup = (!nothing).then_some(mixup);
        }
        let start = &mut self.start;
        start.finetune = args.finetune.clone().or(start.finetune.take());
        start.stage1 = args.stage1_path.clone().or(start.stage1.take());
        if let Some(path) = &args.teacher_path {
            start.teacher = Some(path.clone());
            recipe.phases.retain(|&phase| phase != Phase::Teacher);
        }
        Ok(())
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
        (Some(value), Some(path)) => {
            serde_json::from_value(value.clone()).map_err(|error| Error::file(path, error))?
        }
        _ => DataConfig::default(),
    };
    data.apply(args);
    Ok(data)
}

/// A file of TOML or JSON, by its extension.
fn read(path: &Path) -> Result<Value, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::file(path, error))?;
    if path
        .extension()
        .is_some_and(|extension| extension == "toml")
    {
        toml::from_str(&text).map_err(|error| Error::file(path, error.to_string().trim_end()))
    } else {
        serde_json::from_str(&text).map_err(|error| Error::file(path, error))
    }
}

/// A configuration with what a file says in place of its own.
fn merged<T>(config: &T, file: Value, path: &Path) -> Result<T, Error>
where
    T: Serialize + DeserializeOwned,
{
    let mut value = serde_json::to_value(config).map_err(|error| Error::file(path, error))?;
    overlay(&mut value, file);
    serde_json::from_value(value).map_err(|error| Error::file(path, error))
}

fn overlay(value: &mut Value, over: Value) {
    match (value, over) {
        (Value::Object(fields), Value::Object(over)) if !is_choice(&over) => {
            for (key, over) in over {
                overlay(fields.entry(key).or_insert(Value::Null), over);
            }
        }
        (value, over) => *value = over,
    }
}

/// Whether it is one of several alternatives, which replaces another instead of completing it: a
/// variant with a capital letter, or one of a kind.
fn is_choice(fields: &serde_json::Map<String, Value>) -> bool {
    fields.contains_key("kind")
        || (fields.len() == 1
            && fields
                .keys()
                .all(|key| key.starts_with(|first: char| first.is_uppercase())))
}

/// A threshold scope on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScopeName {
    /// The whole batch, as published
    Batch,
    /// Each image
    Sample,
    /// Each row: the keys of a query, the channels of a token
    Row,
}

impl From<ScopeName> for ThresholdScope {
    fn from(name: ScopeName) -> Self {
        match name {
            ScopeName::Batch => Self::Batch,
            ScopeName::Sample => Self::Sample,
            ScopeName::Row => Self::Row,
        }
    }
}

/// Initial scales on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InitialName {
    /// Each group's scale by its own mean
    Published,
    /// Each group adds what those below lack
    Residual,
}

impl From<InitialName> for InitialScales {
    fn from(name: InitialName) -> Self {
        match name {
            InitialName::Published => Self::Published,
            InitialName::Residual => Self::Residual,
        }
    }
}

/// A distillation on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DistillationName {
    /// From the labels alone
    None,
    /// From the teacher's probabilities
    Soft,
    /// From the teacher's decisions
    Hard,
}

impl From<DistillationName> for Distillation {
    fn from(name: DistillationName) -> Self {
        match name {
            DistillationName::None => Self::None,
            DistillationName::Soft => Self::Soft,
            DistillationName::Hard => Self::Hard,
        }
    }
}
