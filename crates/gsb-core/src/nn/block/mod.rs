//! The encoder block of both stages.

mod stage1;
mod stage2;

pub use stage1::{Stage1Block, Stage1BlockConfig};
pub use stage2::{Stage2Block, Stage2BlockConfig};

/// Width of the hidden layer of a block's MLP.
fn hidden_width(d_model: usize, ratio: f64) -> usize {
    assert!(
        ratio > 0.0 && ratio.is_finite(),
        "the MLP ratio of a block must be positive, got {ratio}"
    );
    (d_model as f64 * ratio) as usize
}
