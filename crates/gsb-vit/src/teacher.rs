//! The float teacher.

use burn::Tensor;
use burn::nn::conv::Conv2d;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;

use crate::embedding::{TokenEmbedding, patch_convolution};
use crate::float_block::float_norm;
use crate::initialization::zero_linear_biases;
use crate::parts::{Head, PatchEmbedding};
use crate::transformer::Transformer;
use crate::{Error, FloatBlock, VitConfig};

/// The float Vision Transformer: DeiT (arXiv 2012.12877), plain or, with a distillation token,
/// distilled.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_vit::VitConfig;
///
/// let device = Device::default();
/// let teacher = VitConfig::micro().with_distillation_token(false).init_teacher(&device)?;
/// assert_eq!(teacher.infer(Tensor::ones([2, 1, 8, 8], &device)).dims(), [2, 10]);
/// # Ok::<(), gsb_vit::Error>(())
/// ```
pub type VisionTransformer = Transformer<Conv2d, FloatBlock, Linear>;

impl VitConfig {
    /// Makes a float teacher.
    ///
    /// # Errors
    /// See [`validate`](Self::validate).
    pub fn init_teacher(&self, device: &Device) -> Result<VisionTransformer, Error> {
        self.validate()?;
        let head = || float_head(self, device);
        Ok(zero_linear_biases(Transformer {
            patch_embedding: patch_convolution(self, device),
            tokens: TokenEmbedding::new(self, device),
            blocks: self
                .drop_paths()
                .map(|drop_path| FloatBlock::new(self, drop_path, device))
                .collect(),
            norm: float_norm(self, device),
            class_head: head(),
            distillation_head: self.distillation_token.then(head),
            config: self.clone(),
        }))
    }
}

/// A float head.
pub(crate) fn float_head(config: &VitConfig, device: &Device) -> Linear {
    LinearConfig::new(config.width, config.classes)
        .with_initializer(config.initializer.clone())
        .init(device)
}

impl PatchEmbedding for Conv2d {
    fn embed(&self, images: Tensor<4>) -> Tensor<4> {
        self.forward(images)
    }
}

impl Head for Linear {
    fn logits(&self, x: Tensor<2>) -> Tensor<2> {
        self.forward(x)
    }
}
