//! The student of stage 1.

use burn::Tensor;
use burn::nn::Linear;
use burn::tensor::Device;
use gsb_core::nn::{Stage1Block, Stage1BlockConfig, layer_norm};

use crate::embedding::{NormalizedPatchEmbedding, TokenEmbedding};
use crate::initialization::zero_linear_biases;
use crate::parts::EncoderBlock;
use crate::teacher::float_head;
use crate::transformer::Transformer;
use crate::weight_decay::WeightDecay;
use crate::{Error, VitConfig};

/// The student of stage 1: binary weights in the MLPs, everything else float.
///
/// Patches pass a float convolution and batch normalization; the head of the class token learns
/// from the labels, that of the distillation token from the teacher.
///
/// Source: stage 1 of GSB (arXiv 2305.07931).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_vit::VitConfig;
///
/// let device = Device::default();
/// let student = VitConfig::micro().init_stage1(&device)?;
/// assert_eq!(student.infer(Tensor::ones([2, 1, 8, 8], &device)).dims(), [2, 10]);
/// # Ok::<(), gsb_vit::Error>(())
/// ```
pub type Stage1Student = Transformer<NormalizedPatchEmbedding, Stage1Block, Linear>;

impl VitConfig {
    /// Makes a stage-1 student; it needs no calibration.
    ///
    /// # Errors
    /// See [`validate`](Self::validate).
    pub fn init_stage1(&self, device: &Device) -> Result<Stage1Student, Error> {
        self.validate()?;
        let block = |drop_path| {
            Stage1BlockConfig::new(self.width, self.heads, self.mlp_width)
                .with_token_shift(self.token_shift())
                .with_attention_dropout(self.dropout.attention)
                .with_dropout(self.dropout.tokens)
                .with_drop_path(drop_path)
                .with_initializer(self.initializer.clone())
                .init(device)
        };
        let head = || float_head(self, device);
        Ok(zero_linear_biases(Transformer {
            patch_embedding: NormalizedPatchEmbedding::new(self, device),
            tokens: TokenEmbedding::new(self, device),
            blocks: self.drop_paths().map(block).collect(),
            norm: layer_norm(self.width).init(device),
            class_head: head(),
            distillation_head: self.distillation_token.then(head),
            config: self.clone(),
        }))
    }
}

impl EncoderBlock for Stage1Block {
    fn encode(&self, x: Tensor<3>) -> Tensor<3> {
        self.forward(x)
    }

    fn encode_with_attention(&self, x: Tensor<3>) -> (Tensor<3>, Tensor<4>) {
        self.forward_with_attention(x)
    }

    fn latent_weights(&self) -> Vec<Tensor<2>> {
        [&self.mlp.fc1, &self.mlp.fc2]
            .map(|layer| layer.weight.val())
            .to_vec()
    }

    /// Shifts do not decay.
    fn weight_decay(&self, decay: &mut WeightDecay) {
        let shifts = &self.attention.shifts;
        for shift in [&shifts.query, &shifts.key, &shifts.value] {
            decay.never(&shift.bias);
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::module::Module;
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
