//! The encoder block of stage 2.

use burn::Tensor;
use burn::config::Config;
use burn::module::Module;
use burn::nn::Initializer;
use burn::tensor::Device;

use crate::binarize::{AttentionBinarizerConfig, Blend, FirstForward, ValueBinarizerConfig};
use crate::nn::{
    BinaryAttention, BinaryAttentionConfig, BinaryMlp, BinaryMlpConfig, DropPath, DropPathConfig,
    GroupShares, LayerNorm, TokenShift, layer_norm,
};

/// Configuration of a [`Stage2Block`].
#[derive(Config, Debug)]
pub struct Stage2BlockConfig {
    /// Width of a token.
    pub width: usize,
    /// Number of heads.
    pub heads: usize,
    /// Number of tokens.
    pub tokens: usize,
    /// Width of the MLP's hidden layer, in the paper `4 * width`.
    pub mlp_width: usize,
    /// Copies of neighbouring tokens that are added before each layer of the MLP.
    pub token_shift: Option<TokenShift>,
    /// Superposition of the attention matrix.
    #[config(default = "AttentionBinarizerConfig::new()")]
    pub attention: AttentionBinarizerConfig,
    /// Superposition of the value.
    #[config(default = "ValueBinarizerConfig::new()")]
    pub value: ValueBinarizerConfig,
    /// Bits in which the shift of the attention matrix acts: 8, 16 or 32.
    #[config(default = 32)]
    pub shift_bits: u8,
    /// Dropout of the attention matrix.
    #[config(default = 0.0)]
    pub attention_dropout: f64,
    /// Dropout of the attention's output and in the MLP.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// Probability of dropping a branch of a sample.
    #[config(default = 0.0)]
    pub drop_path: f64,
    /// How latent weights and biases are initialised.
    #[config(
        default = "Initializer::KaimingUniform { gain: 1.0 / 3f64.sqrt(), fan_out_only: false }"
    )]
    pub initializer: Initializer,
}

/// The encoder block of stage 2: weights and activations binary, attention and value by group
/// superposition; normalization and the residual stream stay float.
///
/// `x = x + attention(norm1(x))`, `x = x + mlp(norm2(x))`, each branch with drop path.
///
/// Source: stage 2 of GSB (arXiv 2305.07931). The published scripts never pass their drop path and
/// dropout options to the model; these act.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use gsb_core::nn::Stage2BlockConfig;
///
/// let device = Device::default();
/// let x = Tensor::<3>::random([2, 7, 12], Distribution::Default, &device);
/// let block = Stage2BlockConfig::new(12, 3, 7, 48).init(&device).calibrate(&x);
/// assert_eq!(block.forward(x).dims(), [2, 7, 12]);
/// ```
#[derive(Module, Debug)]
pub struct Stage2Block {
    /// Normalization before the attention.
    pub norm1: LayerNorm,
    /// Binary attention.
    pub attention: BinaryAttention,
    /// Normalization before the MLP.
    pub norm2: LayerNorm,
    /// Binary MLP.
    pub mlp: BinaryMlp,
    /// Drop path of both branches.
    pub drop_path: DropPath,
}

impl Stage2BlockConfig {
    /// Makes an uncalibrated block.
    ///
    /// # Panics
    /// If the width is not a multiple of the heads, a probability
    /// outside `[0, 1)`, or a superposition impossible (see [`AttentionBinarizerConfig::init`]).
    pub fn init(&self, device: &Device) -> Stage2Block {
        let attention = BinaryAttentionConfig::new(self.width, self.heads, self.tokens)
            .with_attention(self.attention.clone())
            .with_value(self.value.clone())
            .with_shift_bits(self.shift_bits)
            .with_attention_dropout(self.attention_dropout)
            .with_dropout(self.dropout)
            .with_initializer(self.initializer.clone());
        let mlp = BinaryMlpConfig::new(self.width, self.mlp_width)
            .with_token_shift(self.token_shift)
            .with_dropout(self.dropout)
            .with_initializer(self.initializer.clone());
        Stage2Block {
            norm1: layer_norm(self.width).init(device),
            attention: attention.init(device),
            norm2: layer_norm(self.width).init(device),
            mlp: mlp.init(device),
            drop_path: DropPathConfig::new().with_prob(self.drop_path).init(),
        }
    }
}

impl Stage2Block {
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

    /// How full the groups of its superpositions are. Waits for the device.
    ///
    /// # Shapes
    /// - x: `[batch, tokens, width]`
    pub fn group_shares(&self, x: Tensor<3>) -> GroupShares {
        self.attention.group_shares(self.norm1.forward(x))
    }

    /// Adds the attention's branch to the tokens, then that of the MLP.
    fn add_branches(&self, x: Tensor<3>, attended: Tensor<3>) -> Tensor<3> {
        let x = x + self.drop_path.forward(attended);
        let branch = self.mlp.forward(self.norm2.forward(x.clone()));
        x + self.drop_path.forward(branch)
    }

    /// All binarizers hand on a [share](Blend) of the binarized value.
    pub fn with_blend(self, blend: Blend) -> Self {
        Self {
            attention: self.attention.with_blend(blend),
            mlp: self.mlp.with_blend(blend),
            ..self
        }
    }

    /// Sets the scales that have not been set before from a batch, layer after layer.
    pub fn calibrate(self, x: &Tensor<3>) -> Self {
        self.calibrate_forward(x.clone(), FirstForward::Stored).0
    }

    /// [Calibrates](Self::calibrate) with a batch and applies the block to it, as `first` says.
    pub fn calibrate_forward(mut self, x: Tensor<3>, first: FirstForward) -> (Self, Tensor<3>) {
        let (attention, branch) = self
            .attention
            .calibrate_forward(self.norm1.forward(x.clone()), first);
        self.attention = attention;
        let x = x + self.drop_path.forward(branch);
        let (mlp, branch) = self.mlp.calibrate_forward(self.norm2.forward(x.clone()));
        self.mlp = mlp;
        let y = x + self.drop_path.forward(branch);
        (self, y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_shows_its_parts() {
        let text = Stage2BlockConfig::new(4, 2, 3, 16)
            .init(&Device::default())
            .to_string();
        assert!(
            text.contains("attention: BinaryAttention {width: 4, heads: 2, tokens: 3"),
            "{text}"
        );
        assert!(
            text.contains("mlp: BinaryMlp {width: 4, mlp_width: 16, weight_bits: 1"),
            "{text}"
        );
    }
}
