//! `g_traj_*`: training runs of a few steps, from stored parameters to stored parameters.

use std::collections::HashMap;

use burn::Tensor;
use burn::module::{ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::TensorData;
use gsb_core::binarize::FirstForward;
use gsb_core::distill::{Distillation, DistillationLossConfig, Logits, Targets};
use gsb_train::{CosineScheduleConfig, OptimizerConfig};
use gsb_vit::checkpoint::Published;
use gsb_vit::{Classifier, Model, Stage1Student, Stage2Student};

use crate::check::{Check, measured_bound};
use crate::fixture::{Case, Values, cases};
use crate::model::{config, model, values};
use crate::{Outcome, device};

pub(crate) fn stage1(case: &Case) -> Outcome {
    run::<Stage1Student>(case, |student, x| {
        let logits = student.forward(x);
        (student, logits)
    })
}

pub(crate) fn stage2(case: &Case) -> Outcome {
    // The first pass sets the scales and uses them reduced; in later ones they are set.
    let mut first = true;
    run::<Stage2Student>(case, move |student, x| {
        if std::mem::take(&mut first) {
            return student.calibrate_forward(x, FirstForward::Published);
        }
        let logits = student.forward(x);
        (student, logits)
    })
}

fn run<M: Model + Classifier>(
    case: &Case,
    mut forward: impl FnMut(M, Tensor<4>) -> (M, Logits),
) -> Outcome {
    let device = device();
    let model_config = config(case)?;
    // Where a file stores results alone, they are of the run that its name continues.
    let elsewhere = start(case)?;
    let mut case = case.clone();
    if let Some(start) = &elsewhere
        && let Some(stated) = start.config.get("sensitivity")
        && !case.config.contains_key("sensitivity")
    {
        // The same run under another rule: what it does with rounding is all that is stated.
        case.config.insert("sensitivity".into(), stated.clone());
    }
    let case = &case;
    let start = elsewhere.as_ref().unwrap_or(case);
    let mut student: M = model(start, "init.", &model_config, &device)?;
    let mut check = Check::new(case);
    let batches = (0..)
        .map(|index| format!("data{index}"))
        .take_while(|data| start.has(&format!("{data}.x")))
        .map(|data| {
            Ok((
                start.tensor::<4>(&format!("{data}.x"), &device)?,
                start.labels(&format!("{data}.labels"), &device)?,
                start.tensor::<2>(&format!("{data}.teacher_logits"), &device)?,
            ))
        })
        .collect::<Result<Vec<_>, String>>()?;
    let mut config = DistillationLossConfig::new().with_kind(match case.text("dist") {
        Some("hard") | None => Distillation::Hard,
        Some("soft") => Distillation::Soft,
        Some("none") => Distillation::None,
        Some(kind) => return Err(format!("no test distils {kind:?}")),
    });
    config.alpha = case.number("alpha").unwrap_or(config.alpha);
    config.temperature = case.number("tau").unwrap_or(config.temperature);
    let loss = config.init().map_err(|error| error.to_string())?;
    let [epochs, _] = case.sizes("epochs")?;
    let base = case
        .number("eff_lr")
        .ok_or("the configuration has no \"eff_lr\"")?;
    let schedule = CosineScheduleConfig::new(base, epochs);
    // The version of the library behind the runs that name none lets scales decay.
    let mut optimizer = OptimizerConfig::new()
        .with_decay_scales(case.text("timm").is_none())
        .init(&student);
    let mut sum = GradientSum::default();
    let (mut rates, mut after, mut losses) = (Vec::new(), Vec::new(), [(); 3].map(|()| Vec::new()));
    for epoch in 0..epochs {
        let rate = schedule.published_rate(epoch, 0);
        for (x, labels, teacher) in &batches {
            let (model, logits) = forward(student, x.clone());
            let terms = loss
                .forward(
                    logits,
                    Some(teacher.clone()),
                    Targets::Labels(labels.clone()),
                )
                .map_err(|error| error.to_string())?;
            let grads = GradientsParams::from_grads(terms.total.backward(), &model);
            let grads = sum.add(&model, grads);
            student = optimizer.step(rate, model, grads);
            rates.push(rate);
            let distillation = terms.distillation.unwrap_or(terms.base.zeros_like());
            let terms = [terms.total, terms.base, distillation];
            for (losses, term) in losses.iter_mut().zip(terms) {
                losses.push(term.into_scalar::<f32>());
            }
        }
        after.push(schedule.rate(epoch));
    }
    check.doubles("out.lr_per_step", &rates);
    check.doubles("out.lr_after_epoch", &after);
    for (name, losses) in ["loss", "base_loss", "distillation_loss"]
        .into_iter()
        .zip(losses)
    {
        let values = Values {
            shape: vec![losses.len()],
            data: losses,
        };
        check.measured(&format!("out.{name}"), values);
    }
    let student = student.valid();
    finals(
        &mut check,
        case,
        &Published::of(&student),
        base * rates.len() as f64,
    );
    for (index, (x, ..)) in batches.into_iter().enumerate() {
        check.measured(&format!("out.eval_logits{index}"), student.infer(x.inner()));
    }
    check.finish()
}

/// The sum of all gradients of a run: the published loop does not clear them between steps.
#[derive(Default)]
struct GradientSum {
    sums: HashMap<ParamId, TensorData>,
    step: GradientsParams,
    total: GradientsParams,
}

impl GradientSum {
    /// The sum up to a step, that step included.
    fn add<M: Model>(&mut self, model: &M, step: GradientsParams) -> GradientsParams {
        self.step = step;
        model.visit(self);
        std::mem::take(&mut self.total)
    }
}

impl ModuleVisitor for GradientSum {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(mut grad) = self.step.get::<D>(param.id) else {
            return;
        };
        if let Some(before) = self.sums.remove(&param.id) {
            grad = Tensor::from_data(before, &grad.device()) + grad;
        }
        self.sums.insert(param.id, grad.to_data());
        self.total.register(param.id, grad);
    }
}

/// The case that a run starts from, if it is another one.
fn start(case: &Case) -> Result<Option<Case>, String> {
    if case.tensors.keys().any(|name| name.starts_with("init.")) {
        return Ok(None);
    }
    let (before, _) = case.file.rsplit_once('_').ok_or("the run has no start")?;
    let path = case.directory.join(format!("{before}.safetensors"));
    let mut starts = cases(&path)?;
    // Of one case there is no doubt, whatever it is called.
    let index = match starts.len() {
        1 => Some(0),
        _ => starts.iter().position(|start| start.name == case.name),
    };
    let index = index.ok_or_else(|| format!("{}: no case {:?}", path.display(), case.name))?;
    let found = starts.swap_remove(index);
    Ok(Some(found))
}

/// Compares the parameters at the end.
///
/// In stage 1 the patch bias before batch normalization, the key's shift and the key's part of the
/// joint bias have gradients that are zero but for rounding, and AdamW makes steps of ordinary size
/// of any gradient: all that holds for them is that no step exceeds the learning rate. What the
/// running mean tracks moves with the patch bias.
fn finals(check: &mut Check, case: &Case, got: &Published, farthest: f64) {
    let stage1 = got.shape("patch_embed.norm.weight").is_some();
    let noise = |name: &str| {
        name.ends_with("patch_embed.proj.bias")
            || name.ends_with("patch_embed.norm.running_mean")
            || name.ends_with("move_k.bias")
    };
    for name in case
        .tensors
        .keys()
        .filter(|name| name.starts_with("final."))
    {
        let short = &name["final.".len()..];
        let Some(data) = got.get(short) else {
            check.fail(format!("{name}: the model has no such parameter"));
            continue;
        };
        let got = values(data);
        let expected = &case.tensors[name];
        let bound = measured_bound(case, name, expected);
        let width = expected.data.len() / 3;
        check.within(name, got, |index| {
            let key = name.ends_with("qkv.bias") && (width..2 * width).contains(&index);
            if stage1 && (noise(name) || key) {
                2.0 * farthest
            } else {
                bound
            }
        });
    }
    for name in case
        .integers
        .keys()
        .filter(|name| name.starts_with("final."))
    {
        check.leave_out(name);
    }
}
