//! Checkpoints: our own, and those of the published implementations.
//!
//! [`save`] and [`load`] keep a model in one file that says what it holds. [`Published`] is the way
//! from and to files with the published names: GSB's students and timm's DeiT.

mod describe;
mod import;
mod names;
mod native;
mod parameters;
mod positions;
mod published;
mod report;

pub use native::{inspect, load, save};
pub use published::Published;
pub use report::{ImportReport, ShapeMismatch, Strictness};
