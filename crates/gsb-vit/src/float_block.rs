//! The float encoder block of the teacher.

use burn::Tensor;
use burn::module::Module;
use burn::nn::{LayerNorm, Linear, LinearConfig};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, s};
use gsb::nn::{DropPath, DropPathConfig, layer_norm};
use gsb::ops::gelu;

use crate::VitConfig;

/// Float multi-head self-attention: `softmax(q k^T / sqrt(d)) v`, then the output layer.
#[derive(Module, Debug)]
pub struct FloatAttention {
    /// Query, key and value side by side, weight `[width, 3 * width]`.
    pub qkv: Linear,
    /// Output layer, weight `[width, width]`.
    pub output: Linear,
    /// Number of heads.
    pub heads: usize,
}

impl FloatAttention {
    /// Applies the layer.
    ///
    /// # Shapes
    /// - x and output: `[batch, tokens, width]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
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
        let attended = softmax(scores, 3).matmul(part(2));
        self.output
            .forward(attended.swap_dims(1, 2).reshape([batch, tokens, width]))
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
        Self {
            norm1: layer_norm(width).init(device),
            attention: FloatAttention {
                qkv: linear(width, 3 * width),
                output: linear(width, width),
                heads: config.heads,
            },
            norm2: layer_norm(width).init(device),
            fc1: linear(width, hidden),
            fc2: linear(hidden, width),
            drop_path: DropPathConfig::new().with_prob(drop_path).init(),
        }
    }

    /// Applies the block.
    ///
    /// # Shapes
    /// - x and output: `[batch, tokens, width]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let branch = self.attention.forward(self.norm1.forward(x.clone()));
        let x = x + self.drop_path.forward(branch);
        let hidden = gelu(self.fc1.forward(self.norm2.forward(x.clone())));
        x + self.drop_path.forward(self.fc2.forward(hidden))
    }
}
