//! What a run is to do.

use gsb_core::distill::Distillation;
use gsb_vit::Phase;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use gsb_data::DataSplits;

use crate::images::RunData;
use crate::start::Start;
use crate::{Devices, Error, Recipe};

/// What a run is to do, as its `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Model, phases and how they are trained.
    pub recipe: Recipe,
    /// What they start from.
    #[serde(default)]
    pub start: Start,
    /// Whatever else the caller wants to find there again: the data set, say.
    #[serde(flatten)]
    pub context: Map<String, Value>,
}

impl Plan {
    /// Checks that data and devices go with the recipe, as a run would find out when its phases begin.
    ///
    /// # Errors
    /// [`Error::Option`], [`Error::Data`] or [`Error::Loss`] with what does not.
    pub fn check(&self, data: &DataSplits, devices: &Devices) -> Result<(), Error> {
        devices.validate()?;
        let recipe = &self.recipe;
        let data = RunData::new(data, recipe)?;
        for &phase in &recipe.phases {
            data.training_loader(recipe, phase, devices.count())?;
            recipe.phase(phase).loss(recipe.mixup.is_some())?;
        }
        data.test_loader(recipe).map(drop)
    }

    /// Checks that the recipe is possible, and that what the run starts from is used.
    ///
    /// # Errors
    /// [`Error::Option`] for what is not; [`Error::Model`] for an impossible model.
    pub fn validate(&self) -> Result<(), Error> {
        let (recipe, start) = (&self.recipe, &self.start);
        recipe.validate()?;
        let conflict = |option: &str, reason: &str| Err(Error::option(option, reason));
        if start.teacher.is_some() && recipe.trains(Phase::Teacher) {
            return conflict("start.teacher", "the run trains a teacher of its own");
        }
        if start.stage1.is_some() && recipe.trains(Phase::Stage1) {
            return conflict(
                "start.stage1",
                "the run trains a stage-1 student of its own",
            );
        }
        if start.finetune.is_some() && !recipe.trains(Phase::Teacher) {
            return conflict(
                "start.finetune",
                "the run trains no teacher that would start from it",
            );
        }
        if start.heads.is_some() && start.teacher.is_none() && start.finetune.is_none() {
            return conflict(
                "start.heads",
                "there is no teacher or float model of a file",
            );
        }
        let students = [Phase::Stage1, Phase::Stage2];
        let distils = students.into_iter().any(|phase| {
            recipe.trains(phase) && recipe.phase(phase).distillation != Distillation::None
        });
        if start.teacher.is_some() && !distils {
            return conflict("start.teacher", "no phase of the run learns from it");
        }
        if distils && start.teacher.is_none() && !recipe.trains(Phase::Teacher) {
            let reason = "a student that distils needs one: train it or give a checkpoint";
            return conflict("teacher", reason);
        }
        if start.stage1.is_some() && !recipe.trains(Phase::Stage2) {
            return conflict(
                "start.stage1",
                "the run has no stage 2 that would start from it",
            );
        }
        Ok(())
    }
}
