//! The encoder block of both stages.

mod stage1;
mod stage2;

pub use stage1::{Stage1Block, Stage1BlockConfig};
pub use stage2::{Stage2Block, Stage2BlockConfig};
