//! The student of stage 2.

use burn::Tensor;
use burn::module::ParamId;
use burn::tensor::Device;
use gsb_core::Calibrate;
use gsb_core::binarize::{AttentionBinarizerConfig, Blend, FirstForward, ValueBinarizerConfig};
use gsb_core::distill::Logits;
use gsb_core::nn::{
    QuantizedConv2d, QuantizedConv2dConfig, QuantizedLinear, QuantizedLinearConfig, Stage2Block,
    Stage2BlockConfig, layer_norm,
};

use crate::embedding::{TokenEmbedding, patch_tokens, token};
use crate::initialization::zero_linear_biases;
use crate::parts::{EncoderBlock, Head, PatchEmbedding};
use crate::transformer::Transformer;
use crate::weight_decay::WeightDecay;
use crate::{Error, VitConfig};

/// The student of stage 2: weights and activations of the encoder are binary, attention matrix and
/// value by group superposition; patch embedding and heads have 8 bits.
///
/// Train it after [`calibrate`](Self::calibrate) alone; [`uncalibrated`](crate::uncalibrated) tells what
/// that has not reached.
///
/// Source: stage 2 of GSB (arXiv 2305.07931).
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use gsb_vit::VitConfig;
///
/// let device = Device::default();
/// let images = Tensor::<4>::random([2, 1, 8, 8], Distribution::Default, &device);
/// let student = VitConfig::micro().init_stage2(&device)?.calibrate(&images);
/// assert_eq!(student.infer(images).dims(), [2, 10]);
/// # Ok::<(), gsb_vit::Error>(())
/// ```
pub type Stage2Student = Transformer<QuantizedConv2d, Stage2Block, QuantizedLinear>;

impl VitConfig {
    /// Makes an uncalibrated stage-2 student with fresh weights.
    ///
    /// # Errors
    /// See [`validate`](Self::validate).
    pub fn init_stage2(&self, device: &Device) -> Result<Stage2Student, Error> {
        self.validate()?;
        let patch = [self.patch_size; 2];
        let stage2 = self.stage2;
        let attention = match stage2.attention_bits {
            1 => AttentionBinarizerConfig::new().with_groups(stage2.attention_groups),
            bits => AttentionBinarizerConfig::level_sum(bits),
        };
        let attention = attention
            .with_initial(stage2.initial_scales)
            .with_scope(stage2.scope);
        let block = |drop_path| {
            Stage2BlockConfig::new(self.width, self.heads, self.tokens(), self.mlp_width)
                .with_token_shift(self.token_shift())
                .with_attention(attention.clone())
                .with_value(
                    ValueBinarizerConfig::new()
                        .with_groups(stage2.value_groups)
                        .with_initial(stage2.initial_scales)
                        .with_gradient(stage2.value_gradient)
                        .with_scope(stage2.scope),
                )
                .with_shift_bits(stage2.shift_bits)
                .with_attention_dropout(self.dropout.attention)
                .with_dropout(self.dropout.tokens)
                .with_drop_path(drop_path)
                .with_initializer(self.initializer.clone())
                .init(device)
        };
        let head = || {
            QuantizedLinearConfig::new(self.width, self.classes)
                .with_weight_bits(stage2.head_bits)
                .with_input_bits(stage2.head_bits)
                .with_initializer(self.initializer.clone())
                .init(device)
        };
        Ok(zero_linear_biases(Transformer {
            patch_embedding: QuantizedConv2dConfig::new([self.channels, self.width], patch)
                .with_stride(patch)
                .with_bits(stage2.patch_bits)
                .init(device),
            tokens: TokenEmbedding::new(self, device),
            blocks: self.drop_paths().map(block).collect(),
            norm: layer_norm(self.width).init(device),
            class_head: head(),
            distillation_head: self.distillation_token.then(head),
            config: self.clone(),
        }))
    }
}

impl Stage2Student {
    /// Sets the scales that have not been set before from a batch, layer after layer.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    pub fn calibrate(self, images: &Tensor<4>) -> Self {
        self.calibrate_forward(images.clone(), FirstForward::Stored)
            .0
    }

    /// [Calibrates](Self::calibrate) with a batch and classifies it, as `first` says.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    pub fn calibrate_forward(mut self, images: Tensor<4>, first: FirstForward) -> (Self, Logits) {
        self.patch_embedding = self.patch_embedding.calibrate();
        let mut x = self
            .tokens
            .forward(patch_tokens(self.patch_embedding.forward(images)));
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for block in self.blocks {
            let (block, y) = block.calibrate_forward(x, first);
            blocks.push(block);
            x = y;
        }
        self.blocks = blocks;
        let features = self.norm.forward(x);
        self.class_head = self.class_head.calibrate(&token(&features, 0));
        self.distillation_head = self
            .distillation_head
            .map(|head| head.calibrate(&token(&features, 1)));
        let logits = self.classify(&features);
        (self, logits)
    }
}

impl Calibrate<Tensor<4>> for Stage2Student {
    fn calibrate(self, images: &Tensor<4>) -> Self {
        Self::calibrate(self, images)
    }
}

impl PatchEmbedding for QuantizedConv2d {
    fn embed(&self, images: Tensor<4>) -> Tensor<4> {
        self.forward(images)
    }
}

impl EncoderBlock for Stage2Block {
    fn encode(&self, x: Tensor<3>) -> Tensor<3> {
        self.forward(x)
    }

    fn encode_with_attention(&self, x: Tensor<3>) -> (Tensor<3>, Tensor<4>) {
        self.forward_with_attention(x)
    }

    fn with_blend(self, blend: Blend) -> Self {
        self.with_blend(blend)
    }

    fn latent_weights(&self) -> Vec<Tensor<2>> {
        let (attention, mlp) = (&self.attention, &self.mlp);
        [&attention.qkv, &attention.output, &mlp.fc1, &mlp.fc2]
            .map(|layer| layer.weight.val())
            .to_vec()
    }

    fn attention_matrix_parameters(&self) -> Vec<ParamId> {
        let attention = &self.attention;
        vec![
            attention.attention_shift.bias.id,
            attention.attention.scales.id,
        ]
    }

    /// Shifts do not decay; each binarizer has a scale, or one for each group.
    fn weight_decay(&self, decay: &mut WeightDecay) {
        let (attention, mlp) = (&self.attention, &self.mlp);
        let shifts = &attention.shifts;
        for shift in [
            &shifts.query,
            &shifts.key,
            &shifts.value,
            &attention.attention_shift,
        ] {
            decay.never(&shift.bias);
        }
        for layer in [&attention.qkv, &attention.output, &mlp.fc1, &mlp.fc2] {
            decay.scale(layer.input.scale());
        }
        for scale in [
            &attention.query.scale,
            &attention.key.scale,
            &attention.value.scales,
            &attention.attention.scales,
        ] {
            decay.scale(scale);
        }
    }
}

impl Head for QuantizedLinear {
    fn logits(&self, x: Tensor<2>) -> Tensor<2> {
        self.forward(x)
    }

    /// Input and weight have a scale each.
    fn weight_decay(&self, decay: &mut WeightDecay) {
        decay.scale(&self.input.scale);
        decay.scale(&self.weight_quantizer.scale);
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, s};

    #[test]
    fn predictions_do_not_depend_on_the_rest_of_the_batch() {
        let device = Device::flex();
        device.seed(6);
        let images = Tensor::random([5, 1, 8, 8], Distribution::Normal(0.0, 1.0), &device);
        let student = VitConfig::micro()
            .init_stage2(&device)
            .unwrap()
            .calibrate(&images);
        let all = student.infer(images.clone());
        let one = student.infer(images.slice(s![1..2]));
        all.slice(s![1..2])
            .into_data()
            .assert_approx_eq::<f32>(&one.into_data(), burn::tensor::Tolerance::absolute(1e-5));
    }

    #[test]
    fn activations_lead_to_the_logits() {
        let device = Device::flex();
        device.seed(7);
        let images = Tensor::random([2, 1, 8, 8], Distribution::Normal(0.0, 1.0), &device);
        let config = VitConfig::micro();
        let student = config.init_stage2(&device).unwrap().calibrate(&images);
        let inside = student.activations(images.clone());
        assert_eq!(inside.embedding.dims(), [2, 18, 64]);
        assert_eq!(inside.attention.len(), 4);
        assert_eq!(inside.attention[3].dims(), [2, 4, 18, 18]);
        let last = student.norm.forward(inside.blocks[3].clone());
        assert_eq!(last.into_data(), inside.features.into_data());
        let logits = student.forward(images);
        assert_eq!(logits.class.into_data(), inside.logits.class.into_data());
    }

    #[test]
    fn a_student_may_have_one_head() {
        let device = Device::flex();
        let config = VitConfig::micro().with_distillation_token(false);
        let images = Tensor::random([2, 1, 8, 8], Distribution::Normal(0.0, 1.0), &device);
        let student = config.init_stage2(&device).unwrap().calibrate(&images);
        assert!(student.forward(images.clone()).distillation.is_none());
        assert_eq!(student.infer(images).dims(), [2, 10]);
    }
}
