//! Binary Vision Transformers run as bits.

mod config;
mod error;
mod format;
mod half;
mod network;
mod random;
mod signs;

pub use config::{Config, GROUP_THRESHOLDS, SCALE_GUARD, ThresholdScope};
pub use error::Error;
pub use format::{FORMAT_VERSION, Packed, Preprocessing, ShiftStorage};
pub use network::{Attention, BinaryLinear, Block, Head, LayerNorm, Network, PatchEmbedding};
pub use random::Random;
pub use signs::SignMatrix;
