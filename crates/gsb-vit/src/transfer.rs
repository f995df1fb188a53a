//! From the weights of stage 1 to a student of stage 2.

use std::collections::HashSet;

use burn::module::{Param, ParamId};
use burn::nn::Linear;
use gsb_core::nn::{BinaryLinear, QuantizedLinear, Stage1Block, Stage2Block, WeightBinaryLinear};

use crate::parameters::ids;
use crate::{Error, Stage1Student, Stage2Student, VitConfig};

/// What stage 2, which has no batch normalization, does with that of stage 1's patch embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PatchNormalization {
    /// Its running statistics, scale and offset go into the convolution: what the embedding computes
    /// in evaluation stays the same within rounding.
    #[default]
    Folded,
    /// It is left behind, as published.
    Dropped,
}

/// Where the parameters of a student come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TransferReport {
    /// Parameters of the student with the values of stage 1, or of the teacher.
    pub carried: Vec<String>,
    /// Parameters of the student that follow from others of the teacher: a distillation token, its position
    /// and head from those of the class token, a batch normalization from its inputs.
    pub derived: Vec<String>,
    /// Parameters of the student that a normalization of stage 1 was folded into.
    pub folded: Vec<String>,
    /// Parameters of the student that start fresh.
    pub fresh: Vec<String>,
    /// Parameters of stage 1, or of the teacher, that the student has no place for.
    pub left: Vec<String>,
}

impl Stage2Student {
    /// An uncalibrated student that starts from the weights of stage 1, on the same device, and
    /// where its parameters come from.
    ///
    /// Everything that has the same role carries over. Scales and the shifts that stage 1 does not
    /// have start fresh.
    ///
    /// # Errors
    /// [`Error::Transfer`] if the configurations differ in a size; see also
    /// [`VitConfig::validate`].
    pub fn from_stage1(
        stage1: &Stage1Student,
        config: &VitConfig,
        normalization: PatchNormalization,
    ) -> Result<(Self, TransferReport), Error> {
        config.validate()?;
        same_sizes(stage1.config(), config)?;
        let mut student = config.init_stage2(&stage1.tokens.position.val().device())?;
        let patches = &mut student.patch_embedding;
        match normalization {
            PatchNormalization::Folded => {
                let (weight, bias) = stage1.patch_embedding.folded();
                patches.weight = Param::from_tensor(weight);
                patches.bias = Some(Param::from_tensor(bias));
            }
            PatchNormalization::Dropped => {
                let convolution = &stage1.patch_embedding.convolution;
                patches.weight = convolution.weight.clone();
                patches.bias = convolution.bias.clone();
            }
        }
        student.tokens = stage1.tokens.clone();
        student.blocks = student
            .blocks
            .into_iter()
            .zip(&stage1.blocks)
            .map(|(block, from)| continue_block(block, from))
            .collect();
        student.norm = stage1.norm.clone();
        continue_head(&mut student.class_head, &stage1.class_head);
        if let (Some(head), Some(from)) =
            (&mut student.distillation_head, &stage1.distillation_head)
        {
            continue_head(head, from);
        }
        let report = TransferReport::of(stage1, &student, normalization);
        Ok((student, report))
    }
}

impl TransferReport {
    /// A parameter that has carried over is the same parameter, by its id.
    fn of(
        stage1: &Stage1Student,
        stage2: &Stage2Student,
        normalization: PatchNormalization,
    ) -> Self {
        let (before, after) = (ids(stage1), ids(stage2));
        let set = |found: &[(String, ParamId)]| -> HashSet<ParamId> {
            found.iter().map(|&(_, id)| id).collect()
        };
        let (from, to) = (set(&before), set(&after));
        let mut report = Self::default();
        for (path, id) in after {
            let in_convolution =
                ["patch_embedding.weight", "patch_embedding.bias"].contains(&path.as_str());
            if from.contains(&id) {
                report.carried.push(path);
            } else if in_convolution && normalization == PatchNormalization::Folded {
                report.folded.push(path);
            } else {
                report.fresh.push(path);
            }
        }
        let lost = before.into_iter().filter(|(_, id)| !to.contains(id));
        report.left = lost.map(|(path, _)| path).collect();
        report
    }
}

/// Checks that the weights of a stage-1 model fit a stage-2 model.
fn same_sizes(stage1: &VitConfig, stage2: &VitConfig) -> Result<(), Error> {
    let sizes = [
        ("image size", stage1.image_size, stage2.image_size),
        ("patch size", stage1.patch_size, stage2.patch_size),
        ("number of channels", stage1.channels, stage2.channels),
        ("number of classes", stage1.classes, stage2.classes),
        ("width", stage1.width, stage2.width),
        ("depth", stage1.depth, stage2.depth),
        ("number of tokens", stage1.tokens(), stage2.tokens()),
        ("number of heads", stage1.heads, stage2.heads),
        ("MLP width", stage1.mlp_width, stage2.mlp_width),
        (
            "number of token shifts before a layer",
            stage1.token_shifts.into(),
            stage2.token_shifts.into(),
        ),
    ];
    match sizes.into_iter().find(|(_, from, to)| from != to) {
        Some((field, stage1, stage2)) => Err(Error::Transfer {
            field,
            stage1,
            stage2,
        }),
        None => Ok(()),
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
    use burn::Tensor;
    use burn::module::Module;
    use burn::tensor::{Device, Distribution};

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
        let (stage2, report) =
            Stage2Student::from_stage1(&stage1, &config, PatchNormalization::Folded).unwrap();
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
        assert_eq!(
            report.folded,
            ["patch_embedding.weight", "patch_embedding.bias"]
        );
        // A block: two normalizations, four layers, three shifts, and the shifts of the MLP.
        assert_eq!(report.carried.len(), 3 + 4 * (4 + 8 + 3 + 2) + 2 + 4);
        let fresh = |name: &str| report.fresh.iter().any(|path| path == name);
        assert!(fresh("blocks.0.attention.attention_shift.bias"));
        assert!(fresh("patch_embedding.weight_quantizer.scale"));
        assert!(
            report
                .left
                .contains(&"patch_embedding.norm.gamma".to_string())
        );
    }

    #[test]
    fn the_normalization_can_be_left_behind() {
        let device = Device::flex();
        let config = VitConfig::micro();
        let stage1 = config.init_stage1(&device).unwrap();
        let (stage2, report) =
            Stage2Student::from_stage1(&stage1, &config, PatchNormalization::Dropped).unwrap();
        assert!(same(
            &stage2.patch_embedding.weight,
            &stage1.patch_embedding.convolution.weight
        ));
        assert!(report.folded.is_empty());
        assert_eq!(
            report.left,
            ["gamma", "beta", "running_mean", "running_var"]
                .map(|name| format!("patch_embedding.norm.{name}"))
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
            let (student, _) =
                Stage2Student::from_stage1(&stage1, &config, PatchNormalization::Folded).unwrap();
            let student = student.calibrate(&images).train();
            assert!(student.blocks[3].attention.attention.is_calibrated());
            let head = student.distillation_head.as_ref().unwrap();
            assert!(head.input.is_calibrated());
            let images = self::images(&device);
            let grads = student.infer(images).square().mean().backward();
            let mut reached = Reached(&grads, 0, 0);
            student.visit(&mut reached);
            assert_eq!(reached.1, reached.2);
            assert!(reached.1 > 4 * 20);
        }
    }

    #[test]
    fn sizes_must_agree() {
        let device = Device::flex();
        let stage1 = VitConfig::micro().init_stage1(&device).unwrap();
        let impossible = VitConfig {
            patch_size: 0,
            ..VitConfig::micro()
        };
        assert!(
            Stage2Student::from_stage1(&stage1, &impossible, PatchNormalization::Folded).is_err()
        );
        let narrow = VitConfig::micro().with_mlp_width(128);
        let error =
            Stage2Student::from_stage1(&stage1, &narrow, PatchNormalization::Folded).unwrap_err();
        assert_eq!(
            error.to_string(),
            "stage 2 cannot start from stage 1: the MLP width of stage 1 is 256, that of stage 2 128"
        );
    }
}
