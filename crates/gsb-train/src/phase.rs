//! One phase, from its first step or from where it was cut off.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::module::Module;
use burn_train::metric::{
    AccuracyMetric, LearningRateMetric, LossMetric, Metric, TopKAccuracyMetric,
};
use burn_train::{Learner, LearningResult, SupervisedTraining, TrainingError};
use gsb_vit::{Classifier, Model, Phase};

use crate::checkpoints::Checkpoints;
use crate::devices::Devices;
use crate::feed::{Feed, epoch_seed};
use crate::history::History;
use crate::images::RunData;
use crate::journal::{Journal, Latest};
use crate::lesson::{Lesson, Summed, Teaching};
use crate::run::Hooks;
use crate::scheduler::EpochScheduler;
use crate::trainee::Trainee;
use crate::watch::Divergence;
use crate::{Error, Recipe};

/// What a phase needs besides its model.
pub(crate) struct PhaseRun<'a> {
    /// The folder of the run.
    pub folder: &'a Path,
    pub recipe: &'a Recipe,
    pub data: &'a RunData,
    pub devices: &'a Devices,
    pub hooks: &'a Hooks,
    pub history: Arc<Mutex<History>>,
}

/// A trained model, and the one of its best epoch.
pub(crate) struct Trained<M> {
    pub last: M,
    /// The model of the epoch with the best top-1, unless that is the last.
    pub best: Option<M>,
}

impl PhaseRun<'_> {
    /// Trains a model; what comes back is for evaluation.
    pub fn train<M: Model + Classifier + 'static>(
        &self,
        model: M,
        teaching: Teaching,
    ) -> Result<Trained<M>, Error> {
        let phase = M::PHASE;
        let settings = self.recipe.phase(phase);
        let folder = self.phase_folder(phase);
        let checkpoints = Checkpoints::new(&folder)?;
        let saved = self.usable(phase, &checkpoints)?;
        let resumed = saved.last().copied().unwrap_or(0);
        let logged = self.lock().of(phase).count();
        if logged < resumed {
            let reason =
                format!("{logged} epochs of {phase}, but there is a checkpoint of epoch {resumed}");
            return Err(Error::file(&self.folder.join("log.jsonl"), reason));
        }
        self.lock().truncate(phase, resumed)?;

        let loader = self
            .data
            .training_loader(self.recipe, phase, self.devices.count())?;
        let divergence = Arc::default();
        let loss = settings.loss(self.recipe.mixup.is_some())?;
        let lesson = Lesson {
            teaching,
            loss,
            sum: Summed {
                accumulation: settings.accumulation,
                batches: loader.steps(),
                devices: self.devices.summed(),
            },
            clip: settings.clip_grad,
            decay: settings.model_ema,
            interrupter: self.hooks.interrupter.clone(),
            rescue: self.folder.join(format!("{phase}-diverged.bpk")),
            divergence: Arc::clone(&divergence),
        };
        let mut trainee = Trainee::new(model, lesson);
        if resumed > 0 {
            // The optimizer knows parameters by their ids, which the record restores.
            trainee = restored(trainee, &checkpoints, resumed)?;
        }
        let steps = loader.steps().div_ceil(settings.accumulation);
        let schedule = settings.schedule();
        let scheduler = EpochScheduler::new(schedule, steps, self.recipe.parity.late_schedule);
        let rate = scheduler.clone();
        let optimizer = settings
            .optimizer(self.recipe.parity)
            .init(&trainee.student);
        let five = TopKAccuracyMetric::new(self.recipe.model.classes.min(5));
        let journal = Journal {
            phase,
            epochs: settings.epochs,
            every: settings.checkpoint_every,
            patience: settings.patience,
            history: Arc::clone(&self.history),
            names: [
                LossMetric::new().name().to_string(),
                AccuracyMetric::new().name().to_string(),
                five.name().to_string(),
            ],
            rate: Arc::new(move |epoch| rate.of(epoch - 1)),
            interrupter: self.hooks.interrupter.clone(),
            failure: Arc::default(),
            saved,
            started: Instant::now(),
        };
        // Patience may have run out in the epoch before the interruption.
        let epochs = if journal.enough(resumed) {
            resumed
        } else {
            settings.epochs
        };

        let device = self.devices.main().clone().autodiff();
        let seed = epoch_seed(self.recipe.seed, phase as usize);
        let train = Feed::training(loader, seed, resumed, self.devices.count(), device.clone());
        let test = Feed::evaluation(self.data.test_loader(self.recipe)?, device.clone().inner());
        let [model, optimizer_state, schedule_state] = checkpoints.keepers();
        let mut training = SupervisedTraining::new(&folder, Arc::new(train), Arc::new(test))
            .with_training_strategy(self.devices.strategy().into())
            .with_application_logger(None)
            .with_metric_logger(Latest::default())
            .renderer((self.hooks.renderer)(phase))
            .metrics((AccuracyMetric::new(), five, LossMetric::new()))
            .metric_train_numeric(LearningRateMetric::new())
            .with_custom_checkpointers(model, optimizer_state, schedule_state)
            .with_checkpointing_strategy(journal.clone())
            .with_interrupter(self.hooks.interrupter.clone())
            .num_epochs(epochs)
            .label(phase.name());
        if settings.patience.is_some() {
            training = training.early_stopping(journal.clone());
        }
        if settings.accumulation > 1 {
            training = training.grads_accumulation(settings.accumulation);
        }
        if resumed > 0 {
            training = training.checkpoint(resumed);
        }
        let scheduler = ModuleLrScheduler::new(scheduler);
        let result = training.launch(Learner::new(trainee, optimizer, scheduler));
        self.finished::<M>(result, &checkpoints, &divergence, &journal)
    }

    /// The models of a training that ended as it should.
    fn finished<M: Model + Classifier + 'static>(
        &self,
        result: LearningResult<Trainee<M>>,
        checkpoints: &Checkpoints,
        divergence: &Mutex<Option<Divergence>>,
        journal: &Journal,
    ) -> Result<Trained<M>, Error> {
        let phase = M::PHASE;
        let last = self.lock().of(phase).last().map_or(0, |epoch| epoch.epoch);
        if let Some(divergence) = divergence.lock().expect("nobody panics with it").take() {
            return Err(Error::NotFinite {
                phase,
                loss: divergence.loss,
                step: divergence.step,
                epoch: divergence.epoch,
                place: divergence.place,
                saved: divergence.saved?,
            });
        }
        if let Some(error) = journal
            .failure
            .lock()
            .expect("nobody panics with it")
            .take()
        {
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
        // A renderer may have taken back the stop, as burn-train's own does: the epochs tell as well.
        let whole = last >= journal.epochs || journal.enough(last);
        if result.interrupted.is_some() || !whole {
            let epoch = last + 1;
            return Err(Error::Stopped { phase, epoch });
        }
        let best = self.lock().best(phase).map_or(last, |best| best.epoch);
        let is_kept = checkpoints.model_path(best).exists();
        if best != last && !is_kept {
            let text = format!(
                "{phase}: the checkpoint of its best epoch, {best}, was damaged: there is no {phase}-best.bpk"
            );
            (self.hooks.note)(&text);
        }
        let best = (best != last && is_kept)
            .then(|| {
                // A clone would share its running statistics with the model, and loading would change both.
                restored(result.model.valid(), checkpoints, best)
            })
            .transpose()?;
        Ok(Trained {
            last: result.model.into_judged(),
            best: best.map(Trainee::into_judged),
        })
    }

    /// The epochs that a phase can go on from; says which would be there as well if they were not damaged.
    fn usable(&self, phase: Phase, checkpoints: &Checkpoints) -> Result<Vec<usize>, Error> {
        let damaged = Cell::new(false);
        let saved = checkpoints.usable(|text| {
            damaged.set(true);
            (self.hooks.note)(text);
        })?;
        if damaged.get() {
            (self.hooks.note)(&match saved.last() {
                Some(epoch) => format!("{phase} goes on after epoch {epoch}"),
                None => format!("{phase} begins anew: it has no other checkpoint"),
            });
        }
        Ok(saved)
    }

    /// The folder of a phase's own files.
    pub fn phase_folder(&self, phase: Phase) -> PathBuf {
        self.folder.join(phase.name())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, History> {
        self.history.lock().expect("nobody panics with it")
    }
}

/// The trainee as it was after an epoch.
fn restored<M: Model + Classifier + 'static>(
    trainee: Trainee<M>,
    checkpoints: &Checkpoints,
    epoch: usize,
) -> Result<Trainee<M>, Error> {
    trainee
        .try_load_record(checkpoints.model(epoch)?)
        .map_err(|error| Error::file(&checkpoints.model_path(epoch), error))
}
