//! The student of stage 2.

use burn::Tensor;
use burn::module::{Module, Param};
use burn::nn::{LayerNorm, Linear};
use burn::tensor::Device;
use gsb::binarize::{AttentionBinarizerConfig, FirstForward, ValueBinarizerConfig};
use gsb::distill::Student;
use gsb::nn::{
    BinaryLinear, QuantizedConv2d, QuantizedConv2dConfig, QuantizedLinear, QuantizedLinearConfig,
    Stage1Block, Stage2Block, Stage2BlockConfig, WeightBinaryLinear, layer_norm,
};

use crate::embedding::{TokenEmbedding, patch_tokens, token};
use crate::{Classifier, Error, Stage1Student, VitConfig};

/// The student of stage 2: weights and activations of the encoder are binary, attention matrix and
/// value by group superposition; patch embedding and heads have 8 bits.
///
/// Train it after [`calibrate`](Self::calibrate) alone.
///
/// Source: stage 2 of GSB (arXiv 2305.07931).
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use gsb_vit::{Classifier, VitConfig};
///
/// let device = Device::default();
/// let images = Tensor::<4>::random([2, 1, 8, 8], Distribution::Default, &device);
/// let student = VitConfig::micro().init_stage2(&device)?.calibrate(&images);
/// assert_eq!(student.infer(images).dims(), [2, 10]);
/// # Ok::<(), gsb_vit::Error>(())
/// ```
#[derive(Module, Debug)]
pub struct Stage2Student {
    /// 8-bit convolution that makes a token of each patch.
    pub patch_embedding: QuantizedConv2d,
    /// Class and distillation token, positions.
    pub tokens: TokenEmbedding,
    /// The encoder.
    pub blocks: Vec<Stage2Block>,
    /// Normalization before the heads.
    pub norm: LayerNorm,
    /// 8-bit head of the class token, weight `[width, classes]`.
    pub class_head: QuantizedLinear,
    /// 8-bit head of the distillation token, weight `[width, classes]`.
    pub distillation_head: QuantizedLinear,
    #[module(skip)]
    config: VitConfig,
}

impl VitConfig {
    /// Makes an uncalibrated stage-2 student with fresh weights.
    ///
    /// # Errors
    /// See [`validate`](Self::validate).
    pub fn init_stage2(&self, device: &Device) -> Result<Stage2Student, Error> {
        self.validate()?;
        let patch = [self.patch_size; 2];
        let block = |drop_path| {
            Stage2BlockConfig::new(self.width, self.heads, self.patches() + 2)
                .with_mlp_ratio(self.mlp_ratio)
                .with_attention(
                    AttentionBinarizerConfig::new()
                        .with_groups(self.attention_groups)
                        .with_scope(self.scope),
                )
                .with_value(
                    ValueBinarizerConfig::new()
                        .with_groups(self.value_groups)
                        .with_scope(self.scope),
                )
                .with_drop_path(drop_path)
                .with_initializer(self.initializer.clone())
                .init(device)
        };
        let head = || {
            QuantizedLinearConfig::new(self.width, self.classes)
                .with_initializer(self.initializer.clone())
                .init(device)
        };
        Ok(Stage2Student {
            patch_embedding: QuantizedConv2dConfig::new([self.channels, self.width], patch)
                .with_stride(patch)
                .init(device),
            tokens: TokenEmbedding::new(self, true, device),
            blocks: self.drop_paths().map(block).collect(),
            norm: layer_norm(self.width).init(device),
            class_head: head(),
            distillation_head: head(),
            config: self.clone(),
        })
    }
}

impl Stage2Student {
    /// An uncalibrated student that starts from the weights of stage 1, on the same device.
    ///
    /// Everything that has the same role carries over; the batch normalization of the patch
    /// embedding is folded into the convolution. Scales and the shifts that stage 1 does not have
    /// start fresh.
    ///
    /// # Errors
    /// [`Error::Transfer`] if the configurations differ in a size; see also
    /// [`VitConfig::validate`].
    pub fn from_stage1(stage1: &Stage1Student, config: &VitConfig) -> Result<Self, Error> {
        config.accepts_weights_of(stage1.config())?;
        let mut student = config.init_stage2(&stage1.tokens.position.val().device())?;
        let (weight, bias) = stage1.patch_embedding.folded();
        let patches = &mut student.patch_embedding;
        patches.weight = Param::from_tensor(weight);
        patches.bias = Some(Param::from_tensor(bias));
        student.tokens = stage1.tokens.clone();
        student.blocks = student
            .blocks
            .into_iter()
            .zip(&stage1.blocks)
            .map(|(block, from)| continue_block(block, from))
            .collect();
        student.norm = stage1.norm.clone();
        continue_head(&mut student.class_head, &stage1.class_head);
        continue_head(&mut student.distillation_head, &stage1.distillation_head);
        Ok(student)
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &VitConfig {
        &self.config
    }

    /// Sets the scales that have not been set before from a batch, layer after layer.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`
    pub fn calibrate(mut self, images: &Tensor<4>) -> Self {
        self.patch_embedding = self.patch_embedding.calibrate();
        let patches = patch_tokens(self.patch_embedding.forward(images.clone()));
        let mut x = self.tokens.forward(patches);
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for block in self.blocks {
            let (block, y) = block.calibrate_forward(x, FirstForward::Stored);
            blocks.push(block);
            x = y;
        }
        self.blocks = blocks;
        let x = self.norm.forward(x);
        self.class_head = self.class_head.calibrate(&token(&x, 0));
        self.distillation_head = self.distillation_head.calibrate(&token(&x, 1));
        self
    }
}

impl Classifier for Stage2Student {
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

/// A stage-2 block with the weights of its stage-1 block.
fn continue_block(mut block: Stage2Block, from: &Stage1Block) -> Stage2Block {
    block.norm1 = from.norm1.clone();
    block.norm2 = from.norm2.clone();
    block.attention.shifts = from.attention.shifts.clone();
    continue_linear(&mut block.attention.qkv, &from.attention.qkv);
    continue_linear(&mut block.attention.output, &from.attention.output);
    continue_shifted(&mut block.mlp.fc1, &from.mlp.fc1);
    continue_shifted(&mut block.mlp.fc2, &from.mlp.fc2);
    block
}

fn continue_linear(layer: &mut BinaryLinear, from: &Linear) {
    layer.weight = from.weight.clone();
    layer.bias = from.bias.clone();
}

fn continue_shifted(layer: &mut BinaryLinear, from: &WeightBinaryLinear) {
    layer.weight = from.weight.clone();
    layer.bias = from.bias.clone();
    layer.shift = from.shift.clone();
}

fn continue_head(head: &mut QuantizedLinear, from: &Linear) {
    head.weight = from.weight.clone();
    head.bias = from.bias.clone();
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, s};

    fn images(device: &Device) -> Tensor<4> {
        Tensor::random([5, 1, 8, 8], Distribution::Normal(0.0, 1.0), device)
    }

    fn same<const D: usize>(a: &Param<Tensor<D>>, b: &Param<Tensor<D>>) -> bool {
        a.val().into_data() == b.val().into_data()
    }

    #[test]
    fn weights_of_the_same_role_carry_over() {
        let device = Device::flex().autodiff();
        let config = VitConfig::micro();
        let stage1 = config.init_stage1(&device).unwrap();
        let stage2 = Stage2Student::from_stage1(&stage1, &config).unwrap();
        assert!(same(&stage2.tokens.position, &stage1.tokens.position));
        let (to, from) = (&stage2.blocks[3], &stage1.blocks[3]);
        assert!(same(&to.attention.qkv.weight, &from.attention.qkv.weight));
        assert!(same(&to.mlp.fc1.weight, &from.mlp.fc1.weight));
        assert!(same(&to.mlp.fc2.shift.bias, &from.mlp.fc2.shift.bias));
        assert!(same(&stage2.class_head.weight, &stage1.class_head.weight));
        let (weight, _) = stage1.patch_embedding.folded();
        assert_eq!(
            stage2.patch_embedding.weight.val().into_data(),
            weight.into_data()
        );
    }

    /// Counts parameters, and those of them that a backward pass reached.
    struct Reached<'a>(&'a burn::tensor::Gradients, usize, usize);

    impl burn::module::ModuleVisitor for Reached<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.1 += 1;
            self.2 += usize::from(param.grad(self.0).is_some());
        }
    }

    #[test]
    fn every_parameter_of_a_transferred_student_trains() {
        let device = Device::flex().autodiff();
        device.seed(5);
        let config = VitConfig::micro();
        let stage1 = config.init_stage1(&device).unwrap();
        let images = images(&device);
        // From a student in training, and from one for evaluation.
        for (stage1, images) in [
            (stage1.clone(), images.clone()),
            (stage1.valid(), images.clone().inner()),
        ] {
            let student = Stage2Student::from_stage1(&stage1, &config)
                .unwrap()
                .calibrate(&images)
                .train();
            assert!(student.blocks[3].attention.attention.is_calibrated());
            assert!(student.distillation_head.input.is_calibrated());
            let images = self::images(&device);
            let grads = student.infer(images).square().mean().backward();
            let mut reached = Reached(&grads, 0, 0);
            student.visit(&mut reached);
            assert_eq!(reached.1, reached.2);
            assert!(reached.1 > 4 * 20);
        }
    }

    #[test]
    fn predictions_do_not_depend_on_the_rest_of_the_batch() {
        let device = Device::flex();
        device.seed(6);
        let images = images(&device);
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
    fn sizes_must_agree() {
        let device = Device::flex();
        let stage1 = VitConfig::micro().init_stage1(&device).unwrap();
        let error = Stage2Student::from_stage1(&stage1, &VitConfig::micro().with_mlp_ratio(2.0))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "stage 2 cannot start from stage 1: the hidden width of stage 1 is 256, that of stage 2 128"
        );
    }
}
