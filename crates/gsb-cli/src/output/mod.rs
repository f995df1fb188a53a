//! What commands print and write.

pub mod curves;
mod destination;
mod file;
mod json;
mod picture;
mod plain;
pub mod plot;
mod stderr;
pub mod stdout;
mod table;

pub use destination::{check, check_format, check_format_or, check_json, is_stdout};
pub use file::{write, write_json};
pub use json::json;
pub use picture::{check_picture, write_picture};
pub use plain::{name, plain};
pub use stderr::say;
pub use table::table;
