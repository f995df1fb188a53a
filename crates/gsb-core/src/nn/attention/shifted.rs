//! The attention of stage 1: float, with the shifts that stage 2 will need.

use burn::Tensor;
use burn::config::Config;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay};
use burn::nn::{Dropout, DropoutConfig, Initializer, Linear, LinearConfig};
use burn::tensor::Device;
use gsb_cpu::{linear, merge_heads};

use super::heads::{QkvShifts, attention_matrix, head_width, score_scale};

/// Configuration of a [`ShiftedAttention`].
#[derive(Config, Debug)]
pub struct ShiftedAttentionConfig {
    /// Width of a token.
    pub width: usize,
    /// Number of heads.
    pub heads: usize,
    /// Dropout of the attention matrix.
    #[config(default = 0.0)]
    pub attention_dropout: f64,
    /// Dropout of the output.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// How weights and biases are initialised.
    #[config(
        default = "Initializer::KaimingUniform { gain: 1.0 / 3f64.sqrt(), fan_out_only: false }"
    )]
    pub initializer: Initializer,
}

/// Float multi-head self-attention with learnable shifts on query, key and value.
///
/// `softmax((q + s_q)(k + s_k)^T / sqrt(d)) (v + s_v)`, then the output layer. The shift of the key
/// moves every score of a query alike: its gradient is zero up to rounding.
///
/// Source: stage 1 of GSB (arXiv 2305.07931).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::nn::ShiftedAttentionConfig;
///
/// let device = Device::default();
/// let attention = ShiftedAttentionConfig::new(12, 3).init(&device);
/// assert_eq!(attention.forward(Tensor::<3>::ones([2, 7, 12], &device)).dims(), [2, 7, 12]);
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct ShiftedAttention {
    /// Query, key and value side by side, weight `[width, 3 * width]`.
    pub qkv: Linear,
    /// Shifts of query, key and value.
    pub shifts: QkvShifts,
    /// Dropout of the attention matrix.
    pub attention_dropout: Dropout,
    /// Output layer, weight `[width, width]`.
    pub output: Linear,
    /// Dropout of the output.
    pub dropout: Dropout,
}

impl ShiftedAttentionConfig {
    /// Makes the layer.
    ///
    /// # Panics
    /// If the width is not a multiple of the heads, or a probability is outside `[0, 1)`.
    pub fn init(&self, device: &Device) -> ShiftedAttention {
        let head_width = head_width(self.width, self.heads);
        let linear = |d_output| {
            LinearConfig::new(self.width, d_output)
                .with_initializer(self.initializer.clone())
                .init(device)
        };
        ShiftedAttention {
            qkv: linear(3 * self.width),
            shifts: QkvShifts::new(self.heads, head_width, device),
            attention_dropout: DropoutConfig::new(self.attention_dropout).init(),
            output: linear(self.width),
            dropout: DropoutConfig::new(self.dropout).init(),
        }
    }
}

impl ShiftedAttention {
    /// Applies the layer.
    ///
    /// # Shapes
    /// - x and output: `[batch, tokens, width]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        if self.attention_dropout.prob > 0.0 {
            return self.forward_with_attention(x).0;
        }
        let [heads, _, head_width] = self.shifts.query.bias.lazy_shape().dims();
        let qkv = self.shifts.add(apply(&self.qkv, x));
        let attended = gsb_cpu::attention(qkv, heads, score_scale(head_width));
        self.dropout.forward(apply(&self.output, attended))
    }

    /// [Applies](Self::forward) the layer and returns the attention matrix as well.
    ///
    /// # Shapes
    /// - x and output: `[batch, tokens, width]`
    /// - attention: `[batch, heads, tokens, tokens]`, a row for each query
    pub fn forward_with_attention(&self, x: Tensor<3>) -> (Tensor<3>, Tensor<4>) {
        let [query, key, value] = self.shifts.split(apply(&self.qkv, x));
        let attention = self.attention_dropout.forward(attention_matrix(query, key));
        let attended = gsb_cpu::matmul(attention.clone(), value);
        let y = self
            .dropout
            .forward(apply(&self.output, merge_heads(attended)));
        (y, attention)
    }
}

/// Burn's layer by the linear operation of this crate.
fn apply(layer: &Linear, x: Tensor<3>) -> Tensor<3> {
    let bias = layer.bias.as_ref().map(|bias| bias.val());
    linear(x, layer.weight.val(), bias)
}

impl ModuleDisplay for ShiftedAttention {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        crate::display::one_line()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let [heads, _, head_width] = self.shifts.query.bias.lazy_shape().dims();
        content
            .add("width", &(heads * head_width))
            .add("heads", &heads)
            .add("weight_bits", &32usize)
            .optional()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_bits_and_shapes() {
        let attention = ShiftedAttentionConfig::new(4, 2).init(&Device::default());
        assert_eq!(
            attention.to_string(),
            "ShiftedAttention {width: 4, heads: 2, weight_bits: 32, params: 92}"
        );
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_output_is_the_same_with_and_without_the_matrix() {
        use burn::tensor::{Distribution, Tolerance};

        let device = Device::flex();
        let x = Tensor::<3>::random([2, 7, 12], Distribution::Normal(0.0, 1.0), &device);
        let mut attention = ShiftedAttentionConfig::new(12, 3).init(&device);
        attention.shifts.value.bias = burn::module::Param::from_tensor(Tensor::random(
            [3, 1, 4],
            Distribution::Normal(0.0, 1.0),
            &device,
        ));
        attention
            .forward(x.clone())
            .into_data()
            .assert_approx_eq::<f32>(
                &attention.forward_with_attention(x).0.into_data(),
                Tolerance::default(),
            );
    }

    #[test]
    #[should_panic(expected = "width 10 cannot be split into 3 heads")]
    fn heads_divide_the_width() {
        ShiftedAttentionConfig::new(10, 3).init(&Device::default());
    }
}
