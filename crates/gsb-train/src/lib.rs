//! Training binarized Vision Transformers: the recipe, from the teacher to the binary student.
//!
//! A [`Recipe`] says what is trained and how, [`Recipe::published`] as the paper does. With its data and devices it is
//! a [`RunConfig`], and a [`Run`] trains that in a folder, and goes on where it was cut off. The training loop is
//! [`burn_train`]'s.
//!
#![cfg_attr(feature = "flex", doc = "```")]
#![cfg_attr(not(feature = "flex"), doc = "```no_run")]
//! use gsb_data::Normalization;
//! use gsb_train::{Callbacks, DataConfig, Purpose, Recipe, Run, RunConfig};
//! use gsb_vit::{Phase, VitConfig};
//!
//! # let temporary = tempfile::tempdir()?;
//! # let folder = temporary.path().join("run");
//! let mut recipe = Recipe::published(VitConfig::micro(), Normalization::half(1), 32);
//! recipe.phases = vec![Phase::Teacher];
//! recipe.teacher.epochs = 1;
//! let mut config = RunConfig {
//!     data: Some(DataConfig { per_class: Some(4), ..DataConfig::default() }), // of the digits
//!     ..RunConfig::new(recipe)
//! };
//! let data = config.open_data(Purpose::Training, |remark| eprintln!("{remark}"))?;
//! config.note_images(&data)?;
//! let mut run = Run::new(&folder, config)?;
//! println!("{}", run.train(&data, &Callbacks::default())?);
//!
//! // Whenever and wherever it was cut off:
//! let mut run = Run::resume(&folder)?;
//! let data = run.config().open_data(Purpose::Training, |remark| eprintln!("{remark}"))?;
//! run.config().check_images(&data)?;
//! let report = run.train(&data, &Callbacks::default())?; // nothing is left to do
//! assert_eq!(report.phases[0].epochs, 1);
//! assert!(folder.join("teacher.bpk").exists());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Optimizer ([`OptimizerConfig`]), schedule ([`CosineScheduleConfig`], [`EpochScheduler`]),
//! [clipping](clip_by_norm) and averaging of weights ([`ema_start`], [`ema_update`]) serve loops of one's own as
//! well.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod ablation;
pub mod entries;
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
pub use gsb_cpu::Products;
pub use optimizer::{
    AdamW, CosineScheduleConfig, EpochScheduler, OptimizerConfig, clip_by_norm, ema_start,
    ema_update,
};
pub use recipe::{
    BinarizationRecipe, DistillationRecipe, OptimizerRecipe, Parity, PhaseRecipe, Recipe,
    ScheduleRecipe, TeacherLogits,
};
pub use run::{
    Callbacks, DataConfig, DeviceName, Devices, Epoch, Evaluation, Heads, History, Init,
    InspectedEpoch, PhaseReport, Purpose, Report, Run, RunConfig, SilentRenderer, Start, Strategy,
    evaluation_loader, load_model,
};
pub use step::Inspection;
