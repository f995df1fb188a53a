//! The attention of stage 2: everything binary.

use burn::Tensor;
use burn::config::Config;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay};
use burn::nn::{Dropout, DropoutConfig, Initializer};
use burn::tensor::Device;
use gsb_cpu::merge_heads;

use super::GroupShares;
use super::heads::{QkvShifts, attention_matrix, head_width};
use crate::binarize::{
    AttentionBinarizer, AttentionBinarizerConfig, Blend, FirstForward, SignedBinarizer,
    SignedBinarizerConfig, ValueBinarizer, ValueBinarizerConfig,
};
use crate::nn::{BinaryLinear, BinaryLinearConfig, Shift, ShiftConfig};

/// Configuration of a [`BinaryAttention`].
#[derive(Config, Debug)]
pub struct BinaryAttentionConfig {
    /// Width of a token.
    pub width: usize,
    /// Number of heads.
    pub heads: usize,
    /// Number of tokens: the shift of the attention matrix has one entry for each pair.
    pub tokens: usize,
    /// Superposition of the attention matrix.
    #[config(default = "AttentionBinarizerConfig::new()")]
    pub attention: AttentionBinarizerConfig,
    /// Superposition of the value.
    #[config(default = "ValueBinarizerConfig::new()")]
    pub value: ValueBinarizerConfig,
    /// Bits in which the shift of the attention matrix acts: 8, 16 or 32.
    #[config(default = 32)]
    pub shift_bits: u8,
    /// Dropout of the attention matrix, before it is binarized.
    #[config(default = 0.0)]
    pub attention_dropout: f64,
    /// Dropout of the output.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// How latent weights and biases are initialised.
    #[config(
        default = "Initializer::KaimingUniform { gain: 1.0 / 3f64.sqrt(), fan_out_only: false }"
    )]
    pub initializer: Initializer,
}

/// Binary multi-head self-attention with group superposition.
///
/// 1. `q, k, v`: a [`BinaryLinear`] layer, then a shift each
/// 2. query and key to one signed bit, the value by the [`ValueBinarizer`]
/// 3. `softmax(q k^T / sqrt(d))`, the shift `[heads, tokens, tokens]`, dropout, the
///    [`AttentionBinarizer`]
/// 4. their product, and a [`BinaryLinear`] output layer
///
/// Source: stage 2 of GSB (arXiv 2305.07931).
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use gsb_core::nn::BinaryAttentionConfig;
///
/// let device = Device::default();
/// let x = Tensor::<3>::random([2, 7, 12], Distribution::Default, &device);
/// let attention = BinaryAttentionConfig::new(12, 3, 7).init(&device).calibrate(&x);
/// assert_eq!(attention.forward(x).dims(), [2, 7, 12]);
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct BinaryAttention {
    /// Query, key and value side by side, weight `[width, 3 * width]`.
    pub qkv: BinaryLinear,
    /// Shifts of query, key and value.
    pub shifts: QkvShifts,
    /// Binarizer of the query.
    pub query: SignedBinarizer,
    /// Binarizer of the key.
    pub key: SignedBinarizer,
    /// Binarizer of the value.
    pub value: ValueBinarizer,
    /// Shift of the attention matrix, shape `[heads, tokens, tokens]`.
    pub attention_shift: Shift<3>,
    /// Dropout of the attention matrix.
    pub attention_dropout: Dropout,
    /// Binarizer of the attention matrix.
    pub attention: AttentionBinarizer,
    /// Output layer, weight `[width, width]`.
    pub output: BinaryLinear,
    /// Dropout of the output.
    pub dropout: Dropout,
}

impl BinaryAttentionConfig {
    /// Makes an uncalibrated layer.
    ///
    /// # Panics
    /// If the width is not a multiple of the heads, a probability is outside `[0, 1)`, or a
    /// superposition is impossible (see [`AttentionBinarizerConfig::init`]).
    pub fn init(&self, device: &Device) -> BinaryAttention {
        let head_width = head_width(self.width, self.heads);
        let linear = |d_output| {
            BinaryLinearConfig::new(self.width, d_output)
                .with_initializer(self.initializer.clone())
                .init(device)
        };
        let binarizer = || SignedBinarizerConfig::new().init(device);
        BinaryAttention {
            qkv: linear(3 * self.width),
            shifts: QkvShifts::new(self.heads, head_width, device),
            query: binarizer(),
            key: binarizer(),
            value: self.value.init(device),
            attention_shift: ShiftConfig::new(vec![self.heads, self.tokens, self.tokens])
                .with_bits(self.shift_bits)
                .init(device),
            attention_dropout: DropoutConfig::new(self.attention_dropout).init(),
            attention: self.attention.init(device),
            output: linear(self.width),
            dropout: DropoutConfig::new(self.dropout).init(),
        }
    }
}

impl BinaryAttention {
    /// Applies the layer.
    ///
    /// # Shapes
    /// - x and output: `[batch, tokens, width]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.forward_with_attention(x).0
    }

    /// [Applies](Self::forward) the layer and returns the binarized attention matrix as well.
    ///
    /// # Shapes
    /// - x and output: `[batch, tokens, width]`
    /// - attention: `[batch, heads, tokens, tokens]`, a row for each query
    pub fn forward_with_attention(&self, x: Tensor<3>) -> (Tensor<3>, Tensor<4>) {
        let [query, key, value] = self.shifts.split(self.qkv.forward(x));
        let attention = self.shifted_matrix(self.query.forward(query), self.key.forward(key));
        let attention = self.attention.forward(attention);
        let attended = gsb_cpu::matmul(attention.clone(), self.value.forward(value));
        let y = self
            .dropout
            .forward(self.output.forward(merge_heads(attended)));
        (y, attention)
    }

    /// All binarizers hand on a [share](Blend) of the binarized value.
    pub fn with_blend(self, blend: Blend) -> Self {
        Self {
            qkv: self.qkv.with_blend(blend),
            query: self.query.with_blend(blend),
            key: self.key.with_blend(blend),
            value: self.value.with_blend(blend),
            attention: self.attention.with_blend(blend),
            output: self.output.with_blend(blend),
            ..self
        }
    }

    /// Sets the scales that have not been set before from a batch, layer after layer.
    pub fn calibrate(self, x: &Tensor<3>) -> Self {
        self.calibrate_forward(x.clone(), FirstForward::Stored).0
    }

    /// [Calibrates](Self::calibrate) with a batch and applies the layer to it, as `first` says.
    pub fn calibrate_forward(mut self, x: Tensor<3>, first: FirstForward) -> (Self, Tensor<3>) {
        let (qkv, joint) = self.qkv.calibrate_forward(x);
        self.qkv = qkv;
        let [query, key, value] = self.shifts.split(joint);
        self.query = self.query.calibrate(&query);
        self.key = self.key.calibrate(&key);
        let attention = self.shifted_matrix(self.query.forward(query), self.key.forward(key));
        let (binarizer, attention) = self.attention.calibrate_forward(attention, first);
        self.attention = binarizer;
        let (binarizer, value) = self.value.calibrate_forward(value, first);
        self.value = binarizer;
        let (output, y) = self
            .output
            .calibrate_forward(merge_heads(gsb_cpu::matmul(attention, value)));
        self.output = output;
        let y = self.dropout.forward(y);
        (self, y)
    }

    /// How full the groups of both superpositions are. Waits for the device.
    ///
    /// # Shapes
    /// - x: `[batch, tokens, width]`
    pub fn group_shares(&self, x: Tensor<3>) -> GroupShares {
        let [query, key, value] = self.shifts.split(self.qkv.forward(x));
        let attention = self.shifted_matrix(self.query.forward(query), self.key.forward(key));
        let floats = |shares: Tensor<1>| shares.into_data().iter::<f32>().collect();
        GroupShares {
            attention: floats(self.attention.group_shares(&attention)),
            value: floats(self.value.group_shares(&value)),
        }
    }

    /// The attention matrix as its binarizer sees it.
    fn shifted_matrix(&self, query: Tensor<4>, key: Tensor<4>) -> Tensor<4> {
        let attention = self.attention_shift.forward(attention_matrix(query, key));
        self.attention_dropout.forward(attention)
    }
}

impl ModuleDisplay for BinaryAttention {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        crate::display::one_line()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let [heads, tokens, _] = self.attention_shift.bias.lazy_shape().dims();
        let [_, _, head_width] = self.shifts.query.bias.lazy_shape().dims();
        content
            .add("width", &(heads * head_width))
            .add("heads", &heads)
            .add("tokens", &tokens)
            .add("weight_bits", &1usize)
            .add("attention_groups", &self.attention.groups())
            .add("value_groups", &self.value.groups())
            .optional()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_bits_and_shapes() {
        let attention = BinaryAttentionConfig::new(4, 2, 3).init(&Device::default());
        assert_eq!(
            attention.to_string(),
            "BinaryAttention {width: 4, heads: 2, tokens: 3, weight_bits: 1, attention_groups: 3, \
             value_groups: 3, params: 128}"
        );
    }
}
