//! Options that commands share, and values of options.

mod data;
pub mod names;
pub mod numbers;
pub mod path;
mod train;

pub use data::DataArgs;
#[cfg(test)]
pub use train::PhaseArgs;
pub use train::TrainArgs;
