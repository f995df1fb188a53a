//! Multi-head self-attention of both stages.

mod binary;
mod shifted;

pub use binary::{BinaryAttention, BinaryAttentionConfig};
pub use shifted::{ShiftedAttention, ShiftedAttentionConfig};

use burn::Tensor;
use burn::module::Module;
use burn::tensor::Device;

use crate::nn::{Shift, ShiftConfig};
use crate::ops;

/// The shifts of query, key and value, each of shape `[heads, 1, channels]`.
#[derive(Module, Debug)]
pub struct QkvShifts {
    /// Shift of the query.
    pub query: Shift<3>,
    /// Shift of the key.
    pub key: Shift<3>,
    /// Shift of the value.
    pub value: Shift<3>,
}

impl QkvShifts {
    fn new(heads: usize, channels: usize, device: &Device) -> Self {
        let shift = || ShiftConfig::new(vec![heads, 1, channels]).init(device);
        Self {
            query: shift(),
            key: shift(),
            value: shift(),
        }
    }

    /// Shifts the output of the joint linear layer, `[batch, tokens, 3 * width]`.
    fn add(&self, qkv: Tensor<3>) -> Tensor<3> {
        let [heads, _, channels] = self.query.bias.lazy_shape().dims();
        // Heads lie side by side in a token, and so do the shifts: all three are one vector.
        let shifts = [&self.query, &self.key, &self.value]
            .map(|shift| shift.bias.val().reshape([heads * channels]));
        ops::shift(qkv, Tensor::cat(shifts.to_vec(), 0))
    }

    /// Splits the output of the joint linear layer, `[batch, tokens, 3 * width]`, into shifted
    /// query, key and value, `[batch, heads, tokens, channels]` each.
    fn split(&self, qkv: Tensor<3>) -> [Tensor<4>; 3] {
        let [heads, _, _] = self.query.bias.lazy_shape().dims();
        let qkv = self.add(qkv);
        [0, 1, 2].map(|part| ops::split_heads(qkv.clone(), heads, 3, part))
    }
}

/// `q k^T / sqrt(channels)`, softmax over the keys.
fn attention_matrix(query: Tensor<4>, key: Tensor<4>) -> Tensor<4> {
    let [.., channels] = query.dims();
    let scores = query.matmul(key.swap_dims(2, 3));
    ops::scaled_softmax(scores, score_scale(channels))
}

/// What the scores of a head are multiplied with.
fn score_scale(channels: usize) -> f64 {
    (channels as f64).powf(-0.5)
}

/// Channels of a head.
fn head_channels(d_model: usize, n_heads: usize) -> usize {
    assert!(
        n_heads > 0 && d_model.is_multiple_of(n_heads),
        "an attention of width {d_model} cannot be split into {n_heads} heads"
    );
    d_model / n_heads
}
