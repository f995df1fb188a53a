//! Descriptions of a network and its layers, as plain data.

use gsb_numerics::guarded;

use crate::{PackedConfig, SignMatrix};

/// A binary Vision Transformer: what a packed file holds and an engine is built from.
///
/// All matrices are row-major. Scales are learned values as they are: one that is not above
/// [`SCALE_GUARD`](crate::SCALE_GUARD) acts as the guard (that of the patch embedding only if it is 0).
#[derive(Debug, Clone, PartialEq)]
pub struct PackedNetwork {
    /// The sizes.
    pub config: PackedConfig,
    /// Makes a token of each patch.
    pub patch_embedding: PatchEmbedding,
    /// The class token, `[width]`.
    pub class_token: Vec<f32>,
    /// The distillation token, `[width]`, if there is one.
    pub distillation_token: Option<Vec<f32>>,
    /// The positions, `[tokens, width]`.
    pub positions: Vec<f32>,
    /// The encoder blocks.
    pub blocks: Vec<Block>,
    /// The normalization before the heads.
    pub norm: LayerNorm,
    /// The head of the class token.
    pub class_head: Head,
    /// The head of the distillation token, if there is one.
    pub distillation_head: Option<Head>,
}

/// A convolution whose kernel and stride are the patch: `y = scale_c * sum(level * x) + bias_c`.
#[derive(Debug, Clone, PartialEq)]
pub struct PatchEmbedding {
    /// Levels of the weight in two's complement of `patch_bits` bits (1 bit: -1, 0 or 1),
    /// `[width, channels, patch_size, patch_size]`.
    pub weight: Vec<i8>,
    /// Scale of each output channel, `[width]`.
    pub scales: Vec<f32>,
    /// Bias, `[width]`.
    pub bias: Vec<f32>,
}

/// `y = (x - mean) / sqrt(variance + epsilon) * gamma + beta` over the width of a token.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerNorm {
    /// Factor, `[width]`.
    pub gamma: Vec<f32>,
    /// Summand, `[width]`.
    pub beta: Vec<f32>,
}

/// An encoder block: `x += attention(norm1(x))`, `x += fc2(gelu(fc1(norm2(x))))`.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// Normalization before the attention.
    pub norm1: LayerNorm,
    /// The attention.
    pub attention: Attention,
    /// Normalization before the MLP.
    pub norm2: LayerNorm,
    /// Signed input, `[width]` to `[mlp_width]`.
    pub fc1: BinaryLinear,
    /// Unsigned input, `[mlp_width]` to `[width]`.
    pub fc2: BinaryLinear,
}

/// A binary attention.
#[derive(Debug, Clone, PartialEq)]
pub struct Attention {
    /// Makes query, key and value, in this order, each of its heads one after another:
    /// `[width]` to `[3 * width]`.
    pub qkv: BinaryLinear,
    /// Added to the query before its sign is taken, `[heads, head_width]`.
    pub query_shift: Vec<f32>,
    /// Added to the key before its sign is taken, `[heads, head_width]`.
    pub key_shift: Vec<f32>,
    /// Added to the value before its superposition, `[heads, head_width]`.
    pub value_shift: Vec<f32>,
    /// Scale of the binary query.
    pub query_scale: f32,
    /// Scale of the binary key.
    pub key_scale: f32,
    /// Scales of the value's groups, `[value_groups]`.
    pub value_scales: Vec<f32>,
    /// Added to the softmax before its superposition, `[heads, queries, keys]`, queries and keys
    /// being tokens.
    pub attention_shift: Vec<f32>,
    /// Scales of the attention matrix's groups, `[attention_groups]`; of levels, their step.
    pub attention_scales: Vec<f32>,
    /// Signed input, `[width]` to `[width]`.
    pub output: BinaryLinear,
}

impl Attention {
    /// The acting scale of each [matrix of one bit](PackedConfig::attention_planes) whose sum is the attention matrix.
    pub fn plane_scales(&self, config: &PackedConfig) -> Vec<f32> {
        let scales = self.attention_scales.iter().copied().map(guarded);
        match config.attention_bits {
            1 => scales.collect(),
            // Each level is one more step.
            _ => scales.cycle().take(config.attention_planes()).collect(),
        }
    }
}

/// `y = input_scale * weight_scale * sum(sign(weight) * level(x + input_shift)) + bias`, the level a
/// sign or, in `fc2`, 0 or 1: whether `(x + input_shift) / input_scale` rounds to 1 or more.
#[derive(Debug, Clone, PartialEq)]
pub struct BinaryLinear {
    /// Signs of the centred weight, `[outputs, inputs]`.
    pub weight: SignMatrix,
    /// Scale of the weight: one, or one for each output.
    pub weight_scale: Vec<f32>,
    /// Added to the input before it is binarized, `[inputs]`.
    pub input_shift: Vec<f32>,
    /// Scale of the binary input.
    pub input_scale: f32,
    /// Bias, `[outputs]`.
    pub bias: Vec<f32>,
}

/// `y = input_scale * weight_scale * sum(weight * level) + bias`, the level
/// `clamp(round((x + input_shift) / input_scale))` of `head_bits` bits (1 bit: the sign).
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Levels of the weight in two's complement of `head_bits` bits (1 bit: -1, 0 or 1),
    /// `[classes, width]`.
    pub weight: Vec<i8>,
    /// Scale of the weight.
    pub weight_scale: f32,
    /// Added to the input before it is quantized, `[width]`.
    pub input_shift: Vec<f32>,
    /// Scale of the quantized input.
    pub input_scale: f32,
    /// Bias, `[classes]`.
    pub bias: Vec<f32>,
}
