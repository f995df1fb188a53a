//! A whole run in its folder.

mod callbacks;
mod checkpoints;
mod config;
mod data_config;
mod device_name;
mod devices;
mod environment;
mod epoch_log;
mod epoch_logger;
mod evaluation;
mod folder;
mod history;
mod init;
mod initial_models;
mod inspection_log;
mod json_lines;
mod latest_metrics;
mod loaders;
mod phase_trainer;
mod report;
mod silent;
mod start;

pub use self::callbacks::Callbacks;
pub use self::config::RunConfig;
pub use self::data_config::{DataConfig, Purpose};
pub use self::device_name::{DeviceName, Strategy};
pub use self::devices::Devices;
pub use self::epoch_log::Epoch;
pub use self::evaluation::Evaluation;
pub use self::history::History;
pub use self::init::Init;
pub use self::inspection_log::InspectedEpoch;
pub use self::loaders::evaluation_loader;
pub use self::report::{PhaseReport, Report};
pub use self::silent::SilentRenderer;
pub use self::start::{Heads, Start, load_model};

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use gsb_cpu::{Products, with_products};
use gsb_data::{DataSplits, Fingerprint};
use gsb_vit::{Classifier, Model, Phase, checkpoint};

use self::epoch_log::EpochLog;
use self::folder::RunFolder;
use self::initial_models::InitialModels;
use self::inspection_log::InspectionLog;
use self::loaders::RunData;
use self::phase_trainer::{PhaseTrainer, TrainedModels};
use self::start::notes;
use crate::error::Error;
use crate::files::{absolute, remove_folder};
use crate::step::{Teacher, epoch_seed};

/// A run of a [`Recipe`](crate::Recipe) in a folder of its own:
///
/// | file | what it holds |
/// | --- | --- |
/// | `config.json` | its [`RunConfig`] |
/// | `environment.json` | version, machine, device |
/// | `log.jsonl` | a line for each [epoch](crate::Epoch) |
/// | `binarizers.jsonl` | what happened inside the binarizers, a line for each [epoch](crate::InspectedEpoch) |
/// | `teacher.bpk`, `stage1.bpk`, `stage2.bpk` | the models after their last epoch |
/// | `<phase>-best.bpk` | the model of the best epoch, where that is not the last |
/// | `<phase>/checkpoint/` | where to resume a phase that is not finished |
/// | `report.json`, `report.txt` | the [`Report`] so far |
///
/// Every file is there whole or not at all, and models and checkpoints are refused if they are not what
/// was written. A run that was cut off at any moment [resumes](Self::resume) after the last epoch with a
/// whole checkpoint, wherever its folder is by then, and from there computes what it
/// would have computed without the interruption, bit for bit where the device is deterministic (the
/// CPU is). The random numbers of a device belong to the whole process: runs at the same time in one
/// process do not repeat themselves.
#[derive(Debug)]
pub struct Run {
    folder: RunFolder,
    config: RunConfig,
    devices: Devices,
    report: Report,
    /// Whether the configuration is another than that of `config.json`.
    is_changed: bool,
    /// What was made of the files that it starts from, a line each.
    notes: Vec<String>,
}

impl Run {
    /// A new run in a folder that is made, or empty of runs, on the devices that its configuration names. What it starts
    /// from is kept by absolute paths.
    ///
    /// # Errors
    /// [`Error::Occupied`] if there is a run in the folder or something of one, [`Error::File`] if it cannot be written;
    /// what [`RunConfig::validate`] and [`RunConfig::open_devices`] say. Nothing is left behind then.
    pub fn new(folder: impl Into<PathBuf>, config: RunConfig) -> Result<Self, Error> {
        config.validate()?;
        let devices = config.open_devices()?;
        Self::new_on(folder, config, devices)
    }

    /// As [`new`](Self::new), on devices that need not be those of the configuration.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn new_on(
        folder: impl Into<PathBuf>,
        mut config: RunConfig,
        devices: Devices,
    ) -> Result<Self, Error> {
        let folder = RunFolder::new(folder.into());
        config.validate()?;
        config.check_devices(&devices)?;
        if let Some(file) = folder.occupant(&config.recipe) {
            let folder = folder.path().into();
            return Err(Error::Occupied { folder, file });
        }
        // Before there is a run that could never begin.
        let reports = config.start.check(&config.recipe)?;
        config.start.check_average(&reports)?;
        config.start = config.start.absolute();
        folder.begin(&config, &devices)?;
        let notes = notes(&reports, config.start.ema);
        Ok(Self {
            folder,
            config,
            devices,
            report: Report::default(),
            is_changed: false,
            notes,
        })
    }

    /// The run of a folder, to go on with it or to look at it, on the devices that its configuration names.
    ///
    /// # Errors
    /// [`Error::NoRun`] if there is none, [`Error::File`] if its files cannot be read; as
    /// [`RunConfig::open_devices`].
    pub fn resume(folder: impl Into<PathBuf>) -> Result<Self, Error> {
        let folder = folder.into();
        let devices = RunConfig::of_folder(&folder)?.open_devices()?;
        Self::resume_on(folder, devices)
    }

    /// As [`resume`](Self::resume), on devices that need not be those of the configuration.
    ///
    /// # Errors
    /// As [`resume`](Self::resume).
    pub fn resume_on(folder: impl Into<PathBuf>, devices: Devices) -> Result<Self, Error> {
        let folder = folder.into();
        let config = RunConfig::of_folder(&folder)?;
        config.validate()?;
        config.check_devices(&devices)?;
        let folder = RunFolder::new(folder);
        let report = folder.report()?;
        Ok(Self {
            folder,
            config,
            devices,
            report,
            is_changed: false,
            notes: Vec::new(),
        })
    }

    /// Says where files that the run starts from are now; those that are not given stay where they were.
    ///
    /// # Errors
    /// [`Error::Option`] for a file of a kind that the run does not start from; as [`new`](Self::new)
    /// for one that it cannot start from.
    pub fn set_start(&mut self, start: Start) -> Result<(), Error> {
        let old = &mut self.config.start;
        let unmoved = Start {
            ema: old.ema,
            heads: old.heads,
            ..Start::default()
        };
        let mut moved = unmoved.clone();
        let moves = |to: &Init| matches!((to, &old.init), (Init::File(_), Init::File(_)));
        if start.init != Init::Fresh && !moves(&start.init) {
            let reason = "the run that goes on began without a file there";
            return Err(Error::option("start.init", reason));
        }
        if let Init::File(path) = start.init {
            let path = Init::File(absolute(&path));
            moved.init = if path == old.init { Init::Fresh } else { path };
        }
        for (name, new, old, moved) in [
            ("teacher", start.teacher, &old.teacher, &mut moved.teacher),
            (
                "finetune",
                start.finetune,
                &old.finetune,
                &mut moved.finetune,
            ),
            ("stage1", start.stage1, &old.stage1, &mut moved.stage1),
        ] {
            if new.is_some() && old.is_none() {
                let reason = "the run that goes on began without one";
                return Err(Error::option(format!("start.{name}"), reason));
            }
            let is_other = |path: &PathBuf| Some(path) != old.as_ref();
            let new = new.filter(is_other).map(|path| absolute(&path));
            *moved = new.filter(is_other);
        }
        self.notes = notes(&moved.check(&self.config.recipe)?, moved.ema);
        self.is_changed |= moved != unmoved;
        old.teacher = moved.teacher.or(old.teacher.take());
        old.finetune = moved.finetune.or(old.finetune.take());
        old.stage1 = moved.stage1.or(old.stage1.take());
        if moved.init != Init::Fresh {
            old.init = moved.init;
        }
        Ok(())
    }

    /// Says where the data are now, and what tells their images from others. Training keeps it in
    /// `config.json`.
    pub fn set_data(&mut self, data: Option<DataConfig>, fingerprint: Option<Fingerprint>) {
        let config = &mut self.config;
        self.is_changed |= data != config.data || fingerprint != config.fingerprint;
        (config.data, config.fingerprint) = (data, fingerprint);
    }

    /// What it is to do.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// What it came to so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file of a phase's model.
    pub fn model_path(&self, phase: Phase) -> PathBuf {
        self.folder.model(phase)
    }

    /// Trains what is not trained yet.
    ///
    /// # Errors
    /// [`Error::Stopped`] if the callbacks stop it and [`Error::NotFinite`] if a loss is not finite;
    /// [`Error::Busy`] if somebody else trains in the folder; otherwise what is wrong with data, files,
    /// models or device.
    pub fn train(&mut self, data: &DataSplits, callbacks: &Callbacks) -> Result<&Report, Error> {
        self.notes
            .drain(..)
            .for_each(|note| (callbacks.note)(&note));
        let lock = self.folder.lock(&callbacks.note)?;
        let rewritten = match self.is_changed {
            true => self.folder.rewrite_config(&self.config)?,
            false => None,
        };
        self.is_changed = false;
        let _locks = (lock, rewritten);
        self.folder
            .tidy(&self.config.recipe, &self.report, &self.devices)?;
        let products = self.config.products;
        let train = || gsb_cpu::on_worker(|| self.train_phases(data, callbacks));
        with_products(products, train)
            .map_err(|error| Error::option("products", error.to_string()))??;
        Ok(&self.report)
    }

    fn train_phases(&mut self, data: &DataSplits, callbacks: &Callbacks) -> Result<(), Error> {
        let Self {
            folder,
            config,
            devices,
            report,
            ..
        } = self;
        let recipe = &config.recipe;
        let device = devices.main().clone().autodiff();
        let plain = device.clone().inner();
        let trainer = PhaseTrainer {
            folder,
            recipe,
            data: &RunData::new(data, recipe)?,
            devices,
            callbacks,
            log: Arc::new(Mutex::new(EpochLog::open(folder.path())?)),
            inspections: Arc::new(Mutex::new(InspectionLog::open(folder.path())?)),
        };
        let initial = InitialModels {
            start: &config.start,
            trainer: &trainer,
        };
        for phase in Phase::ALL {
            if !recipe.trains(phase) || report.phases.iter().any(|row| row.phase == phase) {
                continue;
            }
            let seed = || device.seed(epoch_seed(recipe.seed, phase as usize));
            report.phases.push(match phase {
                Phase::Teacher => {
                    seed();
                    let model = initial.teacher(&device)?;
                    keep(&trainer, trainer.train(model, Teacher::None)?)?
                }
                Phase::Stage1 => {
                    let teacher = initial.teacher_of(phase, &plain)?;
                    seed();
                    let model = initial.stage1(&device)?;
                    keep(&trainer, trainer.train(model, teacher)?)?
                }
                Phase::Stage2 => {
                    let teacher = initial.teacher_of(phase, &plain)?;
                    seed();
                    let model = initial.stage2(&plain)?;
                    keep(&trainer, trainer.train(model, teacher)?)?
                }
            });
            // Its line in the report is what makes a phase finished.
            folder.write_report(report)?;
            remove_folder(&folder.phase(phase))?;
        }
        Ok(())
    }
}

/// Saves what a phase has trained; its line of the report.
fn keep<M: Model + Classifier + 'static>(
    trainer: &PhaseTrainer,
    trained: TrainedModels<M>,
) -> Result<PhaseReport, Error> {
    let phase = M::PHASE;
    let folder = trainer.folder;
    checkpoint::save(&trained.last, folder.model(phase))?;
    if let Some(best) = &trained.best {
        checkpoint::save(best, folder.best_model(phase))?;
    }
    let loader = trainer.data.test_loader(trainer.recipe)?;
    let evaluate = || Evaluation::of(&trained.last, &loader, trainer.devices.main());
    // As whoever has the model will evaluate it, whatever it was trained with.
    let evaluation = with_products(Products::Float, evaluate)
        .map_err(|error| Error::option("products", error.to_string()))??;
    let cost = trained.last.config().cost(phase)?.total;
    let log = trainer.log.lock().expect("nobody panics with it");
    let (best_epoch, best_top1) = log
        .best(phase)
        .map_or((0, 0.0), |best| (best.epoch, best.top1));
    Ok(PhaseReport {
        phase,
        top1: evaluation.top1,
        top5: evaluation.top5,
        loss: evaluation.loss,
        parameters: cost.total_parameters(),
        bytes: cost.packed_bytes,
        epochs: log.of(phase).count(),
        seconds: log.of(phase).map(|epoch| epoch.seconds).sum(),
        best_epoch,
        best_top1,
    })
}
