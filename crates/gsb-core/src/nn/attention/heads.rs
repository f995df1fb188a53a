//! What the attentions of both stages share.

use burn::Tensor;
use burn::module::Module;
use burn::tensor::Device;

use crate::nn::{Shift, ShiftConfig};

/// The shifts of query, key and value, each of shape `[heads, 1, head_width]`.
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
    pub(super) fn new(heads: usize, head_width: usize, device: &Device) -> Self {
        let shift = || ShiftConfig::new(vec![heads, 1, head_width]).init(device);
        Self {
            query: shift(),
            key: shift(),
            value: shift(),
        }
    }

    /// Shifts the output of the joint linear layer, `[batch, tokens, 3 * width]`.
    pub(super) fn add(&self, qkv: Tensor<3>) -> Tensor<3> {
        let [heads, _, head_width] = self.query.bias.lazy_shape().dims();
        // Heads lie side by side in a token, and so do the shifts: all three are one vector.
        let shifts = [&self.query, &self.key, &self.value]
            .map(|shift| shift.bias.val().reshape([heads * head_width]));
        gsb_cpu::shift(qkv, Tensor::cat(shifts.to_vec(), 0))
    }

    /// Splits the output of the joint linear layer, `[batch, tokens, 3 * width]`, into shifted
    /// query, key and value, `[batch, heads, tokens, head_width]` each.
    pub(super) fn split(&self, qkv: Tensor<3>) -> [Tensor<4>; 3] {
        let [heads, _, _] = self.query.bias.lazy_shape().dims();
        let qkv = self.add(qkv);
        [0, 1, 2].map(|part| gsb_cpu::split_heads(qkv.clone(), heads, 3, part))
    }
}

/// `q k^T / sqrt(head_width)`, softmax over the keys.
pub(super) fn attention_matrix(query: Tensor<4>, key: Tensor<4>) -> Tensor<4> {
    let [.., head_width] = query.dims();
    let scores = gsb_cpu::matmul(query, key.swap_dims(2, 3));
    gsb_cpu::scaled_softmax(scores, score_scale(head_width))
}

/// What the scores of a head are multiplied with.
pub(super) fn score_scale(head_width: usize) -> f64 {
    (head_width as f64).powf(-0.5)
}

/// Channels of a head.
pub(super) fn head_width(width: usize, heads: usize) -> usize {
    assert!(
        heads > 0 && width.is_multiple_of(heads),
        "an attention of width {width} cannot be split into {heads} heads"
    );
    width / heads
}
