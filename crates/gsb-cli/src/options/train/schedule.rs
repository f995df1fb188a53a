//! The learning rates of the phases.

use clap::Args;
use serde::Serialize;

use crate::options::numbers::{learning_rate, not_negative};

/// The learning rate of each epoch.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct ScheduleArgs {
    /// Highest learning rate of each phase, above 0 and at most 1
    #[arg(long, value_name = "RATE", value_parser = learning_rate, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,

    /// Learning rate at the end
    #[arg(long, value_name = "RATE", value_parser = not_negative, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_lr: Option<f64>,

    /// Epochs of linear warm-up
    #[arg(long, value_name = "EPOCHS", help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_epochs: Option<usize>,

    /// Learning rate that the warm-up starts from
    #[arg(long, value_name = "RATE", value_parser = not_negative, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_lr: Option<f64>,
}

/// The learning rate of the teacher, apart from the others.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct TeacherScheduleArgs {
    /// Highest learning rate of the teacher
    #[arg(id = "teacher_lr", long = "teacher-lr", value_name = "RATE", value_parser = learning_rate, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
}

/// The learning rate of stage 1, apart from the others.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct Stage1ScheduleArgs {
    /// Highest learning rate of stage 1
    #[arg(id = "stage1_lr", long = "stage1-lr", value_name = "RATE", value_parser = learning_rate, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
}

/// The learning rate of stage 2, apart from the others.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct Stage2ScheduleArgs {
    /// Highest learning rate of stage 2
    #[arg(id = "stage2_lr", long = "stage2-lr", value_name = "RATE", value_parser = learning_rate, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
}
