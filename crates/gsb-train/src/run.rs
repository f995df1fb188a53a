//! A whole run in its folder.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use burn::Tensor;
use burn::module::Module;
use burn::tensor::{Device, TensorData};
use burn_train::Interrupter;
use burn_train::renderer::MetricsRenderer;
use gsb_core::distill::Distillation;
use gsb_data::DataSplits;
use gsb_files::remove_leftovers;
use gsb_vit::{
    Classifier, Model, Phase, Stage1Student, Stage2Student, VisionTransformer, checkpoint,
};
use serde_json::{Map, Value};

use crate::devices::Devices;
use crate::environment::Environment;
use crate::evaluate::Evaluation;
use crate::feed::epoch_seed;
use crate::files::{
    absolute, create_folder, json, read, remove_folder, write, write_json, write_new_json,
};
use crate::history::History;
use crate::images::{RunData, evaluation_loader};
use crate::lesson::Teaching;
use crate::phase::{PhaseRun, Trained};
use crate::plan::Plan;
use crate::quiet::Quiet;
use crate::report::{PhaseReport, Report};
use crate::start::{Heads, Start, notes};
use crate::{Error, TeacherLogits};

const CONFIG: &str = "config.json";
const ENVIRONMENT: &str = "environment.json";
const REPORT: &str = "report.json";

/// What a run shows, and how it is stopped.
pub struct Hooks {
    /// Makes what shows the progress of a phase.
    pub renderer: Box<dyn Fn(Phase) -> Box<dyn MetricsRenderer> + Send + Sync>,
    /// Stops the run, to be resumed later.
    pub interrupter: Interrupter,
    /// Told what a user should know and what does not end the run: a damaged checkpoint that is left
    /// out, a file system without locks.
    pub note: Box<dyn Fn(&str) + Send + Sync>,
}

impl Default for Hooks {
    /// Shows nothing.
    fn default() -> Self {
        Self {
            renderer: Box::new(|_| Box::new(Quiet)),
            interrupter: Interrupter::new(),
            note: Box::new(|_| {}),
        }
    }
}

/// A run of a [`Recipe`](crate::Recipe) in a folder of its own:
///
/// | file | what it holds |
/// | --- | --- |
/// | `config.json` | its [`Plan`] |
/// | `environment.json` | version, machine, device |
/// | `log.jsonl` | a line for each [epoch](crate::Epoch) |
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
    folder: PathBuf,
    plan: Plan,
    devices: Devices,
    report: Report,
    /// Whether the plan is another than that of `config.json`.
    is_moved: bool,
    /// What was made of the files that it starts from, a line each.
    notes: Vec<String>,
}

impl Run {
    /// A new run in a folder that is made, or empty of runs. What it starts from is kept by absolute
    /// paths.
    ///
    /// # Errors
    /// [`Error::Occupied`] if there is a run in the folder, [`Error::File`] if it cannot be written;
    /// what [`Plan::validate`] says. Nothing is left behind then.
    pub fn new(
        folder: impl Into<PathBuf>,
        mut plan: Plan,
        devices: Devices,
    ) -> Result<Self, Error> {
        let folder = folder.into();
        plan.validate()?;
        devices.validate()?;
        let path = folder.join(CONFIG);
        if path.exists() {
            return Err(Error::Occupied(folder));
        }
        // Before there is a run that could never begin.
        let reports = plan.start.check(&plan.recipe.model)?;
        plan.start.check_average(&reports)?;
        let start = &mut plan.start;
        for path in [&mut start.teacher, &mut start.finetune, &mut start.stage1] {
            *path = path.take().map(|path| absolute(&path));
        }
        let missing: Vec<&Path> = folder
            .ancestors()
            .take_while(|path| !path.exists())
            .collect();
        let begun = begin(&folder, &plan, &devices);
        if begun.is_err() {
            for folder in &missing {
                // Another run may have begun there.
                let _ = std::fs::remove_dir(folder);
            }
        }
        begun?;
        Ok(Self {
            folder,
            plan,
            devices,
            report: Report::default(),
            is_moved: false,
            notes: notes(&reports),
        })
    }

    /// The run of a folder, to go on with it or to look at it.
    ///
    /// # Errors
    /// [`Error::NoRun`] if there is none, [`Error::File`] if its files cannot be read.
    pub fn resume(folder: impl Into<PathBuf>, devices: Devices) -> Result<Self, Error> {
        let folder = folder.into();
        let path = folder.join(CONFIG);
        if !path.exists() {
            return Err(Error::NoRun {
                path: folder,
                file: CONFIG,
            });
        }
        let plan: Plan = parse(&path)?;
        plan.validate()?;
        devices.validate()?;
        let report = folder.join(REPORT);
        let report = if report.exists() {
            parse(&report)?
        } else {
            Report::default()
        };
        Ok(Self {
            folder,
            plan,
            devices,
            report,
            is_moved: false,
            notes: Vec::new(),
        })
    }

    /// Says where files that the run starts from are now; those that are not given stay where they were.
    ///
    /// # Errors
    /// [`Error::Option`] for a file of a kind that the run does not start from; as [`new`](Self::new)
    /// for one that it cannot start from.
    pub fn set_start(&mut self, start: Start) -> Result<(), Error> {
        let old = &mut self.plan.start;
        let unmoved = Start {
            ema: old.ema,
            heads: old.heads,
            ..Start::default()
        };
        let mut moved = unmoved.clone();
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
        self.notes = notes(&moved.check(&self.plan.recipe.model)?);
        self.is_moved |= moved != unmoved;
        old.teacher = moved.teacher.or(old.teacher.take());
        old.finetune = moved.finetune.or(old.finetune.take());
        old.stage1 = moved.stage1.or(old.stage1.take());
        Ok(())
    }

    /// Puts another [context](Plan::context) in place, as where the data are now. Training keeps it in
    /// `config.json`.
    pub fn set_context(&mut self, context: Map<String, Value>) {
        self.is_moved |= context != self.plan.context;
        self.plan.context = context;
    }

    /// What it is to do.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What it came to so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The file of a phase's model.
    pub fn model_path(&self, phase: Phase) -> PathBuf {
        self.folder.join(format!("{phase}.bpk"))
    }

    /// Trains what is not trained yet.
    ///
    /// # Errors
    /// [`Error::Stopped`] if the hooks stop it and [`Error::NotFinite`] if a loss is not finite;
    /// [`Error::Busy`] if somebody else trains in the folder; otherwise what is wrong with data, files,
    /// models or device.
    pub fn train(&mut self, data: &DataSplits, hooks: &Hooks) -> Result<&Report, Error> {
        self.notes.drain(..).for_each(|note| (hooks.note)(&note));
        let lock = self.lock(hooks)?;
        let rewritten = self.is_moved.then(|| self.rewrite_plan()).transpose()?;
        let _locks = (lock, rewritten);
        self.tidy()?;
        for row in &self.report.phases {
            let path = self.model_path(row.phase);
            if !path.exists() {
                let reason = format!("{} is finished, but its model is not there", row.phase);
                return Err(Error::file(&path, reason));
            }
        }
        gsb_cpu::on_worker(|| self.train_phases(data, hooks))?;
        Ok(&self.report)
    }

    /// Keeps others from training in the folder, until the file is closed, however the process ends.
    fn lock(&self, hooks: &Hooks) -> Result<Option<File>, Error> {
        let path = self.folder.join(CONFIG);
        // NFS locks only what is open for writing.
        let file = File::options()
            .read(true)
            .write(true)
            .open(&path)
            .or_else(|_| File::open(&path))
            .map_err(|error| Error::file(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Err(Error::Busy(self.folder.clone())),
            Err(TryLockError::Error(error)) => {
                (hooks.note)(&format!(
                    "{}: the file system has no locks ({error}): nothing keeps a second process from \
                     training there",
                    self.folder.display()
                ));
                Ok(None)
            }
        }
    }

    /// Writes `config.json` again, locked before it is in its place.
    fn rewrite_plan(&mut self) -> Result<Option<File>, Error> {
        let path = self.folder.join(CONFIG);
        let text = json(&path, &self.plan)?;
        let mut lock = None;
        gsb_files::replace(&path, |file| {
            file.write_all(text.as_bytes())?;
            lock = Some(file.try_clone()?).filter(|file| file.try_lock().is_ok());
            Ok(())
        })
        .map_err(|error| Error::file(&path, error))?;
        self.is_moved = false;
        Ok(lock)
    }

    /// Removes what a process left that was killed, and adds what it did not come to write.
    fn tidy(&self) -> Result<(), Error> {
        remove_leftovers(&self.folder);
        let environment = self.folder.join(ENVIRONMENT);
        if !environment.exists() {
            write_json(&environment, &Environment::of(&self.devices))?;
        }
        // Right before, a phase may have become finished.
        let finished = self.report.phases.iter();
        finished
            .map(|row| self.folder.join(row.phase.name()))
            .try_for_each(|folder| remove_folder(&folder))
    }

    fn train_phases(&mut self, data: &DataSplits, hooks: &Hooks) -> Result<(), Error> {
        let data = RunData::new(data, &self.plan.recipe)?;
        let recipe = self.plan.recipe.clone();
        let device = self.devices.main().clone().autodiff();
        let plain = device.clone().inner();
        let history = Arc::new(Mutex::new(History::open(&self.folder)?));
        let folder = self.folder.clone();
        let devices = self.devices.clone();
        let phase = PhaseRun {
            folder: &folder,
            recipe: &recipe,
            data: &data,
            devices: &devices,
            hooks,
            history,
        };

        let seed = |phase: Phase| device.seed(epoch_seed(recipe.seed, phase as usize));
        if recipe.trains(Phase::Teacher) && !self.finished(Phase::Teacher) {
            seed(Phase::Teacher);
            let model = self.fresh_teacher(&device)?;
            self.keep(&phase, phase.train(model, Teaching::Labels)?)?;
        }
        if recipe.trains(Phase::Stage1) && !self.finished(Phase::Stage1) {
            let teaching = self.teaching(Phase::Stage1, &phase, &plain)?;
            seed(Phase::Stage1);
            let model = recipe.model.init_stage1(&device)?;
            self.keep(&phase, phase.train(model, teaching)?)?;
        }
        if recipe.trains(Phase::Stage2) && !self.finished(Phase::Stage2) {
            let teaching = self.teaching(Phase::Stage2, &phase, &plain)?;
            seed(Phase::Stage2);
            let model = self.fresh_stage2(&data, &plain)?;
            self.keep(&phase, phase.train(model, teaching)?)?;
        }
        Ok(())
    }

    fn finished(&self, phase: Phase) -> bool {
        self.report.phases.iter().any(|row| row.phase == phase)
    }

    /// Saves what a phase has trained, and its line of the report.
    fn keep<M: Model + Classifier + 'static>(
        &mut self,
        run: &PhaseRun,
        trained: Trained<M>,
    ) -> Result<(), Error> {
        let phase = M::PHASE;
        checkpoint::save(&trained.last, self.model_path(phase))?;
        if let Some(best) = &trained.best {
            checkpoint::save(best, self.folder.join(format!("{phase}-best.bpk")))?;
        }
        let device = self.devices.main();
        let evaluation = Evaluation::of(&trained.last, &run.data.test_loader(run.recipe)?, device)?;
        let cost = trained.last.config().cost(phase)?.total;
        let history = run.history.lock().expect("nobody panics with it");
        let best = history
            .best(phase)
            .map_or((0, 0.0), |best| (best.epoch, best.top1));
        self.report.phases.push(PhaseReport {
            phase,
            top1: evaluation.top1,
            top5: evaluation.top5,
            loss: evaluation.loss,
            parameters: cost.total_parameters(),
            bytes: cost.packed_bytes,
            epochs: history.of(phase).count(),
            seconds: history.of(phase).map(|epoch| epoch.seconds).sum(),
            best_epoch: best.0,
            best_top1: best.1,
        });
        // Its line in the report is what makes a phase finished.
        write(&self.folder.join("report.txt"), &self.report.to_string())?;
        write_json(&self.folder.join(REPORT), &self.report)?;
        remove_folder(&run.phase_folder(phase))
    }

    fn fresh_teacher(&self, device: &Device) -> Result<VisionTransformer, Error> {
        let config = self
            .plan
            .recipe
            .model
            .clone()
            .with_distillation_token(false);
        match &self.plan.start.finetune {
            Some(path) => {
                let start = &self.plan.start;
                Ok(start
                    .load_finetune(path, &self.plan.recipe.model, device)?
                    .0)
            }
            None => Ok(config.init_teacher(device)?),
        }
    }

    /// The student of stage 2 with the weights of stage 1 and scales from the first batch, for
    /// training. The device is one without autodiff.
    fn fresh_stage2(&self, data: &RunData, device: &Device) -> Result<Stage2Student, Error> {
        let recipe = &self.plan.recipe;
        let path = if recipe.trains(Phase::Stage1) {
            Some(self.model_path(Phase::Stage1))
        } else {
            self.plan.start.stage1.clone()
        };
        let student = match path {
            Some(path) => {
                let start = &self.plan.start;
                let (stage1, _) =
                    start.load::<Stage1Student>(&path, &recipe.model, Heads::Kept, device)?;
                let normalization = recipe.patch_normalization();
                Stage2Student::from_stage1(&stage1, &recipe.model, normalization)?.0
            }
            None => recipe.model.init_stage2(device)?,
        };
        let loader = data.training_loader(recipe, Phase::Stage2, 1)?;
        let batch = loader.epoch(0).next().transpose()?;
        let Some(batch) = batch else {
            return Ok(student.train());
        };
        let images = Tensor::<4>::from_data(TensorData::new(batch.images, batch.shape), device);
        Ok(student.calibrate(&images).train())
    }

    /// Whom a student learns from.
    fn teaching(&self, phase: Phase, run: &PhaseRun, device: &Device) -> Result<Teaching, Error> {
        let recipe = run.recipe;
        if recipe.phase(phase).distillation == Distillation::None {
            return Ok(Teaching::Labels);
        }
        let own = self.model_path(Phase::Teacher);
        let path = self.plan.start.teacher.clone().unwrap_or(own);
        let start = &self.plan.start;
        let (teacher, _) =
            start.load::<VisionTransformer>(&path, &recipe.model, Heads::Kept, device)?;
        Ok(match recipe.teacher_logits {
            TeacherLogits::Live => Teaching::Live(Box::new(teacher)),
            TeacherLogits::Cached => Teaching::Cached(logits(&teacher, phase, run, device)?),
        })
    }
}

/// What a teacher says of the training images as they are, `[images, classes]`.
fn logits(
    teacher: &VisionTransformer,
    phase: Phase,
    run: &PhaseRun,
    device: &Device,
) -> Result<TensorData, Error> {
    let (images, classes) = (run.data.train.len(), run.recipe.model.classes);
    let mut all = Vec::with_capacity(images * classes);
    for batch in evaluation_loader(Arc::clone(&run.data.train), run.recipe)?.epoch(0) {
        if run.hooks.interrupter.should_stop() {
            return Err(Error::Stopped { phase, epoch: 1 });
        }
        let batch = batch?;
        let images = Tensor::<4>::from_data(TensorData::new(batch.images, batch.shape), device);
        all.extend(teacher.infer(images).into_data().iter::<f32>());
    }
    Ok(TensorData::new(all, [images, classes]))
}

/// Writes the first files of a run; of those that it has written, none stays if one fails.
fn begin(folder: &Path, plan: &Plan, devices: &Devices) -> Result<(), Error> {
    create_folder(folder)?;
    let config = folder.join(CONFIG);
    if !write_new_json(&config, plan)? {
        return Err(Error::Occupied(folder.into()));
    }
    write_json(&folder.join(ENVIRONMENT), &Environment::of(devices)).inspect_err(|_| {
        // What failed says more than this would.
        let _ = std::fs::remove_file(&config);
    })
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Error> {
    serde_json::from_str(&read(path)?).map_err(|error| Error::file(path, error))
}
