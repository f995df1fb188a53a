//! The two-layer perceptron of both stages.

mod binary;
mod token_shift;
mod weight_binary;

pub use binary::{BinaryMlp, BinaryMlpConfig};
pub use token_shift::TokenShift;
pub use weight_binary::{WeightBinaryMlp, WeightBinaryMlpConfig};
