//! The commands, one file each: its options and what it does.

pub mod bench;
pub mod completions;
pub mod explain;
pub mod export;
pub mod import;
pub mod inspect;
pub mod pack;
pub mod plot;
pub mod predict;
pub mod serve;
pub mod summary;
pub mod table;
pub mod test;
pub mod train;
