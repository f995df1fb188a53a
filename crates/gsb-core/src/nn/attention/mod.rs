//! Multi-head self-attention of both stages.

mod binary;
mod heads;
mod shares;
mod shifted;

pub use binary::{BinaryAttention, BinaryAttentionConfig};
pub use heads::QkvShifts;
pub use shares::{GroupShares, numbers};
pub use shifted::{ShiftedAttention, ShiftedAttentionConfig};
