//! Training binarized Vision Transformers: the recipe, from the teacher to the binary student.
//!
//! A [`Recipe`] says what is trained and how, [`Recipe::published`] as the paper does. A [`Run`]
//! trains it in a folder, and goes on where it was cut off. The training loop is
//! [`burn_train`]'s.
//!
//! Optimizer ([`OptimizerConfig`]), schedule ([`CosineScheduleConfig`], [`EpochScheduler`]),
//! [clipping](clip_by_norm) and [averaging](ema_update) of weights serve loops of one's own as
//! well.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod ablation;
mod error;
mod files;
mod optimizer;
pub mod path_text;
mod recipe;
mod run;
mod step;

pub use ablation::{Ablation, Row, Table, Variant};
pub use burn_train;
pub use burn_train::Interrupter;
pub use error::Error;
pub use files::{absolute, write_json, write_text};
pub use optimizer::{
    AdamW, CosineScheduleConfig, EpochScheduler, OptimizerConfig, clip_by_norm, ema_update,
};
pub use recipe::{Parity, PhaseRecipe, Recipe, TeacherLogits};
pub use run::{
    Callbacks, DataConfig, DeviceName, Devices, Epoch, Evaluation, Init, Heads, PhaseReport, Purpose,
    Report, Run, RunConfig, SilentRenderer, Start, Strategy, evaluation_loader, load_model,
};
pub use step::TrainBatch;
