//! What a run is to do.

use std::path::Path;

use gsb_cpu::Products;
use gsb_data::{DataSplits, Fingerprint};
use gsb_vit::Phase;
use serde::{Deserialize, Serialize};

use super::data_config::{DataConfig, Purpose};
use super::device_name::{DeviceName, Strategy};
use super::devices::Devices;
use super::init::Init;
use super::loaders::RunData;
use super::start::Start;
use crate::error::Error;
use crate::files::{absolute, parse};
use crate::recipe::Recipe;

/// The file that holds it in the folder of a run.
pub(super) const CONFIG: &str = "config.json";

/// What a run is to do, as its `config.json`.
///
/// ```
/// use gsb_data::Normalization;
/// use gsb_train::{DataConfig, Recipe, RunConfig};
/// use gsb_vit::VitConfig;
///
/// let recipe = Recipe::published(VitConfig::micro(), Normalization::half(1), 64);
/// let config = RunConfig {
///     data: Some(DataConfig { per_class: Some(10), ..DataConfig::default() }),
///     ..RunConfig::new(recipe)
/// };
/// config.validate()?;
/// let json = serde_json::to_string(&config)?;
/// assert_eq!(serde_json::from_str::<RunConfig>(&json)?, config);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// What to train and test on; none for images that a program brings itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataConfig>,
    /// Names of the classes, as the data had them; none if nobody asked them.
    #[serde(default)]
    pub classes: Vec<String>,
    /// What tells the images from others, if somebody looked.
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
    /// What the matrix products of all phases multiply, in training and in evaluation; other than floats on one device
    /// `flex` alone.
    #[serde(default, skip_serializing_if = "is_float")]
    pub products: Products,
    /// Model, phases and how they are trained.
    pub recipe: Recipe,
    /// What they start from.
    #[serde(default)]
    pub start: Start,
}

fn one() -> usize {
    1
}

fn is_float(products: &Products) -> bool {
    *products == Products::Float
}

impl RunConfig {
    /// A run on one device from fresh weights, on images that the program brings.
    pub fn new(recipe: Recipe) -> Self {
        Self {
            data: None,
            classes: Vec::new(),
            fingerprint: None,
            device: DeviceName::default(),
            devices: 1,
            strategy: Strategy::default(),
            products: Products::default(),
            recipe,
            start: Start::default(),
        }
    }

    /// The `config.json` of the run in a folder.
    ///
    /// # Errors
    /// [`Error::NoRun`] if there is none, [`Error::File`] if it cannot be read.
    pub fn of_folder(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(CONFIG);
        match path.exists() {
            true => parse(&path),
            false => Err(Error::NoRun {
                path: folder.into(),
                file: CONFIG,
            }),
        }
    }

    /// Opens the devices.
    ///
    /// # Errors
    /// As [`DeviceName::open_all`].
    pub fn open_devices(&self) -> Result<Devices, Error> {
        self.device.open_all(self.devices, self.strategy)
    }

    /// What to train and test on.
    ///
    /// # Errors
    /// [`Error::Option`] if the program that described the run brought the images itself.
    pub fn data(&self) -> Result<&DataConfig, Error> {
        let reason = "the program that began the run had images of its own: expected a data set";
        self.data
            .as_ref()
            .ok_or_else(|| Error::option("data", reason))
    }

    /// Opens and checks the images. `remark` is told what a user should know about them.
    ///
    /// # Errors
    /// As [`data`](Self::data) and [`DataConfig::open`]; [`Error::Option`] if the images are not where they were, or are
    /// of other [classes](Self::classes).
    pub fn open_data(
        &self,
        purpose: Purpose,
        remark: impl FnMut(&str),
    ) -> Result<DataSplits, Error> {
        let data = self.data()?;
        if let Some(path) = &data.path
            && !data.download
            && !path.exists()
        {
            let reason = format!(
                "{} was looked for in {}, which is not there: give the folder that it is in now",
                data.set,
                absolute(path).display()
            );
            return Err(Error::option("data.path", reason));
        }
        let splits = data.open(purpose, remark)?;
        if !self.classes.is_empty() && self.classes != splits.classes() {
            let reason = format!(
                "the run was trained on the classes {}, but {} has {}",
                self.classes.join(", "),
                data.set,
                splits.classes().join(", ")
            );
            return Err(Error::option("data.path", reason));
        }
        Ok(splits)
    }

    /// The names of the classes as the run was trained on them.
    ///
    /// # Errors
    /// Where the configuration, of an earlier version, does not have them: as [`open_data`](Self::open_data).
    pub fn class_names(&self) -> Result<Vec<String>, Error> {
        if self.classes.is_empty() {
            let splits = self.open_data(Purpose::Names, |_| {})?;
            return Ok(splits.classes().to_vec());
        }
        Ok(self.classes.clone())
    }

    /// Keeps what tells the images from others, and the names of their classes.
    ///
    /// # Errors
    /// [`Error::Data`] if an image cannot be read.
    pub fn note_images(&mut self, splits: &DataSplits) -> Result<(), Error> {
        self.classes = splits.classes().to_vec();
        self.fingerprint = Some(splits.fingerprint()?);
        Ok(())
    }

    /// Checks that the images are those that the run began with, where that [was kept](Self::note_images).
    ///
    /// # Errors
    /// [`Error::ChangedData`] if they are not; [`Error::Data`] if an image cannot be read.
    pub fn check_images(&self, splits: &DataSplits) -> Result<(), Error> {
        let Some(begun) = &self.fingerprint else {
            return Ok(());
        };
        let now = splits.fingerprint()?;
        match now == *begun {
            true => Ok(()),
            false => Err(Error::ChangedData {
                begun: begun.clone(),
                now,
            }),
        }
    }

    /// Checks that data and devices go with the recipe, as a run would find out when its phases begin.
    ///
    /// # Errors
    /// [`Error::Option`], [`Error::Data`] or [`Error::Loss`] with what does not.
    pub fn check(&self, data: &DataSplits, devices: &Devices) -> Result<(), Error> {
        self.check_devices(devices)?;
        let recipe = &self.recipe;
        let data = RunData::new(data, recipe)?;
        for &phase in &recipe.phases {
            data.training_loader(recipe, phase, devices.count())?;
            recipe.phase(phase).loss(recipe.mixup_of(phase).is_some())?;
        }
        data.test_loader(recipe).map(drop)
    }

    /// Checks that the devices can work together and compute the products.
    pub(super) fn check_devices(&self, devices: &Devices) -> Result<(), Error> {
        if matches!(devices, Devices::Distributed(_)) && devices.count() > 1 {
            let recipe = &self.recipe;
            let mut phases = recipe.phases.iter();
            if let Some(phase) = phases.find(|&&phase| recipe.phase(phase).patience.is_some()) {
                let reason = "the loops of several devices would not end together: expected none, or the strategy multi";
                return Err(Error::option(format!("{phase}.patience"), reason));
            }
        }
        devices.validate()?;
        if self.products == Products::Float {
            return Ok(());
        }
        let refused = |reason: String| Err(Error::option("products", reason));
        if !devices.is_flex() {
            return refused(format!("{} is for one device flex", self.products));
        }
        self.products
            .check()
            .or_else(|error| refused(error.to_string()))
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
        let floats = [&start.teacher, &start.finetune];
        let has_float = floats.into_iter().any(Option::is_some) || start.init.file().is_some();
        if start.heads.is_some() && !has_float {
            return conflict(
                "start.heads",
                "there is no teacher or float model of a file",
            );
        }
        let students = [Phase::Stage1, Phase::Stage2];
        let distils = students
            .into_iter()
            .any(|phase| recipe.trains(phase) && recipe.phase(phase).distillation.distils());
        if start.teacher.is_some() && !distils && start.init != Init::Teacher {
            return conflict("start.teacher", "no phase of the run learns from it");
        }
        if distils && start.teacher.is_none() && !recipe.trains(Phase::Teacher) {
            let reason = "a student that distils needs one: train it or give a checkpoint";
            return conflict("teacher", reason);
        }
        if start.init != Init::Fresh {
            if start.stage1.is_some() {
                return conflict("start.init", "the run starts from a stage-1 student");
            }
            if !students.into_iter().any(|phase| recipe.trains(phase)) {
                return conflict("start.init", "the run trains no student");
            }
        }
        if start.init == Init::Teacher && start.teacher.is_none() && !recipe.trains(Phase::Teacher)
        {
            return conflict(
                "start.init",
                "there is no teacher: train it or give a checkpoint",
            );
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
