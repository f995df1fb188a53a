//! The encoder block of stage 1.

use burn::Tensor;
use burn::config::Config;
use burn::module::Module;
use burn::nn::Initializer;
use burn::tensor::Device;

use crate::nn::{
    DropPath, DropPathConfig, LayerNorm, ShiftedAttention, ShiftedAttentionConfig, TokenShift,
    WeightBinaryMlp, WeightBinaryMlpConfig, layer_norm,
};

/// Configuration of a [`Stage1Block`].
#[derive(Config, Debug)]
pub struct Stage1BlockConfig {
    /// Width of a token.
    pub width: usize,
    /// Number of heads.
    pub heads: usize,
    /// Width of the MLP's hidden layer, in the paper `4 * width`.
    pub mlp_width: usize,
    /// Copies of neighbouring tokens that are added before each layer of the MLP.
    pub token_shift: Option<TokenShift>,
    /// Dropout of the attention matrix.
    #[config(default = 0.0)]
    pub attention_dropout: f64,
    /// Dropout of the attention's output and in the MLP.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// Probability of dropping a branch of a sample.
    #[config(default = 0.0)]
    pub drop_path: f64,
    /// How weights and biases are initialised.
    #[config(
        default = "Initializer::KaimingUniform { gain: 1.0 / 3f64.sqrt(), fan_out_only: false }"
    )]
    pub initializer: Initializer,
}

/// The encoder block of stage 1: only the weights of the MLP are binary.
///
/// `x = x + attention(norm1(x))`, `x = x + mlp(norm2(x))`, each branch with drop path.
///
/// Source: stage 1 of GSB (arXiv 2305.07931). The published scripts never pass their drop path and
/// dropout options to the model; these act.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::nn::Stage1BlockConfig;
///
/// let device = Device::default();
/// let block = Stage1BlockConfig::new(12, 3, 48).with_drop_path(0.1).init(&device);
/// assert_eq!(block.forward(Tensor::<3>::ones([2, 7, 12], &device)).dims(), [2, 7, 12]);
/// ```
#[derive(Module, Debug)]
pub struct Stage1Block {
    /// Normalization before the attention.
    pub norm1: LayerNorm,
    /// Float attention with shifts.
    pub attention: ShiftedAttention,
    /// Normalization before the MLP.
    pub norm2: LayerNorm,
    /// MLP with binary weights.
    pub mlp: WeightBinaryMlp,
    /// Drop path of both branches.
    pub drop_path: DropPath,
}

impl Stage1BlockConfig {
    /// Makes the block; it needs no calibration.
    ///
    /// # Panics
    /// If the width is not a multiple of the heads, or a probability
    /// outside `[0, 1)`.
    pub fn init(&self, device: &Device) -> Stage1Block {
        let attention = ShiftedAttentionConfig::new(self.width, self.heads)
            .with_attention_dropout(self.attention_dropout)
            .with_dropout(self.dropout)
            .with_initializer(self.initializer.clone());
        let mlp = WeightBinaryMlpConfig::new(self.width, self.mlp_width)
            .with_token_shift(self.token_shift)
            .with_dropout(self.dropout)
            .with_initializer(self.initializer.clone());
        Stage1Block {
            norm1: layer_norm(self.width).init(device),
            attention: attention.init(device),
            norm2: layer_norm(self.width).init(device),
            mlp: mlp.init(device),
            drop_path: DropPathConfig::new().with_prob(self.drop_path).init(),
        }
    }
}

impl Stage1Block {
    /// Applies the block.
    ///
    /// # Shapes
    /// - x and output: `[batch, tokens, width]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let branch = self.attention.forward(self.norm1.forward(x.clone()));
        self.add_branches(x, branch)
    }

    /// [Applies](Self::forward) the block and returns the attention matrix as well.
    ///
    /// # Shapes
    /// - x and output: `[batch, tokens, width]`
    /// - attention: `[batch, heads, tokens, tokens]`, a row for each query
    pub fn forward_with_attention(&self, x: Tensor<3>) -> (Tensor<3>, Tensor<4>) {
        let normalized = self.norm1.forward(x.clone());
        let (branch, attention) = self.attention.forward_with_attention(normalized);
        (self.add_branches(x, branch), attention)
    }

    /// Adds the attention's branch to the tokens, then that of the MLP.
    fn add_branches(&self, x: Tensor<3>, attended: Tensor<3>) -> Tensor<3> {
        let x = x + self.drop_path.forward(attended);
        let branch = self.mlp.forward(self.norm2.forward(x.clone()));
        x + self.drop_path.forward(branch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_shows_its_parts() {
        let text = Stage1BlockConfig::new(4, 2, 16)
            .init(&Device::default())
            .to_string();
        assert!(
            text.contains("attention: ShiftedAttention {width: 4, heads: 2"),
            "{text}"
        );
        assert!(
            text.contains("mlp: WeightBinaryMlp {width: 4, mlp_width: 16, weight_bits: 1"),
            "{text}"
        );
    }
}
