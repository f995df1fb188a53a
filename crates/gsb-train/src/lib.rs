//! Training binarized Vision Transformers: the recipe, from the teacher to the binary student.
//!
//! A [`Recipe`] says what is trained and how, [`Recipe::published`] as the paper does. A [`Run`]
//! trains it in a folder, and goes on where it was cut off. The training loop is
//! [`burn_train`]'s.
//!
//! Optimizer ([`OptimizerConfig`]), schedule ([`CosineScheduleConfig`], [`EpochScheduler`]),
//! [clipping](clip_by_norm) and [averaging](moved_towards) of weights serve loops of one's own as
//! well.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod ablation;
mod adamw;
mod average;
mod batch;
mod checkpoints;
mod clip;
mod devices;
mod environment;
mod error;
mod evaluate;
mod feed;
mod files;
mod history;
mod images;
mod journal;
mod lesson;
mod optimizer;
pub mod path_text;
mod phase;
mod plan;
mod quiet;
mod recipe;
mod report;
mod run;
mod schedule;
mod scheduler;
mod start;
mod trainee;
mod watch;

pub use ablation::{Ablation, Row, Table, Variant};
pub use adamw::AdamW;
pub use average::moved_towards;
pub use batch::TrainBatch;
pub use burn_train;
pub use burn_train::Interrupter;
pub use clip::clip_by_norm;
pub use devices::Devices;
pub use error::Error;
pub use evaluate::Evaluation;
pub use files::{absolute, write as write_text, write_json};
pub use history::Epoch;
pub use images::evaluation_loader;
pub use optimizer::OptimizerConfig;
pub use plan::Plan;
pub use quiet::Quiet;
pub use recipe::{Parity, PhaseRecipe, Recipe, TeacherLogits};
pub use report::{PhaseReport, Report};
pub use run::{Hooks, Run};
pub use schedule::CosineScheduleConfig;
pub use scheduler::EpochScheduler;
pub use start::{Heads, Start, load_model};
