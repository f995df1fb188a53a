//! The float encoder block of the teacher.

use burn::Tensor;
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::Device;
use gsb_core::binarize::token_sign;
use gsb_core::nn::{DropPath, DropPathConfig, LayerNorm, LayerNormConfig};
use gsb_cpu::{attention, gelu, linear, matmul, merge_heads, scaled_softmax, split_heads};

use crate::VitConfig;
use crate::parts::EncoderBlock;

/// What the teacher's normalizations add to the variance where nothing else is said, as DeiT's do.
pub(crate) const EPSILON: f64 = 1e-6;

/// The layer normalization of the teacher.
pub(crate) fn float_norm(config: &VitConfig, device: &Device) -> LayerNorm {
    LayerNormConfig::new(config.width)
        .with_epsilon(config.norm_epsilon.unwrap_or(EPSILON))
        .init(device)
}

/// Float multi-head self-attention: `softmax(q k^T / sqrt(d)) v`, then the output layer. As a variant, query and key
/// have [one bit](token_sign) with a scale for each token and head.
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
    /// Whether query and key have one bit.
    pub binary_query_key: bool,
}

impl FloatAttention {
    /// Applies the layer.
    ///
    /// # Shapes
    /// - x and output: `[batch, tokens, width]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        if self.attention_dropout.prob > 0.0 || self.binary_query_key {
            return self.forward_with_attention(x).0;
        }
        let [.., width] = x.dims();
        let attended = attention(apply(&self.qkv, x), self.heads, self.scale(width));
        self.dropout.forward(apply(&self.output, attended))
    }

    /// What the scores of a head are multiplied with.
    fn scale(&self, width: usize) -> f64 {
        ((width / self.heads) as f64).powf(-0.5)
    }

    /// Applies the layer and returns the attention matrix as well.
    ///
    /// # Shapes
    /// - x and output: `[batch, tokens, width]`
    /// - attention: `[batch, heads, tokens, tokens]`, a row for each query
    pub fn forward_with_attention(&self, x: Tensor<3>) -> (Tensor<3>, Tensor<4>) {
        let [.., width] = x.dims();
        let qkv = apply(&self.qkv, x);
        let part = |part| split_heads(qkv.clone(), self.heads, 3, part);
        let (query, key) = match self.binary_query_key {
            true => (token_sign(part(0)), token_sign(part(1))),
            false => (part(0), part(1)),
        };
        let scores = matmul(query, key.swap_dims(2, 3));
        let matrix = scaled_softmax(scores, self.scale(width));
        let attention = self.attention_dropout.forward(matrix);
        let attended = matmul(attention.clone(), part(2));
        let y = apply(&self.output, merge_heads(attended));
        (self.dropout.forward(y), attention)
    }
}

/// Burn's layer by the linear operation of `gsb`.
fn apply(layer: &Linear, x: Tensor<3>) -> Tensor<3> {
    let bias = layer.bias.as_ref().map(|bias| bias.val());
    linear(x, layer.weight.val(), bias)
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
        let (width, hidden) = (config.width, config.mlp_width);
        let dropout = DropoutConfig::new(config.dropout.tokens).init();
        Self {
            norm1: float_norm(config, device),
            attention: FloatAttention {
                qkv: linear(width, 3 * width),
                attention_dropout: DropoutConfig::new(config.dropout.attention).init(),
                output: linear(width, width),
                dropout: dropout.clone(),
                heads: config.heads,
                binary_query_key: config.binary_query_key,
            },
            norm2: float_norm(config, device),
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
        let branch = self.attention.forward(self.norm1.forward(x.clone()));
        self.add_branches(x, branch)
    }

    /// Adds the attention's branch to the tokens, then that of the MLP.
    fn add_branches(&self, x: Tensor<3>, attended: Tensor<3>) -> Tensor<3> {
        let x = x + self.drop_path.forward(attended);
        let hidden = gelu(apply(&self.fc1, self.norm2.forward(x.clone())));
        let branch = apply(&self.fc2, self.dropout.forward(hidden));
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

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;

    #[test]
    fn scores_of_one_bit_are_counts_of_equal_signs_with_two_scales() {
        let device = Device::default();
        let config = VitConfig::micro();
        let float = FloatBlock::new(&config, 0.0, &device).attention;
        let mut binary = float.clone();
        binary.binary_query_key = true;
        let x = Tensor::random([2, 5, config.width], Distribution::Default, &device);
        let (y, attention) = binary.forward_with_attention(x.clone());
        binary
            .forward(x.clone())
            .into_data()
            .assert_eq(&y.into_data(), true);

        let qkv = apply(&float.qkv, x);
        let width = config.width / config.heads;
        let [query, key] = [0, 1].map(|part| {
            let part = split_heads(qkv.clone(), config.heads, 3, part);
            part.into_data().try_to_vec::<f32>().unwrap()
        });
        let found = attention.into_data().try_to_vec::<f32>().unwrap();
        let magnitude = |x: &[f32]| x.iter().map(|x| x.abs()).sum::<f32>() / width as f32;
        for (row, scores) in found.chunks(5).enumerate() {
            let q = &query[row * width..][..width];
            let head = row / 5;
            let expected = (0..5).map(|token| {
                let k = &key[(head * 5 + token) * width..][..width];
                let equal = q.iter().zip(k).filter(|(q, k)| (**q > 0.0) == (**k > 0.0));
                let count = 2.0 * equal.count() as f32 - width as f32;
                (magnitude(q) * magnitude(k) * count / (width as f32).sqrt()).exp()
            });
            let expected: Vec<f32> = expected.collect();
            let sum: f32 = expected.iter().sum();
            for (found, expected) in scores.iter().zip(expected) {
                // A few roundings of numbers of at most 1.
                assert!(
                    (found - expected / sum).abs() < 1e-6,
                    "{found} {}",
                    expected / sum
                );
            }
        }
    }
}
