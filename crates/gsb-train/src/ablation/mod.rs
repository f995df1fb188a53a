//! The ablation of the paper's tables.

mod table;
mod variant;

pub use table::{Row, Table};
pub use variant::Variant;

use std::collections::HashSet;
use std::path::Path;

use gsb_data::DataSplits;
use gsb_vit::Phase;

use crate::error::Error;
use crate::files::absolute;
use crate::recipe::{PhaseRecipe, Recipe};
use crate::run::{Callbacks, DataConfig, Devices, Init, Run, RunConfig, Start};

/// Trains [variants](Variant) of the student over several seeds.
///
/// With each seed one teacher is trained, and one stage-1 student with distillation and one without;
/// all variants of that seed start from these.
#[derive(Debug, Clone)]
pub struct Ablation {
    /// What all variants have in common, with what teachers and students start from. What is
    /// finished counts only if it was trained on the same data; where they are, [`DataConfig::path`], may change.
    pub base: RunConfig,
    /// The students.
    pub variants: Vec<Variant>,
    /// The seeds.
    pub seeds: Vec<u64>,
}

impl Ablation {
    /// Trains everything in a folder. What is finished there already is taken as it is, and what is
    /// half done goes on: an interrupted ablation is repeated with the same call.
    ///
    /// `started` is told what begins: how many trainings there are, how many are done, and which is
    /// next.
    ///
    /// # Errors
    /// As [`Run::train`]; [`Error::Option`] if there is nothing to train, or a variant that is to learn
    /// from the teacher does not; [`Error::File`] if the folder holds runs of another plan.
    pub fn train(
        &self,
        folder: &Path,
        data: &DataSplits,
        devices: &Devices,
        callbacks: &Callbacks,
        mut started: impl FnMut(usize, usize, &str),
    ) -> Result<Table, Error> {
        self.validate()?;
        let seed_folder = |seed: u64| folder.join(format!("seed-{seed}"));
        if self.seeds.iter().any(|&seed| !seed_folder(seed).exists()) {
            // Before anything is trained, but not for a table that is there already.
            self.check_files()?;
        }
        let shared: HashSet<bool> = self.first_stages().collect();
        // Those stages that are there are not trained again.
        let first_stages = |&seed: &u64| {
            let missing = shared.iter().filter(move |&&distilled| {
                !seed_folder(seed)
                    .join(first_stage(distilled))
                    .join("stage1.bpk")
                    .exists()
            });
            missing.count()
        };
        let all = self.seeds.len() * (1 + self.variants.len())
            + self.seeds.iter().map(first_stages).sum::<usize>();
        let mut done = 0;
        let mut rows = vec![Row {
            variant: None,
            top1: Vec::new(),
        }];
        rows.extend(self.variants.iter().map(|&variant| Row {
            variant: Some(variant),
            top1: Vec::new(),
        }));
        for &seed in &self.seeds {
            let folder = seed_folder(seed);
            let mut train = |name: &str, recipe: Recipe, start: Start| {
                started(all, done, &format!("seed {seed}: {name}"));
                done += 1;
                let config = RunConfig {
                    recipe,
                    start,
                    ..self.base.clone()
                };
                trained(&folder.join(name), config, data, devices, callbacks)
            };
            let teacher = Recipe {
                seed,
                phases: vec![Phase::Teacher],
                ..self.base.recipe.clone()
            };
            let start = self.teacher_start();
            rows[0].top1.push(train("teacher", teacher, start)?);
            for (row, variant) in rows[1..].iter_mut().zip(&self.variants) {
                row.top1
                    .push(self.student(variant, seed, &folder, &mut train)?);
            }
        }
        Ok(Table {
            seeds: self.seeds.clone(),
            training_images: data.train.len(),
            rows,
        })
    }

    /// Top-1 of a variant with a seed, whose teacher is trained. Its stage 1 is trained by the first that needs it.
    fn student(
        &self,
        variant: &Variant,
        seed: u64,
        folder: &Path,
        mut train: impl FnMut(&str, Recipe, Start) -> Result<f64, Error>,
    ) -> Result<f64, Error> {
        let mut start = Start {
            teacher: self
                .needs_teacher(variant)
                .then(|| folder.join("teacher/teacher.bpk")),
            ..self.student_start()
        };
        if variant.stages == 2 {
            let name = first_stage(variant.distilled);
            let recipe = variant.recipe(&self.base.recipe, Phase::Stage1, seed);
            let path = folder.join(name).join("stage1.bpk");
            if !path.exists() {
                train(name, plain(recipe), start.clone())?;
            } else if init_of(&RunConfig::of_folder(&folder.join(name))?.start) != init_of(&start) {
                return Err(of_another_plan(&folder.join(name)));
            }
            start = Start {
                teacher: start.teacher.filter(|_| variant.distilled),
                stage1: Some(path),
                ..Start::default()
            };
        }
        let recipe = variant.recipe(&self.base.recipe, Phase::Stage2, seed);
        train(&variant.slug(), recipe, start)
    }

    /// What repeats a row with a seed as one run, its teacher and its stage 1 included: the float teacher of none.
    pub fn run_config(&self, variant: Option<&Variant>, seed: u64) -> RunConfig {
        let base = &self.base;
        let (recipe, start) = match variant {
            None => {
                let recipe = Recipe {
                    seed,
                    phases: vec![Phase::Teacher],
                    ..base.recipe.clone()
                };
                (recipe, self.teacher_start())
            }
            Some(variant) => {
                let mut recipe = variant.recipe(&base.recipe, Phase::Stage2, seed);
                let mut start = self.student_start();
                recipe.phases.clear();
                if self.needs_teacher(variant) {
                    recipe.phases.push(Phase::Teacher);
                    start.finetune = base.start.finetune.clone();
                    (start.ema, start.heads) = (base.start.ema, base.start.heads);
                }
                if variant.stages == 2 {
                    recipe.phases.push(Phase::Stage1);
                }
                recipe.phases.push(Phase::Stage2);
                (recipe, start)
            }
        };
        RunConfig {
            data: base.data.clone().map(DataConfig::absolute),
            recipe,
            start: start.absolute(),
            ..base.clone()
        }
    }

    /// What a teacher starts from.
    fn teacher_start(&self) -> Start {
        match self.base.start.finetune {
            Some(_) => Start {
                init: Init::Fresh,
                ..self.base.start.clone()
            },
            None => Start::default(),
        }
    }

    /// What the first student of a variant starts from, but for its teacher.
    fn student_start(&self) -> Start {
        let start = &self.base.start;
        match &start.init {
            Init::File(_) => Start {
                init: start.init.clone(),
                ema: start.ema,
                heads: start.heads,
                ..Start::default()
            },
            init => Start {
                init: init.clone(),
                ..Start::default()
            },
        }
    }

    /// Whether students learn from a teacher, or start from it.
    fn needs_teacher(&self, variant: &Variant) -> bool {
        variant.distilled || self.base.start.init == Init::Teacher
    }

    /// Checks that there is something to train, and that it can be.
    fn validate(&self) -> Result<(), Error> {
        if self.seeds.is_empty() || self.variants.is_empty() {
            return Err(Error::option(
                "seeds",
                "expected at least one, and at least one variant",
            ));
        }
        let start = &self.base.start;
        for (option, given) in [
            ("start.teacher", start.teacher.is_some()),
            ("start.stage1", start.stage1.is_some()),
        ] {
            if given {
                let reason = "an ablation trains teachers and stage 1: expected none";
                return Err(Error::option(option, reason));
            }
        }
        let taught = |phase: &PhaseRecipe| phase.distillation.distils();
        if self.variants.iter().any(|variant| variant.distilled)
            && !(taught(&self.base.recipe.stage1) && taught(&self.base.recipe.stage2))
        {
            return Err(Error::option(
                "distillation",
                "expected soft or hard for the students that learn from the teacher, got none",
            ));
        }
        let variants = self.variants.iter().map(Some);
        for variant in [None].into_iter().chain(variants) {
            self.run_config(variant, self.seeds[0]).validate()?;
        }
        Ok(())
    }

    /// Looks at the files that trainings start from.
    fn check_files(&self) -> Result<(), Error> {
        for start in [self.teacher_start(), self.student_start()] {
            let reports = start.check(&self.base.recipe)?;
            if start.finetune.is_some() || start.init.file().is_some() {
                start.check_average(&reports)?;
            }
        }
        Ok(())
    }

    /// The kinds of stage 1 that variants start from: distilled or not.
    fn first_stages(&self) -> impl Iterator<Item = bool> {
        let staged = self.variants.iter().filter(|variant| variant.stages == 2);
        staged.map(|variant| variant.distilled)
    }
}

/// The folder of a stage 1.
fn first_stage(distilled: bool) -> &'static str {
    match distilled {
        true => "stage1-distilled",
        false => "stage1-labels",
    }
}

/// Stage 1 has no groups: all variants share one.
fn plain(mut recipe: Recipe) -> Recipe {
    recipe.model.stage2.attention_groups = 3;
    recipe.model.stage2.value_groups = 3;
    recipe
}

/// What of the data decides about the results: not where they are.
fn without_place(data: &Option<DataConfig>) -> Option<DataConfig> {
    let data = data.clone()?;
    Some(DataConfig { path: None, ..data })
}

/// Whether a run that was begun is the one that is to be trained, wherever its files are by now.
fn is_same(begun: &RunConfig, config: &RunConfig) -> bool {
    let finetune = |config: &RunConfig| config.start.finetune.as_deref().map(absolute);
    (&begun.recipe, begun.products) == (&config.recipe, config.products)
        && without_place(&begun.data) == without_place(&config.data)
        && (&begun.classes, &begun.fingerprint) == (&config.classes, &config.fingerprint)
        && finetune(begun) == finetune(config)
        && init_of(&begun.start) == init_of(&config.start)
        && (begun.start.ema, begun.start.heads) == (config.start.ema, config.start.heads)
}

/// What the first student starts from, a file by its absolute path.
fn init_of(start: &Start) -> Init {
    start.clone().absolute().init
}

fn of_another_plan(folder: &Path) -> Error {
    let reason =
        "it holds a training of another recipe, products, data or start: choose another folder";
    Error::file(folder, reason)
}

/// Top-1 of a run of one phase, trained if it is not yet.
fn trained(
    folder: &Path,
    config: RunConfig,
    data: &DataSplits,
    devices: &Devices,
    callbacks: &Callbacks,
) -> Result<f64, Error> {
    let mut run = if folder.join("config.json").exists() {
        let mut run = Run::resume_on(folder, devices.clone())?;
        if !is_same(run.config(), &config) {
            return Err(of_another_plan(folder));
        }
        // Folder and data may have moved since, but what is no file cannot.
        let init = match config.start.init {
            Init::File(path) => Init::File(path),
            Init::Fresh | Init::Teacher => Init::Fresh,
        };
        run.set_start(Start {
            init,
            ..config.start
        })?;
        run.set_data(config.data, config.fingerprint);
        run
    } else {
        Run::new_on(folder, config, devices.clone())?
    };
    Ok(run.train(data, callbacks)?.phases[0].top1)
}
