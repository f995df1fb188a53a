//! How the phases are trained, all alike and each apart from the others.

use clap::Args;
use serde::Serialize;

use super::binarization::{BinarizationArgs, Stage2BinarizationArgs};
use super::distillation::DistillationArgs;
use super::optimizer::{OptimizerArgs, Stage2OptimizerArgs};
use super::schedule::{ScheduleArgs, Stage1ScheduleArgs, Stage2ScheduleArgs, TeacherScheduleArgs};
use crate::options::numbers::{below_one, positive};

/// How each phase is trained.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct PhaseArgs {
    /// Epochs of each phase
    #[arg(long, value_parser = positive(), help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,

    /// Images in a batch
    #[arg(long, value_name = "IMAGES", value_parser = positive(), help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,

    /// Batches in a step; default learning rates follow the images of a step
    #[arg(long, value_name = "BATCHES", value_parser = positive(), help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accumulation: Option<usize>,

    #[command(flatten)]
    #[serde(skip_serializing_if = "is_nothing")]
    pub schedule: ScheduleArgs,

    #[command(flatten)]
    #[serde(skip_serializing_if = "is_nothing")]
    pub optimizer: OptimizerArgs,

    /// Evaluate and keep a moving average of the weights, with this decay
    #[arg(long, value_name = "DECAY", value_parser = below_one, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_ema: Option<f64>,

    /// Label smoothing
    #[arg(long, value_name = "SHARE", value_parser = below_one, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smoothing: Option<f64>,

    /// End a phase after this number of epochs without better top-1, not counting those of --gradual
    #[arg(long, value_name = "EPOCHS", value_parser = positive(), help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,

    /// Epochs from one checkpoint to the next
    #[arg(long, value_name = "EPOCHS", value_parser = positive(), help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<usize>,
}

/// How both stages are trained, and not their teacher.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct StagesArgs {
    #[command(flatten)]
    #[serde(skip_serializing_if = "is_nothing")]
    pub distillation: DistillationArgs,

    #[command(flatten)]
    #[serde(skip_serializing_if = "is_nothing")]
    pub binarization: BinarizationArgs,
}

/// How the teacher is trained, apart from the others.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct TeacherArgs {
    /// Epochs of the teacher
    #[arg(id = "teacher_epochs", long = "teacher-epochs", value_name = "EPOCHS", value_parser = positive(), help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,

    #[command(flatten)]
    #[serde(skip_serializing_if = "is_nothing")]
    pub schedule: TeacherScheduleArgs,
}

/// How stage 1 is trained, apart from the others.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct Stage1Args {
    /// Epochs of stage 1
    #[arg(id = "stage1_epochs", long = "stage1-epochs", value_name = "EPOCHS", value_parser = positive(), help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,

    #[command(flatten)]
    #[serde(skip_serializing_if = "is_nothing")]
    pub schedule: Stage1ScheduleArgs,
}

/// How stage 2 is trained, apart from the others.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct Stage2Args {
    /// Epochs of stage 2
    #[arg(id = "stage2_epochs", long = "stage2-epochs", value_name = "EPOCHS", value_parser = positive(), help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,

    #[command(flatten)]
    #[serde(skip_serializing_if = "is_nothing")]
    pub schedule: Stage2ScheduleArgs,

    #[command(flatten)]
    #[serde(skip_serializing_if = "is_nothing")]
    pub optimizer: Stage2OptimizerArgs,

    #[command(flatten)]
    #[serde(skip_serializing_if = "is_nothing")]
    pub binarization: Stage2BinarizationArgs,
}

/// Whether nothing of a group is given.
fn is_nothing<Group: Default + PartialEq>(group: &Group) -> bool {
    *group == Group::default()
}
