//! Models that arguments name.

mod file;
mod input;
mod name;

pub use file::{expect_checkpoint, expect_file, is_packed, open_packed};
pub use input::ModelInput;
pub use name::ModelName;
