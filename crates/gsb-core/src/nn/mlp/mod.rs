//! The two-layer perceptron of both stages.

mod binary;
mod weight_binary;

pub use binary::{BinaryMlp, BinaryMlpConfig};
pub use weight_binary::{WeightBinaryMlp, WeightBinaryMlpConfig};
