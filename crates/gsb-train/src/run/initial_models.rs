//! The models that the phases of a run begin with.

use std::path::PathBuf;
use std::sync::Arc;

use burn::Tensor;
use burn::module::Module;
use burn::tensor::{Device, TensorData};
use gsb_vit::{Phase, Stage1Student, Stage2Student, VisionTransformer};

use super::init::Init;
use super::phase_trainer::PhaseTrainer;
use super::start::{Heads, Start};
use crate::error::Error;
use crate::recipe::TeacherLogits;
use crate::step::{LiveTeacher, Teacher};

/// What the phases of a run begin with and learn from.
pub(crate) struct InitialModels<'a> {
    pub start: &'a Start,
    pub trainer: &'a PhaseTrainer<'a>,
}

impl InitialModels<'_> {
    /// The float teacher that is to be trained.
    pub fn teacher(&self, device: &Device) -> Result<VisionTransformer, Error> {
        let model = &self.trainer.recipe.model;
        match &self.start.finetune {
            Some(path) => Ok(self.start.load_finetune(path, model, device)?.0),
            None => {
                let config = model.clone().with_distillation_token(false);
                Ok(config.init_teacher(device)?)
            }
        }
    }

    /// The student of stage 2 with the weights of stage 1 and scales from the first batch, for
    /// training. The device is one without autodiff.
    pub fn stage2(&self, device: &Device) -> Result<Stage2Student, Error> {
        let recipe = self.trainer.recipe;
        let student = match self.stage1_path() {
            Some(path) => {
                let (stage1, _) =
                    self.start
                        .load::<Stage1Student>(&path, &recipe.model, Heads::Kept, device)?;
                let normalization = recipe.patch_normalization();
                Stage2Student::from_stage1(&stage1, &recipe.model, normalization)?.0
            }
            None => match self.float(device)? {
                Some(float) => Stage2Student::from_teacher(&float, &recipe.model)?.0,
                None => recipe.model.init_stage2(device)?,
            },
        };
        Ok(match self.first_images(Phase::Stage2, device)? {
            Some(images) => student.calibrate(&images),
            None => student,
        }
        .train())
    }

    /// Where the student of stage 1 is, if there is one.
    fn stage1_path(&self) -> Option<PathBuf> {
        match self.trainer.recipe.trains(Phase::Stage1) {
            true => Some(self.trainer.folder.model(Phase::Stage1)),
            false => self.start.stage1.clone(),
        }
    }

    /// The teacher of the run.
    fn trained_teacher(&self, device: &Device) -> Result<VisionTransformer, Error> {
        let own = self.trainer.folder.model(Phase::Teacher);
        let path = self.start.teacher.clone().unwrap_or(own);
        let model = &self.trainer.recipe.model;
        Ok(self.start.load(&path, model, Heads::Kept, device)?.0)
    }

    /// The float model that students start from, if they start from one.
    fn float(&self, device: &Device) -> Result<Option<VisionTransformer>, Error> {
        match &self.start.init {
            Init::Fresh => Ok(None),
            Init::Teacher => self.trained_teacher(device).map(Some),
            Init::File(path) => {
                let model = &self.trainer.recipe.model;
                Ok(Some(self.start.load_finetune(path, model, device)?.0))
            }
        }
    }

    /// The student of stage 1, for training. The device is one with autodiff.
    pub fn stage1(&self, device: &Device) -> Result<Stage1Student, Error> {
        let model = &self.trainer.recipe.model;
        let plain = device.clone().inner();
        let Some(float) = self.float(&plain)? else {
            return Ok(model.init_stage1(device)?);
        };
        let Some(images) = self.first_images(Phase::Stage1, &plain)? else {
            return Ok(model.init_stage1(device)?);
        };
        let (student, _) = Stage1Student::from_teacher(&float, model, &images)?;
        Ok(student.train())
    }

    /// The first batch of a phase.
    fn first_images(&self, phase: Phase, device: &Device) -> Result<Option<Tensor<4>>, Error> {
        let (recipe, data) = (self.trainer.recipe, self.trainer.data);
        let loader = data.training_loader(recipe, phase, 1)?;
        let batch = loader.epoch(0).next().transpose()?;
        Ok(
            batch
                .map(|batch| Tensor::from_data(TensorData::new(batch.images, batch.shape), device)),
        )
    }

    /// Whom the student of a phase learns from. The device is one without autodiff.
    pub fn teacher_of(&self, phase: Phase, device: &Device) -> Result<Teacher, Error> {
        let recipe = self.trainer.recipe;
        if !recipe.phase(phase).distillation.distils() {
            return Ok(Teacher::None);
        }
        let teacher = self.trained_teacher(device)?;
        Ok(match recipe.teacher_logits {
            TeacherLogits::Live => Teacher::Live(LiveTeacher::new(teacher)),
            TeacherLogits::Cached => Teacher::Cached(self.logits(&teacher, phase, device)?),
        })
    }

    /// What a teacher says of the training images as they are, `[images, classes]`.
    fn logits(
        &self,
        teacher: &VisionTransformer,
        phase: Phase,
        device: &Device,
    ) -> Result<TensorData, Error> {
        let PhaseTrainer {
            recipe,
            data,
            callbacks,
            ..
        } = self.trainer;
        let (images, classes) = (data.train.len(), recipe.model.classes);
        let mut all = Vec::with_capacity(images * classes);
        for batch in super::loaders::evaluation_loader(Arc::clone(&data.train), recipe)?.epoch(0) {
            if callbacks.interrupter.should_stop() {
                let epoch = self.trainer.next_epoch(phase);
                return Err(Error::Stopped { phase, epoch });
            }
            let batch = batch?;
            let images = Tensor::<4>::from_data(TensorData::new(batch.images, batch.shape), device);
            all.extend(teacher.infer(images).into_data().iter::<f32>());
        }
        Ok(TensorData::new(all, [images, classes]))
    }
}
