//! Binary layers as Burn modules: parts of the paper's stage-1 and stage-2 networks that stand on
//! their own in any model.
//!
//! | layer | weights | input | stage |
//! | --- | --- | --- | --- |
//! | [`WeightBinaryLinear`] | 1 bit | float | 1 |
//! | [`BinaryLinear`] | 1 bit | 1 bit (to 8) | 2 |
//! | [`QuantizedLinear`] | 8 bits (1 to 8) | 8 bits (1 to 8) | 2, heads |
//! | [`QuantizedConv2d`] | 8 bits (1 to 8) | float | 2, patch embedding |
//! | [`ShiftedAttention`] / [`BinaryAttention`] | float / 1 bit | float / 1 bit | 1 / 2 |
//! | [`WeightBinaryMlp`] / [`BinaryMlp`] | 1 bit | float / 1 bit | 1 / 2 |
//! | [`Stage1Block`] / [`Stage2Block`] | as their parts | | 1 / 2 |
//!
//! Layers that learn scales are calibrated before training: `calibrate(&batch)` sets the scales of
//! a layer, `calibrate_forward` also hands on its output, so that a model calibrates its layers one
//! after another with a single batch.

mod attention;
mod block;
mod conv;
mod drop_path;
mod linear;
mod mlp;
mod norm;
mod shift;

#[doc(hidden)]
pub use attention::numbers;
pub use attention::{
    BinaryAttention, BinaryAttentionConfig, GroupShares, QkvShifts, ShiftedAttention,
    ShiftedAttentionConfig,
};
pub use block::{Stage1Block, Stage1BlockConfig, Stage2Block, Stage2BlockConfig};
pub use conv::{QuantizedConv2d, QuantizedConv2dConfig};
pub use drop_path::{DropPath, DropPathConfig};
pub use linear::{
    BinaryLinear, BinaryLinearConfig, InputBinarizer, QuantizedLinear, QuantizedLinearConfig,
    WeightBinaryLinear, WeightBinaryLinearConfig,
};
pub use mlp::{BinaryMlp, BinaryMlpConfig, TokenShift, WeightBinaryMlp, WeightBinaryMlpConfig};
pub use norm::{LAYER_NORM_EPSILON, LayerNorm, LayerNormConfig, layer_norm};
pub use shift::{Shift, ShiftConfig};
