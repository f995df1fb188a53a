//! DeiT-S as it is plainly written with candle's layers.

use candle_core::{D, Module, Result, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, LayerNorm, Linear, VarBuilder};
use candle_nn::{conv2d, layer_norm, linear, ops};
use gsb_packed::PackedConfig;

/// A distilled DeiT in evaluation.
pub struct Deit {
    patch_embedding: Conv2d,
    /// Class and distillation token, `[1, 2, width]`.
    tokens: Tensor,
    positions: Tensor,
    blocks: Vec<Block>,
    norm: LayerNorm,
    heads: [Linear; 2],
}

struct Block {
    norm1: LayerNorm,
    qkv: Linear,
    output: Linear,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    heads: usize,
}

impl Deit {
    /// Takes the weights by their names in `timm`.
    pub fn new(config: &PackedConfig, weights: &VarBuilder) -> Result<Self> {
        let (width, patch) = (config.width, config.patch_size);
        let stride = Conv2dConfig {
            stride: patch,
            ..Conv2dConfig::default()
        };
        let projection = weights.pp("patch_embed.proj");
        let tokens = ["cls_token", "dist_token"].map(|name| weights.get((1, 1, width), name));
        let [class, distillation] = tokens;
        let head = |name: &str| linear(width, config.classes, weights.pp(name));
        Ok(Self {
            patch_embedding: conv2d(config.channels, width, patch, stride, projection)?,
            tokens: Tensor::cat(&[class?, distillation?], 1)?,
            positions: weights.get((1, config.tokens(), width), "pos_embed")?,
            blocks: (0..config.depth)
                .map(|index| Block::new(config, &weights.pp("blocks").pp(index)))
                .collect::<Result<_>>()?,
            norm: layer_norm(width, 1e-6, weights.pp("norm"))?,
            heads: [head("head")?, head("head_dist")?],
        })
    }

    /// The mean of both heads' logits of images, `[batch, channels, height, width]`.
    pub fn forward(&self, images: &Tensor) -> Result<Tensor> {
        let patches = self.patch_embedding.forward(images)?;
        let patches = patches.flatten_from(2)?.transpose(1, 2)?;
        let (batch, _, width) = patches.dims3()?;
        let tokens = self.tokens.broadcast_as((batch, 2, width))?;
        let mut x = Tensor::cat(&[tokens, patches], 1)?.broadcast_add(&self.positions)?;
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        let x = self.norm.forward(&x.narrow(1, 0, 2)?)?;
        let logits = |token| {
            let head: &Linear = &self.heads[token];
            head.forward(&x.narrow(1, token, 1)?.squeeze(1)?)
        };
        (logits(0)? + logits(1)?)? * 0.5
    }
}

impl Block {
    fn new(config: &PackedConfig, weights: &VarBuilder) -> Result<Self> {
        let (width, hidden) = (config.width, config.mlp_width);
        Ok(Self {
            norm1: layer_norm(width, 1e-6, weights.pp("norm1"))?,
            qkv: linear(width, 3 * width, weights.pp("attn.qkv"))?,
            output: linear(width, width, weights.pp("attn.proj"))?,
            norm2: layer_norm(width, 1e-6, weights.pp("norm2"))?,
            fc1: linear(width, hidden, weights.pp("mlp.fc1"))?,
            fc2: linear(hidden, width, weights.pp("mlp.fc2"))?,
            heads: config.heads,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = (x + self.attention(&self.norm1.forward(x)?)?)?;
        let hidden = self.fc1.forward(&self.norm2.forward(&x)?)?.gelu_erf()?;
        &x + self.fc2.forward(&hidden)?
    }

    fn attention(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, tokens, width) = x.dims3()?;
        let channels = width / self.heads;
        let qkv = self.qkv.forward(x)?;
        let qkv = qkv.reshape((batch, tokens, 3, self.heads, channels))?;
        let part = |part| {
            qkv.narrow(2, part, 1)?
                .squeeze(2)?
                .transpose(1, 2)?
                .contiguous()
        };
        let query = (part(0)? * (channels as f64).powf(-0.5))?;
        let scores = query.matmul(&part(1)?.transpose(D::Minus1, D::Minus2)?)?;
        let attended = ops::softmax_last_dim(&scores)?.matmul(&part(2)?)?;
        let merged = attended.transpose(1, 2)?.flatten_from(2)?;
        self.output.forward(&merged)
    }
}
