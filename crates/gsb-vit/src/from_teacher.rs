//! Students that start from the weights of a float model.

use std::collections::HashSet;

use burn::Tensor;
use burn::module::{Module, Param, ParamId, RunningState};
use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, Linear};
use burn::tensor::s;
use gsb_core::nn::LayerNorm;

use crate::embedding::TokenEmbedding;
use crate::parameters::ids;
use crate::{
    Error, Phase, Stage1Student, Stage2Student, TransferReport, VisionTransformer, VitConfig,
};

impl Stage1Student {
    /// A student that starts from the weights of a teacher, on the same device, and where its parameters come
    /// from.
    ///
    /// Everything that has the same role carries over. A distillation token that the teacher does not have
    /// starts as its class token does: with the same values, position and head. The batch normalization
    /// of the patch embedding gets the statistics of these images, and scale and offset that undo it: it
    /// changes nothing, in evaluation as in training. Shifts start at 0.
    ///
    /// # Shapes
    /// - images: `[batch, channels, height, width]`, on the teacher's device
    ///
    /// # Errors
    /// [`Error::Start`] if the configurations differ in more than the distillation token; see also
    /// [`VitConfig::validate`].
    pub fn from_teacher(
        teacher: &VisionTransformer,
        config: &VitConfig,
        images: &Tensor<4>,
    ) -> Result<(Self, TransferReport), Error> {
        config.validate()?;
        same_sizes(teacher.config(), config, Phase::Stage1)?;
        let mut student = config.init_stage1(&teacher.tokens.position.val().device())?;

        student.patch_embedding.convolution = teacher.patch_embedding.clone();
        undo(
            &mut student.patch_embedding.norm,
            &teacher.patch_embedding,
            images,
        );
        continue_tokens(&mut student.tokens, &teacher.tokens);
        for (block, from) in student.blocks.iter_mut().zip(&teacher.blocks) {
            continue_norm(&mut block.norm1, &from.norm1);
            continue_norm(&mut block.norm2, &from.norm2);
            block.attention.qkv = from.attention.qkv.clone();
            block.attention.output = from.attention.output.clone();
            let mlp = &mut block.mlp;
            (mlp.fc1.weight, mlp.fc1.bias) = parameters_of(&from.fc1);
            (mlp.fc2.weight, mlp.fc2.bias) = parameters_of(&from.fc2);
        }
        continue_norm(&mut student.norm, &teacher.norm);
        student.class_head = teacher.class_head.clone();
        if let Some(head) = &mut student.distillation_head {
            *head = match &teacher.distillation_head {
                Some(from) => from.clone(),
                None => {
                    let (weight, bias) = parameters_of(&teacher.class_head);
                    Linear {
                        weight: copy(&weight),
                        bias: bias.as_ref().map(copy),
                    }
                }
            };
        }
        let report = report(teacher, &student);
        Ok((student, report))
    }
}

impl Stage2Student {
    /// An uncalibrated student that starts from the weights of a teacher, on the same device, and where its
    /// parameters come from; [`calibrate`](Self::calibrate) then sets its scales from data.
    ///
    /// Everything that has the same role carries over. A distillation token that the teacher does not have
    /// starts as its class token does: with the same values, position and head. Shifts start at 0.
    ///
    /// # Errors
    /// As [`Stage1Student::from_teacher`].
    pub fn from_teacher(
        teacher: &VisionTransformer,
        config: &VitConfig,
    ) -> Result<(Self, TransferReport), Error> {
        config.validate()?;
        same_sizes(teacher.config(), config, Phase::Stage2)?;
        let mut student = config.init_stage2(&teacher.tokens.position.val().device())?;

        student.patch_embedding.weight = teacher.patch_embedding.weight.clone();
        student.patch_embedding.bias = teacher.patch_embedding.bias.clone();
        continue_tokens(&mut student.tokens, &teacher.tokens);
        for (block, from) in student.blocks.iter_mut().zip(&teacher.blocks) {
            continue_norm(&mut block.norm1, &from.norm1);
            continue_norm(&mut block.norm2, &from.norm2);
            let (attention, mlp) = (&mut block.attention, &mut block.mlp);
            for (layer, from) in [
                (&mut attention.qkv, &from.attention.qkv),
                (&mut attention.output, &from.attention.output),
                (&mut mlp.fc1, &from.fc1),
                (&mut mlp.fc2, &from.fc2),
            ] {
                (layer.weight, layer.bias) = parameters_of(from);
            }
        }
        continue_norm(&mut student.norm, &teacher.norm);
        let (weight, bias) = parameters_of(&teacher.class_head);
        if let Some(head) = &mut student.distillation_head {
            (head.weight, head.bias) = match &teacher.distillation_head {
                Some(from) => parameters_of(from),
                None => (copy(&weight), bias.as_ref().map(copy)),
            };
        }
        (student.class_head.weight, student.class_head.bias) = (weight, bias);
        let report = report(teacher, &student);
        Ok((student, report))
    }
}

/// Checks that the weights of a teacher fit a student.
fn same_sizes(teacher: &VitConfig, student: &VitConfig, phase: Phase) -> Result<(), Error> {
    let sizes = [
        ("image size", teacher.image_size, student.image_size),
        ("patch size", teacher.patch_size, student.patch_size),
        ("number of channels", teacher.channels, student.channels),
        ("number of classes", teacher.classes, student.classes),
        ("width", teacher.width, student.width),
        ("depth", teacher.depth, student.depth),
        ("number of heads", teacher.heads, student.heads),
        ("MLP width", teacher.mlp_width, student.mlp_width),
    ];
    match sizes.into_iter().find(|(_, from, to)| from != to) {
        Some((field, teacher, student)) => Err(Error::Start {
            phase,
            field,
            teacher,
            student,
        }),
        None => Ok(()),
    }
}

/// Gives a normalization the statistics of a convolution's outputs, and the scale and offset that undo it.
fn undo(norm: &mut BatchNorm, convolution: &Conv2d, images: &Tensor<4>) {
    let x = convolution.forward(images.clone());
    let x: Tensor<2> = x.swap_dims(0, 1).flatten(1, 3);
    let mean = x.clone().mean_dim(1).squeeze_dim::<1>(1).detach();
    let variance = x.var_bias(1).squeeze_dim::<1>(1).detach();
    let deviation = variance.clone().add_scalar(norm.epsilon).sqrt();
    norm.gamma = Param::from_tensor(deviation.detach());
    norm.beta = Param::from_tensor(mean.clone());
    norm.running_mean = RunningState::new(mean);
    norm.running_var = RunningState::new(variance);
}

/// Takes over tokens and positions: those of a distillation token that is not there are the class token's.
fn continue_tokens(tokens: &mut TokenEmbedding, from: &TokenEmbedding) {
    tokens.class_token = from.class_token.clone();
    let (has, had) = (
        tokens.distillation_token.is_some(),
        from.distillation_token.is_some(),
    );
    if has {
        let token = from.distillation_token.clone();
        tokens.distillation_token = token.or_else(|| Some(copy(&from.class_token)));
    }
    if has == had {
        tokens.position = from.position.clone();
        return;
    }
    let positions = from.position.val();
    let class = positions.clone().slice(s![.., ..1, ..]);
    let patches = positions.slice(s![.., 1 + usize::from(had).., ..]);
    let before = vec![class; 1 + usize::from(has)];
    let positions = Tensor::cat([before, vec![patches]].concat(), 1);
    tokens.position = Param::from_tensor(positions.detach());
}

/// Scale and bias; the epsilon stays that of the student.
fn continue_norm(norm: &mut LayerNorm, from: &LayerNorm) {
    norm.gamma = from.gamma.clone();
    norm.beta = from.beta.clone();
}

type Weights = (Param<Tensor<2>>, Option<Param<Tensor<1>>>);

fn parameters_of(layer: &Linear) -> Weights {
    (layer.weight.clone(), layer.bias.clone())
}

/// A parameter of its own with the same values.
fn copy<const D: usize>(param: &Param<Tensor<D>>) -> Param<Tensor<D>> {
    Param::from_tensor(param.val().detach())
}

/// A parameter that has carried over is the same parameter, by its id.
fn report<S: Module>(teacher: &VisionTransformer, student: &S) -> TransferReport {
    let (before, after) = (ids(teacher), ids(student));
    let set = |found: &[(String, ParamId)]| -> HashSet<ParamId> {
        found.iter().map(|&(_, id)| id).collect()
    };
    let (from, to) = (set(&before), set(&after));
    let made = [
        "tokens.",
        "distillation_head.weight",
        "distillation_head.bias",
        "patch_embedding.norm.",
    ];
    let mut report = TransferReport::default();
    for (path, id) in after {
        if from.contains(&id) {
            report.carried.push(path);
        } else if made.iter().any(|part| path.starts_with(part)) && !path.contains("quantizer") {
            report.derived.push(path);
        } else {
            report.fresh.push(path);
        }
    }
    let lost = before.into_iter().filter(|(_, id)| !to.contains(id));
    report.left = lost.map(|(path, _)| path).collect();
    report
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution, Tolerance};

    /// Biases and positions that show.
    fn teacher(distilled: bool, device: &Device) -> VisionTransformer {
        let config = VitConfig::micro()
            .with_distillation_token(distilled)
            .with_initializer(burn::nn::Initializer::Normal {
                mean: 0.02,
                std: 0.2,
            });
        let mut teacher = config.init_teacher(device).unwrap();
        for block in &mut teacher.blocks {
            let bias = Tensor::random([3 * 64], Distribution::Normal(0.0, 0.5), device);
            block.attention.qkv.bias = Some(Param::from_tensor(bias));
        }
        teacher
    }

    fn images(device: &Device) -> Tensor<4> {
        Tensor::random([6, 1, 8, 8], Distribution::Normal(0.3, 2.0), device)
    }

    fn same<const D: usize>(a: Tensor<D>, b: Tensor<D>) {
        assert_eq!(a.into_data(), b.into_data());
    }

    #[test]
    fn the_normalization_of_stage_1_changes_nothing() {
        let device = Device::flex().autodiff();
        device.seed(11);
        let (teacher, images) = (teacher(true, &device), images(&device));
        let (student, report) =
            Stage1Student::from_teacher(&teacher, &VitConfig::micro(), &images).unwrap();
        let expected = teacher.embed(images.clone()).into_data();
        // Sums of a few terms of magnitude up to 10, in another order.
        let tolerance = Tolerance::absolute(5e-5);
        let evaluated = student.valid().embed(images.clone().inner()).into_data();
        evaluated.assert_approx_eq::<f32>(&expected, tolerance);
        let trained = student.embed(images).into_data();
        trained.assert_approx_eq::<f32>(&expected, tolerance);
        assert_eq!(report.derived.len(), 4);
        assert!(
            report
                .derived
                .iter()
                .all(|path| path.starts_with("patch_embedding.norm."))
        );
        assert!(report.left.is_empty());
    }

    #[test]
    fn the_attention_of_stage_1_is_the_teachers() {
        let device = Device::flex();
        device.seed(12);
        let (teacher, images) = (teacher(false, &device), images(&device));
        let config = VitConfig::micro().with_distillation_token(false);
        let (student, _) = Stage1Student::from_teacher(&teacher, &config, &images).unwrap();
        let x = teacher.embed(images);
        for (block, from) in student.blocks.iter().zip(&teacher.blocks) {
            let [got, expected] = [
                block.attention.forward(x.clone()),
                from.attention.forward(x.clone()),
            ];
            same(got, expected);
        }
    }

    #[test]
    fn a_distillation_token_starts_as_the_class_token_does() {
        let device = Device::flex();
        device.seed(13);
        let (teacher, images) = (teacher(false, &device), images(&device));
        let config = VitConfig::micro();
        let (stage1, report) = Stage1Student::from_teacher(&teacher, &config, &images).unwrap();
        let (stage2, _) = Stage2Student::from_teacher(&teacher, &config).unwrap();
        for tokens in [&stage1.tokens, &stage2.tokens] {
            let token = tokens.distillation_token.as_ref().unwrap();
            same(token.val(), teacher.tokens.class_token.val());
            let (all, before) = (tokens.position.val(), teacher.tokens.position.val());
            assert_eq!(all.dims(), [1, 18, 64]);
            same(
                all.clone().slice(s![.., ..1, ..]),
                before.clone().slice(s![.., ..1, ..]),
            );
            same(all.slice(s![.., 1.., ..]), before);
        }
        let head = stage1.distillation_head.as_ref().unwrap();
        same(head.weight.val(), teacher.class_head.weight.val());
        assert_ne!(head.weight.id, stage1.class_head.weight.id);
        let head = stage2.distillation_head.as_ref().unwrap();
        same(head.weight.val(), teacher.class_head.weight.val());
        let derived = [
            "tokens.distillation_token",
            "tokens.position",
            "distillation_head.weight",
        ];
        for name in derived {
            assert!(report.derived.iter().any(|path| path == name), "{name}");
        }
        assert_eq!(report.left, ["tokens.position"]);
        // And back.
        let distilled = self::teacher(true, &device);
        let config = config.with_distillation_token(false);
        let (student, report) = Stage2Student::from_teacher(&distilled, &config).unwrap();
        let before = distilled.tokens.position.val();
        same(
            student.tokens.position.val().slice(s![.., 1.., ..]),
            before.slice(s![.., 2.., ..]),
        );
        assert!(
            report
                .left
                .iter()
                .any(|path| path == "tokens.distillation_token")
        );
    }

    #[test]
    fn a_calibrated_student_of_stage_2_trains() {
        let device = Device::flex().autodiff();
        device.seed(14);
        let (teacher, images) = (teacher(false, &device), images(&device));
        let (student, report) = Stage2Student::from_teacher(&teacher, &VitConfig::micro()).unwrap();
        for (block, from) in student.blocks.iter().zip(&teacher.blocks) {
            same(
                block.attention.qkv.weight.val(),
                from.attention.qkv.weight.val(),
            );
            same(block.mlp.fc2.weight.val(), from.fc2.weight.val());
        }
        assert!(
            report
                .fresh
                .iter()
                .any(|path| path == "blocks.0.mlp.fc1.shift.bias")
        );
        assert!(
            report
                .carried
                .iter()
                .any(|path| path == "blocks.3.norm2.gamma")
        );
        let student = student.calibrate(&images);
        assert!(student.blocks[3].attention.attention.is_calibrated());
        let grads = student.infer(images).square().mean().backward();
        let weight = &student.blocks[0].attention.qkv.weight;
        assert!(weight.grad(&grads).is_some());
        let token = student.tokens.distillation_token.as_ref().unwrap();
        assert!(token.grad(&grads).is_some());
    }

    #[test]
    fn sizes_must_agree() {
        let device = Device::flex();
        let teacher = teacher(true, &device);
        let mut config = VitConfig::micro();
        config.classes = 7;
        let error = Stage2Student::from_teacher(&teacher, &config).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a student of stage2 cannot start from the teacher: its number of classes is 7, that of the teacher 10"
        );
        config.classes = 10;
        config.heads = 2;
        assert!(Stage1Student::from_teacher(&teacher, &config, &images(&device)).is_err());
    }
}
