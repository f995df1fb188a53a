//! How a training is watched.

mod bar;
#[cfg(feature = "dashboard")]
mod dashboard;

pub use bar::Progress;
#[cfg(feature = "dashboard")]
pub use dashboard::{Dashboard, exit_without_terminal};
