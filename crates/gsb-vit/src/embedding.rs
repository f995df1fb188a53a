//! From images to tokens.

use burn::Tensor;
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig};
use burn::tensor::{Device, s};

use crate::VitConfig;
use crate::parts::PatchEmbedding;
use crate::weight_decay::WeightDecay;

/// The float convolution that makes a token of each patch.
pub(crate) fn patch_convolution(config: &VitConfig, device: &Device) -> Conv2d {
    let patch = [config.patch_size; 2];
    Conv2dConfig::new([config.channels, config.width], patch)
        .with_stride(patch)
        .init(device)
}

/// `[batch, width, rows, columns]` to `[batch, rows * columns, width]`.
pub(crate) fn patch_tokens(x: Tensor<4>) -> Tensor<3> {
    x.flatten::<3>(2, 3).swap_dims(1, 2)
}

/// The patch embedding of stage 1: a float convolution and batch normalization.
#[derive(Module, Debug)]
pub struct NormalizedPatchEmbedding {
    /// The convolution, kernel and stride of the patch size.
    pub convolution: Conv2d,
    /// The normalization of its output channels.
    pub norm: BatchNorm,
}

impl NormalizedPatchEmbedding {
    pub(crate) fn new(config: &VitConfig, device: &Device) -> Self {
        Self {
            convolution: patch_convolution(config, device),
            norm: BatchNormConfig::new(config.width).init(device),
        }
    }

    /// Makes a feature map of images.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    /// - output: `[batch, token width, rows, columns]`
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let x = self.convolution.forward(images);
        if !(x.device().is_autodiff() && self.norm.training.is_enabled()) {
            return self.norm.forward(x);
        }
        let [batch, _, rows, columns] = x.dims();
        // What all devices have in common may be on any of them.
        let device = x.device();
        let before = self.norm.running_var.value_sync().to_device(&device);
        let y = self.norm.forward(x);
        self.correct_variance(before, batch * rows * columns);
        y
    }

    /// Makes the running variance one of unbiased variances, as published: Burn has just added the
    /// biased variance of `n` positions to what was there before.
    fn correct_variance(&self, before: Tensor<1>, n: usize) {
        if n < 2 {
            return;
        }
        let running = &self.norm.running_var;
        let after = running.value_sync().to_device(&before.device());
        let added = after.clone() - before.mul_scalar(1.0 - self.norm.momentum);
        running.update(after + added.div_scalar((n - 1) as f64));
    }

    /// Weight `[token width, channels, patch, patch]` and bias `[token width]` of the one
    /// convolution that equals this embedding in evaluation, by the running statistics:
    /// `w' = w gamma / sqrt(var + eps)`, `b' = (b - mean) gamma / sqrt(var + eps) + beta`. Detached.
    pub fn folded(&self) -> (Tensor<4>, Tensor<1>) {
        let norm = &self.norm;
        let weight = self.convolution.weight.val();
        let device = weight.device();
        let mean = norm.running_mean.value_sync().to_device(&device);
        let variance = norm.running_var.value_sync().to_device(&device);
        let factor = norm.gamma.val() / variance.add_scalar(norm.epsilon).sqrt();
        let bias = match &self.convolution.bias {
            Some(bias) => bias.val() - mean,
            None => mean.neg(),
        };
        let bias = bias * factor.clone() + norm.beta.val();
        let channels = factor.dims()[0];
        let weight = weight * factor.reshape([channels, 1, 1, 1]);
        (weight.detach(), bias.detach())
    }
}

impl PatchEmbedding for NormalizedPatchEmbedding {
    fn embed(&self, images: Tensor<4>) -> Tensor<4> {
        self.forward(images)
    }
}

/// Puts the learned tokens before those of the patches and adds the learned positions.
#[derive(Module, Debug)]
pub struct TokenEmbedding {
    /// The class token, shape `[1, 1, width]`.
    pub class_token: Param<Tensor<3>>,
    /// The distillation token, shape `[1, 1, width]`, of a model that is distilled.
    pub distillation_token: Option<Param<Tensor<3>>>,
    /// The positions, shape `[1, tokens, width]`.
    pub position: Param<Tensor<3>>,
    /// Dropout of the sum.
    pub dropout: Dropout,
}

impl TokenEmbedding {
    pub(crate) fn new(config: &VitConfig, device: &Device) -> Self {
        let init = |tokens| -> Param<Tensor<3>> {
            let shape = [1, tokens, config.width];
            config.token_initializer.init(shape, device)
        };
        Self {
            class_token: init(1),
            distillation_token: config.distillation_token.then(|| init(1)),
            position: init(config.tokens()),
            dropout: DropoutConfig::new(config.dropout.tokens).init(),
        }
    }

    /// Tokens and positions do not decay.
    pub(crate) fn weight_decay(&self, decay: &mut WeightDecay) {
        decay.never(&self.class_token);
        decay.never(&self.position);
        if let Some(token) = &self.distillation_token {
            decay.never(token);
        }
    }

    /// The tokens of the encoder: class, distillation (if there is one), patches.
    ///
    /// # Shapes
    /// - patches: `[batch, patches, width]`
    /// - output: `[batch, tokens, width]`
    pub fn forward(&self, patches: Tensor<3>) -> Tensor<3> {
        let [batch, _, width] = patches.dims();
        let mut tokens = vec![self.class_token.val().expand([batch, 1, width])];
        if let Some(token) = &self.distillation_token {
            tokens.push(token.val().expand([batch, 1, width]));
        }
        tokens.push(patches);
        self.dropout
            .forward(Tensor::cat(tokens, 1) + self.position.val())
    }
}

/// A token of each sample: `[batch, tokens, width]` to `[batch, width]`.
pub(crate) fn token(x: &Tensor<3>, index: usize) -> Tensor<2> {
    x.clone().slice(s![.., index..index + 1, ..]).squeeze_dim(1)
}
