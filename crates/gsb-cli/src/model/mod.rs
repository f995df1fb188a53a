//! Models that arguments name.

mod file;
mod name;

pub use file::{expect_checkpoint, expect_file, is_packed, open_packed};
pub use name::ModelName;
