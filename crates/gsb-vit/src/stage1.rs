//! The student of stage 1.

use burn::Tensor;
use burn::module::Module;
use burn::nn::{LayerNorm, Linear, LinearConfig};
use burn::tensor::Device;
use gsb::distill::Student;
use gsb::nn::{Stage1Block, Stage1BlockConfig, layer_norm};

use crate::embedding::{NormalizedPatchEmbedding, TokenEmbedding, patch_tokens, token};
use crate::{Classifier, Error, VitConfig};

/// The student of stage 1: binary weights in the MLPs, everything else float.
///
/// Patches pass a float convolution and batch normalization; the head of the class token learns
/// from the labels, that of the distillation token from the teacher.
///
/// Source: stage 1 of GSB (arXiv 2305.07931).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_vit::{Classifier, VitConfig};
///
/// let device = Device::default();
/// let student = VitConfig::micro().init_stage1(&device)?;
/// assert_eq!(student.infer(Tensor::ones([2, 1, 8, 8], &device)).dims(), [2, 10]);
/// # Ok::<(), gsb_vit::Error>(())
/// ```
#[derive(Module, Debug)]
pub struct Stage1Student {
    /// Convolution and normalization that make a token of each patch.
    pub patch_embedding: NormalizedPatchEmbedding,
    /// Class and distillation token, positions.
    pub tokens: TokenEmbedding,
    /// The encoder.
    pub blocks: Vec<Stage1Block>,
    /// Normalization before the heads.
    pub norm: LayerNorm,
    /// Head of the class token, weight `[width, classes]`.
    pub class_head: Linear,
    /// Head of the distillation token, weight `[width, classes]`.
    pub distillation_head: Linear,
    #[module(skip)]
    config: VitConfig,
}

impl VitConfig {
    /// Makes a stage-1 student; it needs no calibration.
    ///
    /// # Errors
    /// See [`validate`](Self::validate).
    pub fn init_stage1(&self, device: &Device) -> Result<Stage1Student, Error> {
        self.validate()?;
        let block = |drop_path| {
            Stage1BlockConfig::new(self.width, self.heads)
                .with_mlp_ratio(self.mlp_ratio)
                .with_drop_path(drop_path)
                .with_initializer(self.initializer.clone())
                .init(device)
        };
        let head = || {
            LinearConfig::new(self.width, self.classes)
                .with_initializer(self.initializer.clone())
                .init(device)
        };
        Ok(Stage1Student {
            patch_embedding: NormalizedPatchEmbedding::new(self, device),
            tokens: TokenEmbedding::new(self, true, device),
            blocks: self.drop_paths().map(block).collect(),
            norm: layer_norm(self.width).init(device),
            class_head: head(),
            distillation_head: head(),
            config: self.clone(),
        })
    }
}

impl Stage1Student {
    /// The configuration it was made with.
    pub fn config(&self) -> &VitConfig {
        &self.config
    }
}

impl Classifier for Stage1Student {
    fn forward(&self, images: Tensor<4>) -> Student {
        let patches = patch_tokens(self.patch_embedding.forward(images));
        let x = self.tokens.forward(patches);
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        let x = self.norm.forward(x);
        Student::with_distillation(
            self.class_head.forward(token(&x, 0)),
            self.distillation_head.forward(token(&x, 1)),
        )
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    #[test]
    fn the_folded_convolution_equals_the_embedding_in_evaluation() {
        let device = Device::flex().autodiff();
        device.seed(3);
        let student = VitConfig::micro().init_stage1(&device).unwrap();
        let images = || Tensor::<4>::random([6, 1, 8, 8], Distribution::Normal(0.5, 2.0), &device);
        for _ in 0..20 {
            student.forward(images()); // moves the running statistics
        }
        let mut embedding = student.patch_embedding.clone();
        embedding.norm.gamma = embedding.norm.gamma.map(|g| g.mul_scalar(-1.5));
        embedding.norm.beta = embedding.norm.beta.map(|b| b.add_scalar(0.25));
        let embedding = embedding.valid();
        assert!(
            embedding
                .norm
                .running_mean
                .value()
                .abs()
                .max()
                .into_scalar::<f32>()
                > 0.01
        );

        let images = images().inner();
        let expected = embedding.forward(images.clone());
        let (weight, bias) = embedding.folded();
        let mut convolution = embedding.convolution.clone();
        convolution.weight = convolution.weight.map(|_| weight);
        convolution.bias = convolution.bias.map(|bias_param| bias_param.map(|_| bias));
        // Sums of 5 terms of magnitude up to about 10, each rounded twice.
        convolution
            .forward(images)
            .into_data()
            .assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
    }
}
