//! The configuration of all models.

mod json;
mod preset;
mod validate;
mod vit;

pub use vit::VitConfig;
