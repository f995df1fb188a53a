//! The ablation of the paper's tables.

mod table;
mod variant;

pub use table::{Row, Table};
pub use variant::Variant;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use gsb_core::distill::Distillation;
use gsb_data::DataSplits;
use gsb_vit::Phase;
use serde_json::{Map, Value};

use crate::{Devices, Error, Hooks, PhaseRecipe, Plan, Recipe, Run, Start, absolute};

/// Trains [variants](Variant) of the student over several seeds.
///
/// With each seed one teacher is trained, and one stage-1 student with distillation and one without;
/// all variants of that seed start from these.
#[derive(Debug, Clone)]
pub struct Ablation {
    /// What all variants have in common.
    pub base: Recipe,
    /// The students.
    pub variants: Vec<Variant>,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// What the teachers start from, instead of fresh weights: a float model to finetune.
    pub start: Start,
    /// Whatever else decides about the results, the data set above all: what is finished counts only
    /// if it was trained with the same. Where the data are, `data.path`, may change.
    pub context: Map<String, Value>,
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
        hooks: &Hooks,
        mut started: impl FnMut(usize, usize, &str),
    ) -> Result<Table, Error> {
        if self.seeds.is_empty() || self.variants.is_empty() {
            return Err(Error::option(
                "seeds",
                "expected at least one, and at least one variant",
            ));
        }
        let taught = |phase: &PhaseRecipe| phase.distillation != Distillation::None;
        if self.variants.iter().any(|variant| variant.distilled)
            && !(taught(&self.base.stage1) && taught(&self.base.stage2))
        {
            return Err(Error::option(
                "distillation",
                "expected soft or hard for the students that learn from the teacher, got none",
            ));
        }
        let shared: HashSet<bool> = self.first_stages().collect();
        let all = self.seeds.len() * (1 + shared.len() + self.variants.len());
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
            let folder = folder.join(format!("seed-{seed}"));
            let mut train = |name: &str, recipe: Recipe, start: Start| {
                started(all, done, &format!("seed {seed}: {name}"));
                done += 1;
                let plan = Plan {
                    recipe,
                    start,
                    context: self.context.clone(),
                };
                trained(&folder.join(name), plan, data, devices, hooks)
            };
            let mut teacher = self.base.clone();
            teacher.seed = seed;
            teacher.phases = vec![Phase::Teacher];
            let start = self.start.clone();
            rows[0].top1.push(train("teacher", teacher, start)?);
            let teacher = folder.join("teacher/teacher.bpk");
            let start = |variant: &Variant| Start {
                teacher: variant.distilled.then(|| teacher.clone()),
                ..Start::default()
            };
            for (row, variant) in rows[1..].iter_mut().zip(&self.variants) {
                let mut start = start(variant);
                if variant.stages == 2 {
                    let name = if variant.distilled {
                        "stage1-distilled"
                    } else {
                        "stage1-labels"
                    };
                    let recipe = variant.recipe(&self.base, Phase::Stage1, seed);
                    let path = folder.join(name).join("stage1.bpk");
                    if !path.exists() {
                        train(name, plain(recipe), start.clone())?;
                    }
                    start.stage1 = Some(path);
                }
                let recipe = variant.recipe(&self.base, Phase::Stage2, seed);
                row.top1.push(train(&variant.folder(), recipe, start)?);
            }
        }
        Ok(Table {
            seeds: self.seeds.clone(),
            rows,
        })
    }

    /// The kinds of stage 1 that variants start from: distilled or not.
    fn first_stages(&self) -> impl Iterator<Item = bool> {
        let staged = self.variants.iter().filter(|variant| variant.stages == 2);
        staged.map(|variant| variant.distilled)
    }
}

/// Stage 1 knows no groups: all variants share one.
fn plain(mut recipe: Recipe) -> Recipe {
    recipe.model.attention_groups = 3;
    recipe.model.value_groups = 3;
    recipe
}

/// What decides about the results: not where the data are.
fn without_place(context: &Map<String, Value>) -> Map<String, Value> {
    let mut context = context.clone();
    if let Some(Value::Object(data)) = context.get_mut("data") {
        data.remove("path");
    }
    context
}

/// Top-1 of a run of one phase, trained if it is not yet.
fn trained(
    folder: &Path,
    plan: Plan,
    data: &DataSplits,
    devices: &Devices,
    hooks: &Hooks,
) -> Result<f64, Error> {
    let mut run = if folder.join("config.json").exists() {
        let mut run = Run::resume(folder, devices.clone())?;
        let found = run.plan();
        let place = |path: &Option<PathBuf>| path.as_deref().map(absolute);
        let same = found.recipe == plan.recipe
            && without_place(&found.context) == without_place(&plan.context)
            && place(&found.start.finetune) == place(&plan.start.finetune)
            && (found.start.ema, found.start.heads) == (plan.start.ema, plan.start.heads);
        if !same {
            let reason = "it holds a training of another recipe or data: choose another folder";
            return Err(Error::file(folder, reason));
        }
        // Folder and data may have moved since.
        run.set_start(plan.start)?;
        run.set_context(plan.context);
        run
    } else {
        Run::new(folder, plan, devices.clone())?
    };
    Ok(run.train(data, hooks)?.phases[0].top1)
}
