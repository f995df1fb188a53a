//! Binary Vision Transformers run as bits.

mod config;
mod engine;
mod error;
mod format;
mod gelu;
mod half;
mod kernel;
mod model;
mod network;
mod prediction;
mod random;
mod signs;
mod trace;

pub use config::{Config, GROUP_THRESHOLDS, SCALE_GUARD, ThresholdScope};
pub use engine::{Scratch, Stage};
pub use error::Error;
pub use format::{FORMAT_VERSION, Packed, Preprocessing, ShiftStorage};
pub use kernel::Isa;
pub use model::{Image, PackedModel};
pub use network::{Attention, BinaryLinear, Block, Head, LayerNorm, Network, PatchEmbedding};
pub use prediction::{Prediction, Ranked};
pub use random::Random;
pub use signs::SignMatrix;
pub use trace::{BlockTrace, Trace};
