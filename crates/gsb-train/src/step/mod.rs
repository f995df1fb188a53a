//! One step of training: a batch, the loss, its gradients, the update.

mod accumulation;
mod batch;
mod batch_loader;
mod criterion;
mod inside;
mod inspector;
mod loss_monitor;
mod non_finite;
mod progress;
mod teacher;
mod train_module;

pub(crate) use self::accumulation::GradientAccumulation;
pub(crate) use self::batch_loader::{BatchLoader, epoch_seed};
pub(crate) use self::criterion::Criterion;
pub(crate) use self::inside::InsideLoss;
pub use self::inspector::Inspection;
pub(crate) use self::inspector::Inspector;
pub(crate) use self::loss_monitor::LossMonitor;
pub(crate) use self::progress::Progress;
pub(crate) use self::teacher::{LiveTeacher, Teacher};
pub(crate) use self::train_module::{StepConfig, TrainModule};
