//! The configuration of all models.

mod dropout;
mod json;
mod preset;
mod stage2;
mod validate;
mod vit;

pub use dropout::DropoutConfig;
pub use stage2::Stage2Config;
pub use vit::VitConfig;
