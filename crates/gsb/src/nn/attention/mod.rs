//! Multi-head self-attention of both stages.

mod binary;
mod shifted;

pub use binary::{BinaryAttention, BinaryAttentionConfig};
pub use shifted::{ShiftedAttention, ShiftedAttentionConfig};

use burn::Tensor;
use burn::module::Module;
use burn::tensor::{Device, s};

use crate::nn::{Shift, ShiftConfig};

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

    /// Splits the output of the joint linear layer, `[batch, tokens, 3 * width]`, into shifted
    /// query, key and value, `[batch, heads, tokens, channels]` each.
    fn split(&self, qkv: Tensor<3>) -> [Tensor<4>; 3] {
        let [batch, tokens, width] = qkv.dims();
        let [heads, _, channels] = self.query.bias.lazy_shape().dims();
        let qkv: Tensor<5> = qkv.reshape([batch, tokens, 3, heads, width / 3 / heads]);
        debug_assert_eq!(width, 3 * heads * channels);
        let part = |i: usize| -> Tensor<4> {
            qkv.clone()
                .slice(s![.., .., i..i + 1, .., ..])
                .squeeze_dim::<4>(2)
                .swap_dims(1, 2)
        };
        [
            self.query.forward(part(0)),
            self.key.forward(part(1)),
            self.value.forward(part(2)),
        ]
    }
}

/// `[batch, heads, tokens, channels]` back to `[batch, tokens, width]`.
fn merge_heads(x: Tensor<4>) -> Tensor<3> {
    let [batch, heads, tokens, channels] = x.dims();
    x.swap_dims(1, 2).reshape([batch, tokens, heads * channels])
}

/// `q k^T / sqrt(channels)`, softmax over the keys.
fn attention_matrix(query: Tensor<4>, key: Tensor<4>) -> Tensor<4> {
    let [.., channels] = query.dims();
    let scores = query
        .matmul(key.swap_dims(2, 3))
        .mul_scalar((channels as f64).powf(-0.5));
    burn::tensor::activation::softmax(scores, 3)
}

/// Channels of a head.
fn head_channels(d_model: usize, n_heads: usize) -> usize {
    assert!(
        n_heads > 0 && d_model.is_multiple_of(n_heads),
        "an attention of width {d_model} cannot be split into {n_heads} heads"
    );
    d_model / n_heads
}
