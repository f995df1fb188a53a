//! `d_model_stage1`, `d_model_stage2`: whole students in training and evaluation.

use burn::Tensor;
use burn::module::Module;
use burn::optim::GradientsParams;
use gsb_core::binarize::FirstForward;
use gsb_core::distill::Logits;
use gsb_train::OptimizerConfig;
use gsb_vit::checkpoint::Published;
use gsb_vit::{EncoderBlock, Head, PatchEmbedding, Stage1Student, Stage2Student, Transformer};

use crate::check::Check;
use crate::fixture::Case;
use crate::model::{compare, compare_gradients, config, decided, loss, model, one_by_one};
use crate::{Outcome, device};

pub(crate) fn stage1(case: &Case) -> Outcome {
    let device = device();
    let config = config(case)?;
    let load = || model::<Stage1Student>(case, "param.", &config, &device);
    let student = load()?;
    let x = case.tensor::<4>("x", &device)?;
    let mut check = Check::new(case);
    check.measured("out.eval_before", student.valid().infer(x.clone().inner()));
    traces(&mut check, case, &load()?, x.clone());

    let logits = student.forward(x.clone());
    let names = ["labels", "teacher_labels"];
    let grads = backward(&mut check, case, logits, "out", names, config.classes)?;
    compare_gradients(&mut check, case, "grad.", &student, &grads);
    let evaluated = student.valid();
    compare(&mut check, case, "after.", &Published::of(&evaluated));
    check.measured("out.eval_after", evaluated.infer(x.inner()));
    check.finish()
}

pub(crate) fn stage2(case: &Case) -> Outcome {
    let device = device();
    let config = config(case)?;
    let student: Stage2Student = model(case, "param.", &config, &device)?;
    let x = case.tensor::<4>("x", &device)?;
    let mut check = Check::new(case);

    // The first pass sets the scales and uses them reduced.
    let calibrate =
        |student: Stage2Student| student.calibrate_forward(x.clone(), FirstForward::Published);
    first_pass_traces(&mut check, case, student.clone(), x.clone());
    let (student, logits) = calibrate(student);
    let names = ["labels", "teacher_labels"];
    let grads = backward(&mut check, case, logits, "out1", names, config.classes)?;
    compare_gradients(&mut check, case, "grad1.", &student, &grads);
    compare(&mut check, case, "after1.", &Published::of(&student));

    let rate = case.number("lr").ok_or("the configuration has no \"lr\"")?;
    let mut optimizer = OptimizerConfig::new()
        .with_decay_scales(true)
        .init(&student);
    let grads = GradientsParams::from_grads(grads, &student);
    let student = optimizer.step(rate, student, grads);
    compare(&mut check, case, "after_step.", &Published::of(&student));

    let logits = student.forward(case.tensor::<4>("x2", &device)?);
    let names = ["labels2", "teacher_labels2"];
    let grads = backward(&mut check, case, logits, "out2", names, config.classes)?;
    compare_gradients(&mut check, case, "grad2.", &student, &grads);

    let (student, x) = (student.valid(), x.inner());
    check.measured("out.eval_batch", student.infer(x.clone()));
    check.measured("out.eval_single", one_by_one(&student, x));
    check.finish()
}

/// Compares the logits and the loss, whose gradients are returned.
fn backward(
    check: &mut Check,
    case: &Case,
    logits: Logits,
    out: &str,
    [labels, teacher_labels]: [&str; 2],
    classes: usize,
) -> Result<burn::tensor::Gradients, String> {
    let device = device();
    let distillation = logits
        .distillation
        .clone()
        .ok_or("the student has one head")?;
    check.measured(&format!("{out}.cls"), logits.class.clone());
    check.measured(&format!("{out}.dist"), distillation);
    let teacher = decided(case.labels(teacher_labels, &device)?, classes);
    let loss = loss(logits, teacher, case.labels(labels, &device)?)?;
    check.measured(&format!("{out}.loss"), loss.total.clone());
    Ok(loss.total.backward())
}

/// What lies between images and logits. `student` is one of its own: the pass moves statistics.
fn traces<P: PatchEmbedding, B: EncoderBlock, H: Head>(
    check: &mut Check,
    case: &Case,
    student: &Transformer<P, B, H>,
    x: Tensor<4>,
) {
    if case.has("trace.patch_embed") {
        let patches = student.patch_embedding.embed(x.clone());
        check.measured(
            "trace.patch_embed",
            patches.flatten::<3>(2, 3).swap_dims(1, 2),
        );
    }
    for (index, y) in student.activations(x).blocks.into_iter().enumerate() {
        let name = format!("trace.block{index}");
        if case.has(&name) {
            check.measured(&name, y);
        }
    }
}

/// [`traces`] of the pass that sets the scales.
fn first_pass_traces(check: &mut Check, case: &Case, mut student: Stage2Student, x: Tensor<4>) {
    student.patch_embedding = student.patch_embedding.calibrate();
    let patches = student
        .patch_embedding
        .embed(x)
        .flatten::<3>(2, 3)
        .swap_dims(1, 2);
    if case.has("trace.patch_embed") {
        check.measured("trace.patch_embed", patches.clone());
    }
    let mut y = student.tokens.forward(patches);
    for (index, block) in student.blocks.into_iter().enumerate() {
        (_, y) = block.calibrate_forward(y, FirstForward::Published);
        let name = format!("trace.block{index}");
        if case.has(&name) {
            check.measured(&name, y.clone());
        }
    }
}
