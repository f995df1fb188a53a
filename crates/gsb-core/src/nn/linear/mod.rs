//! Linear layers of few bits.

mod binary;
mod latent;
mod quantized;
mod weight_binary;

pub use binary::{BinaryLinear, BinaryLinearConfig, InputBinarizer};
pub use quantized::{QuantizedLinear, QuantizedLinearConfig};
pub use weight_binary::{WeightBinaryLinear, WeightBinaryLinearConfig};
