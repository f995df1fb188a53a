//! The float encoder block of the teacher.

use burn::Tensor;
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, s};
use gsb::nn::{DropPath, DropPathConfig};
use gsb::ops::gelu;

use crate::VitConfig;
use crate::transformer::EncoderBlock;

/// What the teacher's normalizations add to the variance, as DeiT's do.
const EPSILON: f64 = 1e-6;

/// The layer normalization of the teacher.
pub(crate) fn float_norm(width: usize, device: &Device) -> LayerNorm {
    LayerNormConfig::new(width)
        .with_epsilon(EPSILON)
        .init(device)
}

/// Float multi-head self-attention: `softmax(q k^T / sqrt(d)) v`, then the output layer.
#[derive(Module, Debug)]
pub struct FloatAttention {
    /// Query, key and value side by side, weight `[width, 3 * width]`.
    pub qkv: Linear,
    /// Dropout of the attention matrix.
    pub attention_dropout: Dropout,
    /// Output layer, weight `[width, width]`.
    pub output: Linear,
    /// Dropout of the output.
    pub dropout: Dropout,
    /// Number of heads.
    pub heads: usize,
}

impl FloatAttention {
    /// Applies the layer and returns the attention matrix as well.
    ///
    /// # Shapes
    /// - x and output: `[batch, tokens, width]`
    /// - attention: `[batch, heads, tokens, tokens]`, a row for each query
    pub fn forward_with_attention(&self, x: Tensor<3>) -> (Tensor<3>, Tensor<4>) {
        let [batch, tokens, width] = x.dims();
        let channels = width / self.heads;
        let qkv: Tensor<5> = self
            .qkv
            .forward(x)
            .reshape([batch, tokens, 3, self.heads, channels]);
        let part = |i: usize| -> Tensor<4> {
            qkv.clone()
                .slice(s![.., .., i..i + 1, .., ..])
                .squeeze_dim::<4>(2)
                .swap_dims(1, 2)
        };
        let scores = part(0)
            .matmul(part(1).swap_dims(2, 3))
            .mul_scalar((channels as f64).powf(-0.5));
        let attention = self.attention_dropout.forward(softmax(scores, 3));
        let attended = attention.clone().matmul(part(2));
        let y = self
            .output
            .forward(attended.swap_dims(1, 2).reshape([batch, tokens, width]));
        (self.dropout.forward(y), attention)
    }
}

/// The float encoder block: `x = x + attention(norm1(x))`, `x = x + mlp(norm2(x))`, each branch
/// with drop path.
#[derive(Module, Debug)]
pub struct FloatBlock {
    /// Normalization before the attention.
    pub norm1: LayerNorm,
    /// The attention.
    pub attention: FloatAttention,
    /// Normalization before the MLP.
    pub norm2: LayerNorm,
    /// First layer of the MLP, before GELU.
    pub fc1: Linear,
    /// Second layer of the MLP.
    pub fc2: Linear,
    /// Dropout after both layers of the MLP.
    pub dropout: Dropout,
    /// Drop path of both branches.
    pub drop_path: DropPath,
}

impl FloatBlock {
    pub(crate) fn new(config: &VitConfig, drop_path: f64, device: &Device) -> Self {
        let linear = |d_input, d_output| {
            LinearConfig::new(d_input, d_output)
                .with_initializer(config.initializer.clone())
                .init(device)
        };
        let (width, hidden) = (config.width, config.hidden_width());
        let dropout = DropoutConfig::new(config.dropout).init();
        Self {
            norm1: float_norm(width, device),
            attention: FloatAttention {
                qkv: linear(width, 3 * width),
                attention_dropout: DropoutConfig::new(config.attention_dropout).init(),
                output: linear(width, width),
                dropout: dropout.clone(),
                heads: config.heads,
            },
            norm2: float_norm(width, device),
            fc1: linear(width, hidden),
            fc2: linear(hidden, width),
            dropout,
            drop_path: DropPathConfig::new().with_prob(drop_path).init(),
        }
    }

    /// Applies the block.
    ///
    /// # Shapes
    /// - x and output: `[batch, tokens, width]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let (branch, _) = self
            .attention
            .forward_with_attention(self.norm1.forward(x.clone()));
        self.add_branches(x, branch)
    }

    /// Adds the attention's branch to the tokens, then that of the MLP.
    fn add_branches(&self, x: Tensor<3>, attended: Tensor<3>) -> Tensor<3> {
        let x = x + self.drop_path.forward(attended);
        let hidden = gelu(self.fc1.forward(self.norm2.forward(x.clone())));
        let branch = self.fc2.forward(self.dropout.forward(hidden));
        x + self.drop_path.forward(self.dropout.forward(branch))
    }
}

impl EncoderBlock for FloatBlock {
    fn encode(&self, x: Tensor<3>) -> Tensor<3> {
        self.forward(x)
    }

    fn encode_with_attention(&self, x: Tensor<3>) -> (Tensor<3>, Tensor<4>) {
        let normalized = self.norm1.forward(x.clone());
        let (branch, attention) = self.attention.forward_with_attention(normalized);
        (self.add_branches(x, branch), attention)
    }
}
