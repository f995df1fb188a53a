//! The float teacher.

use burn::Tensor;
use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{LayerNorm, Linear, LinearConfig};
use burn::tensor::Device;
use gsb::distill::Student;
use gsb::nn::layer_norm;

use crate::embedding::{TokenEmbedding, patch_convolution, patch_tokens, token};
use crate::{Classifier, Error, FloatBlock, VitConfig};

/// The float Vision Transformer (arXiv 2010.11929) with a class token alone.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_vit::{Classifier, VitConfig};
///
/// let device = Device::default();
/// let teacher = VitConfig::micro().init_teacher(&device)?;
/// assert_eq!(teacher.infer(Tensor::ones([2, 1, 8, 8], &device)).dims(), [2, 10]);
/// # Ok::<(), gsb_vit::Error>(())
/// ```
#[derive(Module, Debug)]
pub struct VisionTransformer {
    /// Convolution that makes a token of each patch.
    pub patch_embedding: Conv2d,
    /// Class token and positions.
    pub tokens: TokenEmbedding,
    /// The encoder.
    pub blocks: Vec<FloatBlock>,
    /// Normalization before the head.
    pub norm: LayerNorm,
    /// Class head, weight `[width, classes]`.
    pub head: Linear,
}

impl VitConfig {
    /// Makes a float teacher.
    ///
    /// # Errors
    /// See [`validate`](Self::validate).
    pub fn init_teacher(&self, device: &Device) -> Result<VisionTransformer, Error> {
        self.validate()?;
        Ok(VisionTransformer {
            patch_embedding: patch_convolution(self, device),
            tokens: TokenEmbedding::new(self, false, device),
            blocks: self
                .drop_paths()
                .map(|drop_path| FloatBlock::new(self, drop_path, device))
                .collect(),
            norm: layer_norm(self.width).init(device),
            head: LinearConfig::new(self.width, self.classes)
                .with_initializer(self.initializer.clone())
                .init(device),
        })
    }
}

impl Classifier for VisionTransformer {
    fn forward(&self, images: Tensor<4>) -> Student {
        let patches = patch_tokens(self.patch_embedding.forward(images));
        let x = self.tokens.forward(patches);
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        Student::new(self.head.forward(self.norm.forward(token(&x, 0))))
    }
}
