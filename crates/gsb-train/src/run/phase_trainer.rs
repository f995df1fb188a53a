//! One phase, from its first step or from where it was cut off.

use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard};

use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn_train::metric::{
    AccuracyMetric, LearningRateMetric, LossMetric, Metric, TopKAccuracyMetric,
};
use burn_train::{Learner, LearningResult, SupervisedTraining, TrainingError};
use gsb_data::Loader;
use gsb_vit::{Classifier, Model, Phase};

use super::callbacks::Callbacks;
use super::checkpoints::Checkpoints;
use super::devices::Devices;
use super::epoch_log::EpochLog;
use super::epoch_logger::EpochLogger;
use super::folder::RunFolder;
use super::inspection_log::InspectionLog;
use super::latest_metrics::LatestMetrics;
use super::loaders::RunData;
use crate::error::Error;
use crate::optimizer::EpochScheduler;
use crate::recipe::{PhaseRecipe, Recipe};
use crate::step::{
    BatchLoader, Criterion, GradientAccumulation, Inspector, LossMonitor, Progress, StepConfig,
    Teacher, TrainModule, epoch_seed,
};

/// What the phases of a run are trained with.
pub(crate) struct PhaseTrainer<'a> {
    pub folder: &'a RunFolder,
    pub recipe: &'a Recipe,
    pub data: &'a RunData,
    pub devices: &'a Devices,
    pub callbacks: &'a Callbacks,
    pub log: Arc<Mutex<EpochLog>>,
    pub inspections: Arc<Mutex<InspectionLog>>,
}

/// A trained model, and the one of its best epoch.
pub(crate) struct TrainedModels<M> {
    pub last: M,
    /// The model of the epoch with the best top-1, unless that is the last.
    pub best: Option<M>,
}

/// Where a phase begins.
struct Resumption {
    checkpoints: Checkpoints,
    /// The epochs with a whole checkpoint, ascending.
    saved: Vec<usize>,
    /// The epoch that it goes on after; 0 for a new phase.
    epoch: usize,
}

impl PhaseTrainer<'_> {
    /// Trains a model; what comes back is for evaluation.
    pub fn train<M: Model + Classifier + 'static>(
        &self,
        model: M,
        teacher: Teacher,
    ) -> Result<TrainedModels<M>, Error> {
        let phase = M::PHASE;
        let settings = self.recipe.phase(phase);
        let resumption = self.resumption(phase)?;
        let resumed = resumption.epoch;
        let loader = self
            .data
            .training_loader(self.recipe, phase, self.devices.count())?;
        let steps = loader.steps().div_ceil(settings.accumulation);
        let monitor = Arc::new(LossMonitor::new(
            self.callbacks.interrupter.clone(),
            self.folder.diverged_model(phase),
        ));
        let inspector = Arc::new(Inspector::default());
        let hidden_map = self.hidden_map(phase, &teacher);
        let config = StepConfig {
            criterion: Criterion {
                teacher,
                loss: settings.loss(self.recipe.mixup_of(phase).is_some())?,
                inside: settings.distillation.inside(),
            },
            accumulation: GradientAccumulation {
                batches_per_step: settings.accumulation,
                images_per_batch: settings.batch_size,
                images_per_epoch: loader.len(),
                devices: self.devices.summed(),
            },
            clip: settings.optimizer.clip_grad,
            ema_decay: settings.model_ema,
            progress: Progress {
                steps: steps * settings.epochs,
                gradual: settings.binarization.gradual,
                weight_pull: settings.binarization.weight_pull,
            },
            inspector: Arc::clone(&inspector),
            monitor: Arc::clone(&monitor),
        };
        let mut module = TrainModule::new(model, hidden_map, config, resumed * steps);
        if resumed > 0 {
            // The optimizer knows parameters by their ids, which the record restores.
            module = restored(module, &resumption.checkpoints, resumed)?;
        }
        let schedule = settings.schedule.config(settings.epochs);
        let scheduler = EpochScheduler::new(schedule, steps, self.recipe.parity.late_schedule);
        let logger = self.logger(phase, &scheduler, resumption.saved, inspector);
        let training =
            self.training::<M>(settings, loader, resumed, &resumption.checkpoints, &logger)?;
        let optimizer = settings.optimizer.config(self.recipe.parity);
        let optimizer = optimizer.init(module.model());
        let scheduler = ModuleLrScheduler::new(scheduler);
        let result = training.launch(Learner::new(module, optimizer, scheduler));
        self.finish(result, &resumption.checkpoints, &monitor, &logger)
    }

    /// What makes hidden states of the student as wide as the teacher's, where they are compared and are not.
    fn hidden_map(&self, phase: Phase, teacher: &Teacher) -> Option<Linear> {
        let (of_student, of_teacher) = (self.recipe.model.width, teacher.live()?.width());
        let weight = self.recipe.phase(phase).distillation.hidden;
        let needed = weight > 0.0 && of_student != of_teacher;
        needed.then(|| {
            LinearConfig::new(of_student, of_teacher)
                .with_bias(false)
                .init(&self.devices.main().clone().autodiff())
        })
    }

    /// Where a phase goes on, with the log as it was then.
    fn resumption(&self, phase: Phase) -> Result<Resumption, Error> {
        let checkpoints = Checkpoints::new(&self.folder.phase(phase))?;
        let saved = self.usable(phase, &checkpoints)?;
        let epoch = saved.last().copied().unwrap_or(0);
        let mut log = self.log();
        let logged = log.of(phase).count();
        if logged < epoch {
            let reason =
                format!("{logged} epochs of {phase}, but there is a checkpoint of epoch {epoch}");
            let path = self.folder.path().join("log.jsonl");
            return Err(Error::file(&path, reason));
        }
        log.truncate(phase, epoch)?;
        let mut inspections = self.inspections.lock().expect("nobody panics with it");
        inspections.truncate(phase, epoch)?;
        Ok(Resumption {
            checkpoints,
            saved,
            epoch,
        })
    }

    fn logger(
        &self,
        phase: Phase,
        scheduler: &EpochScheduler,
        saved: Vec<usize>,
        inspector: Arc<Inspector>,
    ) -> EpochLogger {
        let settings = self.recipe.phase(phase);
        let rate = scheduler.clone();
        EpochLogger {
            phase,
            epochs: settings.epochs,
            every: settings.checkpoint_every,
            patience: settings.patience,
            unsettled: settings.binarization.unsettled(settings.epochs),
            log: Arc::clone(&self.log),
            inspector,
            inspections: Arc::clone(&self.inspections),
            names: [
                LossMetric::new().name().to_string(),
                AccuracyMetric::new().name().to_string(),
                self.top5().name().to_string(),
            ],
            rate: Arc::new(move |epoch| rate.of(epoch - 1)),
            interrupter: self.callbacks.interrupter.clone(),
            failure: Arc::default(),
            saved,
            started: std::time::Instant::now(),
        }
    }

    /// Among the first five, or as many classes as there are.
    fn top5(&self) -> TopKAccuracyMetric {
        TopKAccuracyMetric::new(self.recipe.model.classes.min(5))
    }

    /// The training loop of a phase that goes on after an epoch.
    fn training<M: Model + Classifier + 'static>(
        &self,
        settings: &PhaseRecipe,
        loader: Loader,
        resumed: usize,
        checkpoints: &Checkpoints,
        logger: &EpochLogger,
    ) -> Result<SupervisedTraining<TrainModule<M>>, Error> {
        let phase = M::PHASE;
        // Patience may have run out in the epoch before the interruption.
        let epochs = if logger.is_exhausted(resumed) {
            resumed
        } else {
            settings.epochs
        };
        let device = self.devices.main().clone().autodiff();
        let seed = epoch_seed(self.recipe.seed, phase as usize);
        let devices = self.devices.count();
        let train = BatchLoader::training(loader, seed, resumed, devices, device.clone());
        let test = BatchLoader::evaluation(self.data.test_loader(self.recipe)?, device.inner());
        let [model, optimizer, scheduler] = checkpoints.checkpointers();
        let folder = self.folder.phase(phase);
        let mut training = SupervisedTraining::new(&folder, Arc::new(train), Arc::new(test))
            .with_training_strategy(self.devices.strategy().into())
            .with_application_logger(None)
            .with_metric_logger(LatestMetrics::default())
            .renderer((self.callbacks.renderer)(phase))
            .metrics((AccuracyMetric::new(), self.top5(), LossMetric::new()))
            .metric_train_numeric(LearningRateMetric::new())
            .with_custom_checkpointers(model, optimizer, scheduler)
            .with_checkpointing_strategy(logger.clone())
            .with_interrupter(self.callbacks.interrupter.clone())
            .num_epochs(epochs)
            .label(phase.name());
        if settings.patience.is_some() {
            training = training.early_stopping(logger.clone());
        }
        if settings.accumulation > 1 {
            training = training.grads_accumulation(settings.accumulation);
        }
        if resumed > 0 {
            training = training.checkpoint(resumed);
        }
        Ok(training)
    }

    /// The models of a training that ended as it should.
    fn finish<M: Model + Classifier + 'static>(
        &self,
        result: LearningResult<TrainModule<M>>,
        checkpoints: &Checkpoints,
        monitor: &LossMonitor,
        logger: &EpochLogger,
    ) -> Result<TrainedModels<M>, Error> {
        let phase = M::PHASE;
        if let Some(found) = monitor.take() {
            return Err(Error::NotFinite {
                phase,
                loss: found.loss,
                step: found.step,
                epoch: found.epoch,
                place: found.place,
                saved: found.saved?,
            });
        }
        if let Some(error) = logger.take_failure() {
            return Err(error);
        }
        if let Some(error) = result.error {
            return Err(match &*error {
                TrainingError::Dataset(error) => Error::Images {
                    phase,
                    reason: error.to_string(),
                },
                error => Error::Training {
                    phase,
                    reason: error.to_string(),
                },
            });
        }
        let last = self.log().of(phase).last().map_or(0, |epoch| epoch.epoch);
        // A renderer may have taken back the stop, as burn-train's own does: the epochs tell as well.
        let is_whole = last >= logger.epochs || logger.is_exhausted(last);
        if result.interrupted.is_some() || !is_whole {
            let epoch = self.next_epoch(phase);
            return Err(Error::Stopped { phase, epoch });
        }
        let best = self.log().best(phase).map_or(last, |best| best.epoch);
        let is_kept = checkpoints.model_path(best).exists();
        if best != last && !is_kept {
            let text = format!(
                "{phase}: the checkpoint of its best epoch, {best}, was damaged: there is no {phase}-best.bpk"
            );
            (self.callbacks.note)(&text);
        }
        let best = (best != last && is_kept)
            .then(|| {
                // A clone would share its running statistics with the model, and loading would change both.
                restored(result.model.valid(), checkpoints, best)
            })
            .transpose()?;
        Ok(TrainedModels {
            last: result.model.into_evaluated(),
            best: best.map(TrainModule::into_evaluated),
        })
    }

    /// The epochs that a phase can go on from; says which would be there as well if they were not damaged.
    fn usable(&self, phase: Phase, checkpoints: &Checkpoints) -> Result<Vec<usize>, Error> {
        let damaged = Cell::new(false);
        let note = &self.callbacks.note;
        let saved = checkpoints.usable(|text| {
            damaged.set(true);
            note(text);
        })?;
        if damaged.get() {
            note(&match saved.last() {
                Some(epoch) => format!("{phase} goes on after epoch {epoch}"),
                None => format!("{phase} begins anew: it has no other checkpoint"),
            });
        }
        Ok(saved)
    }

    /// The first epoch of a phase that is not finished: the last one if all are, and its checkpoint is not yet written.
    pub fn next_epoch(&self, phase: Phase) -> usize {
        let last = self.log().of(phase).last().map_or(0, |epoch| epoch.epoch);
        (last + 1).min(self.recipe.phase(phase).epochs)
    }

    fn log(&self) -> MutexGuard<'_, EpochLog> {
        self.log.lock().expect("nobody panics with it")
    }
}

/// The module as it was after an epoch.
fn restored<M: Model + Classifier + 'static>(
    module: TrainModule<M>,
    checkpoints: &Checkpoints,
    epoch: usize,
) -> Result<TrainModule<M>, Error> {
    module
        .try_load_record(checkpoints.model(epoch)?)
        .map_err(|error| Error::file(&checkpoints.model_path(epoch), error))
}
