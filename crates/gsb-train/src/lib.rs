//! Training binarized Vision Transformers: the optimizer and the learning rate of the recipe.

mod adamw;
mod optimizer;
mod schedule;

pub use adamw::AdamW;
pub use optimizer::OptimizerConfig;
pub use schedule::CosineScheduleConfig;
