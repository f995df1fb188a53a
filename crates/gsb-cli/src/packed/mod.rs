//! Packed students: their accuracy, and the way from one in memory to its file.

mod evaluate;
mod page;
mod student;

pub use evaluate::measure;
pub use page::page;
pub use student::{PackedReport, after_training, options};
