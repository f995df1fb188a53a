//! Binarizers and quantizers as Burn modules, one file each.
//!
//! | module | maps | used for |
//! | --- | --- | --- |
//! | [`WeightBinarizer`] | to `{-s, s}`, `s` computed | weights of binary layers |
//! | [`SignedBinarizer`] | to `{-a, a}` or signed levels of several bits, `a` learned | query, key, inputs |
//! | [`UnsignedBinarizer`] | to `{0, a}` or unsigned levels, `a` learned | inputs after GELU |
//! | [`ChannelQuantizer`] | to signed levels, one learned scale per output channel | patch embedding |
//! | [`AttentionBinarizer`] | to a superposition of nested `{0, a_k}` groups | attention matrix |
//! | [`ValueBinarizer`] | to a superposition of nested `{-a_k, 0, a_k}` groups | value |
//! | [`token_sign`] | to `{-m, m}`, `m` computed for each token | query and key alone |
//!
//! A learned scale starts at 1. `calibrate` sets it from data once, before training; that it has
//! been set is part of the module's state and of its record. An uncalibrated binarizer is a
//! well-defined function: the one of scale 1.

mod attention;
mod blend;
mod channel;
mod groups;
mod pull;
mod scale;
mod signed;
mod token;
mod unsigned;
mod value;
mod weight;

pub use crate::ops::{Levels, SCALE_GUARD, ThresholdScope, ValueGradient};
pub use attention::{AttentionBinarizer, AttentionBinarizerConfig};
pub use blend::Blend;
pub use channel::{ChannelQuantizer, ChannelQuantizerConfig};
pub use pull::weight_pull;
pub use scale::{FirstForward, InitialScales, ScaleRule};
pub use signed::{SignedBinarizer, SignedBinarizerConfig};
pub use token::token_sign;
pub use unsigned::{UnsignedBinarizer, UnsignedBinarizerConfig};
pub use value::{ValueBinarizer, ValueBinarizerConfig};
pub use weight::{WeightBinarizer, WeightBinarizerConfig, WeightScale};
