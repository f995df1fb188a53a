//! The recipe: what is trained, on what, for how long, and how.

mod binarization;
mod distillation;
mod numbers;
mod optimizer;
mod parity;
mod phase;
mod schedule;
mod teacher_logits;

pub use self::binarization::BinarizationRecipe;
pub use self::distillation::DistillationRecipe;
pub use self::optimizer::OptimizerRecipe;
pub use self::parity::Parity;
pub use self::phase::PhaseRecipe;
pub use self::schedule::ScheduleRecipe;
pub use self::teacher_logits::TeacherLogits;

use gsb_core::distill::Distillation;
use gsb_data::{EvalTransform, Mixup, Normalization, TrainTransform, Transform};
use gsb_vit::{PatchNormalization, Phase, VitConfig};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The recipe of a run: teacher, stage 1, stage 2.
///
/// [`Recipe::published`] is the paper's.
///
/// Source: GSB (arXiv 2305.07931), section on training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The students. The teacher is the float model of the same sizes.
    pub model: VitConfig,
    /// The phases to train, in this order whatever the order here.
    pub phases: Vec<Phase>,
    /// Decides initial weights, order and augmentation of the images, and everything else drawn.
    pub seed: u64,
    /// The float teacher.
    pub teacher: PhaseRecipe,
    /// The stage-1 student.
    pub stage1: PhaseRecipe,
    /// The stage-2 student.
    pub stage2: PhaseRecipe,
    /// What the teacher says of a training image.
    pub teacher_logits: TeacherLogits,
    /// How training images are brought to the model's size and augmented.
    pub augmentation: TrainTransform,
    /// Whether and how training images are mixed.
    pub mixup: Option<Mixup>,
    /// The phases whose images are mixed.
    #[serde(default = "all_phases", skip_serializing_if = "is_all_phases")]
    pub mixup_phases: Vec<Phase>,
    /// How test images are brought to the model's size.
    pub evaluation: EvalTransform,
    /// How often an image appears in an epoch, each time with an augmentation of its own
    /// (repeated augmentation); 1 for once.
    pub repeats: usize,
    /// Test images in a batch.
    pub evaluation_batch_size: usize,
    /// Threads that decode and augment images; 0 leaves it to the training thread.
    pub workers: usize,
    /// Where to be as the published code is rather than as its description says.
    pub parity: Parity,
}

/// By default, all phases have their images mixed.
fn all_phases() -> Vec<Phase> {
    Phase::ALL.into()
}

/// Files say only what is out of the ordinary.
fn is_all_phases(phases: &[Phase]) -> bool {
    *phases == Phase::ALL
}

/// More repeats or threads than anybody wants.
const MANY: usize = 1024;

impl Recipe {
    /// The published recipe for a model and the size of its training batch: stage 1 of 600 epochs
    /// and stage 2 of 300, learning rate `1e-3 batch / 512`. The teacher, of which the paper says
    /// only that it is fine-tuned, takes 300 epochs.
    ///
    /// Images of more than 32 pixels are augmented as ImageNet's, others as CIFAR's.
    pub fn published(model: VitConfig, normalization: Normalization, batch_size: usize) -> Self {
        let phase = |epochs, kind| PhaseRecipe {
            epochs,
            distillation: DistillationRecipe::published(kind),
            ..PhaseRecipe::published(batch_size)
        };
        Self {
            phases: all_phases(),
            seed: 0,
            teacher: phase(300, Distillation::None),
            stage1: phase(600, Distillation::Hard),
            stage2: phase(300, Distillation::Hard),
            teacher_logits: TeacherLogits::Live,
            augmentation: TrainTransform::published(model.image_size, normalization.clone()),
            mixup: None,
            mixup_phases: all_phases(),
            evaluation: EvalTransform::new(model.image_size, normalization),
            repeats: 1,
            evaluation_batch_size: batch_size * 3 / 2,
            workers: 2,
            parity: Parity::default(),
            model,
        }
    }

    /// The recipe of a phase.
    pub fn phase(&self, phase: Phase) -> &PhaseRecipe {
        match phase {
            Phase::Teacher => &self.teacher,
            Phase::Stage1 => &self.stage1,
            Phase::Stage2 => &self.stage2,
        }
    }

    /// The recipe of a phase, to change.
    pub fn phase_mut(&mut self, phase: Phase) -> &mut PhaseRecipe {
        match phase {
            Phase::Teacher => &mut self.teacher,
            Phase::Stage1 => &mut self.stage1,
            Phase::Stage2 => &mut self.stage2,
        }
    }

    /// Whether a phase is trained.
    pub fn trains(&self, phase: Phase) -> bool {
        self.phases.contains(&phase)
    }

    /// How the training images of a phase are mixed, if they are.
    pub fn mixup_of(&self, phase: Phase) -> Option<Mixup> {
        self.mixup.filter(|_| self.mixup_phases.contains(&phase))
    }

    /// Checks that the numbers go together.
    ///
    /// # Errors
    /// [`Error::Option`] for the first option that is impossible; [`Error::Model`] for an impossible
    /// model.
    pub fn validate(&self) -> Result<(), Error> {
        self.model.validate()?;
        if self.phases.is_empty() {
            return Err(Error::option("phases", "expected at least one"));
        }
        let positive = |option: &str, value: usize| match value {
            0 => Err(Error::option(option, "must be at least 1, got 0")),
            _ => Ok(()),
        };
        positive("repeats", self.repeats)?;
        for (option, value) in [("repeats", self.repeats), ("workers", self.workers)] {
            if value > MANY {
                return Err(Error::option(
                    option,
                    format!("must be at most {MANY}, got {value}"),
                ));
            }
        }
        positive("evaluation_batch_size", self.evaluation_batch_size)?;
        for phase in Phase::ALL {
            if self.trains(phase) {
                self.phase(phase)
                    .validate(phase, &self.model)
                    .map_err(|error| error.within(phase.name()))?;
            }
        }
        self.validate_images()?;
        let mixed = |phase| self.trains(phase) && self.mixup_of(phase).is_some();
        let students_mixed = mixed(Phase::Stage1) || mixed(Phase::Stage2);
        if self.teacher_logits == TeacherLogits::Cached && students_mixed {
            return Err(Error::option(
                "teacher_logits",
                "cached logits are of single images, but mixup mixes them",
            ));
        }
        self.validate_teacher()
    }

    /// Checks that the inside of a teacher can be compared with that of the students that learn from it.
    ///
    /// # Errors
    /// [`Error::Option`] if patches differ.
    pub(crate) fn validate_inside(&self, teacher: &VitConfig) -> Result<(), Error> {
        for phase in [Phase::Stage1, Phase::Stage2] {
            let Some(option) = self.learned_inside(phase) else {
                continue;
            };
            let (of_teacher, of_student) = (teacher.patch_size, self.model.patch_size);
            if of_teacher != of_student {
                let option = format!("{phase}.distillation.{option}");
                let reason =
                    format!("the teacher has patches of {of_teacher}, the student {of_student}");
                return Err(Error::option(option, reason));
            }
        }
        Ok(())
    }

    /// The option by which a phase that is trained learns from the inside of the teacher, if one does.
    fn learned_inside(&self, phase: Phase) -> Option<&'static str> {
        let option = self.phase(phase).distillation.inside_option();
        option.filter(|_| self.trains(phase))
    }

    /// Checks that the teacher is asked for what it can be asked for.
    fn validate_teacher(&self) -> Result<(), Error> {
        for phase in [Phase::Stage1, Phase::Stage2] {
            let inside = self.learned_inside(phase).is_some();
            if inside && self.teacher_logits == TeacherLogits::Cached {
                let reason =
                    format!("{phase} learns from the inside of the teacher, which is not cached");
                return Err(Error::option("teacher_logits", reason));
            }
        }
        Ok(())
    }

    /// Checks that images are made as the model takes them.
    fn validate_images(&self) -> Result<(), Error> {
        let within = |part: &str, result: Result<(), gsb_data::Error>| {
            result.map_err(|error| Error::option(part, error.to_string()))
        };
        within("augmentation", self.augmentation.validate())?;
        within("evaluation", self.evaluation.validate().map_err(Into::into))?;
        if let Some(mixup) = &self.mixup {
            within("mixup", mixup.validate())?;
            if self.mixup_phases.is_empty() {
                return Err(Error::option("mixup_phases", "expected at least one"));
            }
        }
        let (channels, side) = (self.model.channels, self.model.image_size);
        for (part, made) in [
            ("augmentation", self.augmentation.shape()),
            ("evaluation", self.evaluation.shape()),
        ] {
            if made != [channels, side, side] {
                let reason = format!(
                    "makes images of {} pixels and {} channels, the model takes {side} and {channels}",
                    made[1], made[0]
                );
                return Err(Error::option(part, reason));
            }
        }
        Ok(())
    }

    /// How stage 2 takes over stage 1's batch normalization.
    pub fn patch_normalization(&self) -> PatchNormalization {
        if self.parity.drop_patch_normalization {
            PatchNormalization::Dropped
        } else {
            PatchNormalization::Folded
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe() -> Recipe {
        Recipe::published(VitConfig::micro(), Normalization::half(1), 512)
    }

    fn complaint(change: impl FnOnce(&mut Recipe)) -> String {
        let mut recipe = recipe();
        change(&mut recipe);
        recipe.validate().unwrap_err().to_string()
    }

    #[test]
    fn images_are_made_as_the_model_takes_them() {
        let text = complaint(|recipe| recipe.model.image_size = 32);
        assert_eq!(
            text,
            "augmentation: makes images of 8 pixels and 1 channels, the model takes 32 and 1"
        );
        let text = complaint(|recipe| recipe.evaluation.normalization = Normalization::imagenet());
        assert!(
            text.starts_with("evaluation: makes images of 8 pixels and 3"),
            "{text}"
        );
        let text = complaint(|recipe| {
            recipe.mixup = Some(Mixup {
                prob: f64::NAN,
                ..Mixup::default()
            });
        });
        assert_eq!(text, "mixup: prob: must be between 0 and 1, got NaN");
    }

    #[test]
    fn images_are_mixed_in_the_phases_that_say_so() {
        let mut recipe = recipe();
        recipe.mixup = Some(Mixup::default());
        assert!(
            Phase::ALL
                .map(|phase| recipe.mixup_of(phase))
                .iter()
                .all(Option::is_some)
        );
        recipe.mixup_phases = vec![Phase::Stage2];
        let mixed = Phase::ALL.map(|phase| recipe.mixup_of(phase).is_some());
        assert_eq!(mixed, [false, false, true]);
        recipe.mixup = None;
        assert_eq!(recipe.mixup_of(Phase::Stage2), None);
        let none = |recipe: &mut Recipe| {
            recipe.mixup = Some(Mixup::default());
            recipe.mixup_phases.clear();
        };
        assert_eq!(complaint(none), "mixup_phases: expected at least one");
    }

    /// Logits of single images do for a teacher that is trained on mixed ones.
    #[test]
    fn cached_logits_go_with_students_that_see_single_images() {
        let mut recipe = recipe();
        recipe.teacher_logits = TeacherLogits::Cached;
        recipe.mixup = Some(Mixup::default());
        assert!(recipe.validate().is_err());
        recipe.mixup_phases = vec![Phase::Teacher];
        recipe.validate().unwrap();
        recipe.mixup_phases = vec![Phase::Teacher, Phase::Stage1];
        assert!(recipe.validate().is_err());
        recipe.phases = vec![Phase::Stage2];
        recipe.validate().unwrap();
    }

    #[test]
    fn the_published_recipe_is_possible_and_survives_json() {
        let recipe = recipe();
        recipe.validate().unwrap();
        assert_eq!(recipe.stage1.schedule.lr, 1e-3);
        let text = serde_json::to_string(&recipe).unwrap();
        assert_eq!(serde_json::from_str::<Recipe>(&text).unwrap(), recipe);
    }

    #[test]
    fn impossible_options_are_named() {
        assert_eq!(
            complaint(|recipe| recipe.stage2.epochs = 0),
            "stage2.epochs: must be at least 1, got 0"
        );
        assert_eq!(
            complaint(|recipe| recipe.teacher.schedule.lr = 2.0),
            "teacher.schedule.lr: must be above 0 and at most 1, got 2"
        );
        assert_eq!(
            complaint(|recipe| recipe.stage1.schedule.min_lr = 0.1),
            "stage1.schedule.min_lr: must be between 0 and lr (0.001), got 0.1"
        );
        assert_eq!(
            complaint(|recipe| recipe.teacher.distillation.kind = Distillation::Soft),
            "teacher.distillation.type: the teacher has no teacher: expected none"
        );
        for alpha in [0.0, 1.0] {
            let text = complaint(|recipe| recipe.stage2.distillation.alpha = alpha);
            let expected =
                format!("stage2.distillation.alpha: must be above 0 and below 1, got {alpha}: ");
            assert!(text.starts_with(&expected), "{text}");
        }
        let text = complaint(|recipe| {
            recipe.model.dropout.attention = 0.5;
            recipe.stage1.distillation.attention = 1.0;
        });
        assert!(
            text.starts_with("stage1.distillation.attention: compares attention matrices"),
            "{text}"
        );
        assert_eq!(
            complaint(|recipe| recipe.model.distillation_token = false),
            "stage1.distillation.type: needs a model with a distillation token"
        );
    }
}
