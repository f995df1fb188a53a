//! `d_ckpt_*`: checkpoints that the published training has saved.
//!
//! The cases are in `NAME.expected.safetensors`, the checkpoint is `NAME.pth` beside it.

use std::collections::BTreeSet;
use std::path::Path;

use burn::Tensor;
use gsb_vit::checkpoint::{Published, Strictness, TensorFile};
use gsb_vit::{
    Classifier, Model, Phase, Stage1Student, Stage2Student, VisionTransformer, VitConfig,
};

use crate::check::{Check, DRAWS};
use crate::fixture::{Case, cases};
use crate::model::{config, one_by_one};
use crate::{Outcome, device};

/// What precedes the names of the model's tensors in a case.
const MODEL: &str = "model.";

/// The file holds the tensors of the model and no others, bit by bit.
pub(crate) fn run(case: &Case) -> Outcome {
    let stem = case
        .file
        .strip_suffix(".expected")
        .ok_or("no expectation")?;
    let path = case.directory.join(format!("{stem}.pth"));
    let file = TensorFile::open(&path).map_err(|error| error.to_string())?;

    let stored: BTreeSet<&str> = file.names().collect();
    let names = case.tensors.keys().chain(case.integers.keys());
    let expected: BTreeSet<&str> = names.filter_map(|name| name.strip_prefix(MODEL)).collect();
    if expected.is_empty() {
        return Err("the case has no tensors of a model".into());
    }
    if stored != expected {
        let other: Vec<_> = stored.symmetric_difference(&expected).collect();
        return Err(format!("only in the file or only expected: {other:?}"));
    }
    for name in expected {
        let data = file.read(name).map_err(|error| error.to_string())?;
        let full = format!("{MODEL}{name}");
        let same = match case.tensors.get(&full) {
            Some(values) => {
                // The cases know a scalar as a list of one.
                let shape = match &data.shape()[..] {
                    [] => vec![1],
                    shape => shape.to_vec(),
                };
                let stored: Vec<f32> = data.try_to_vec().map_err(|e| format!("{name}: {e:?}"))?;
                let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                shape == values.shape && bits(&stored) == bits(&values.data)
            }
            None => {
                let stored: Vec<i64> = data.try_to_vec().map_err(|e| format!("{name}: {e:?}"))?;
                stored == case.integers[&full]
            }
        };
        if !same {
            return Err(format!("{name} differs"));
        }
    }
    evaluate(case, &path)
}

/// The file says which model it is of, and that model computes the stored logits.
fn evaluate(case: &Case, path: &Path) -> Outcome {
    let device = device();
    let published = Published::read(path).map_err(|error| error.to_string())?;
    let (phase, described) = published.describe().map_err(|error| error.to_string())?;
    let config = config(case)?;
    if described.clone().with_scope(config.stage2.scope) != config {
        return Err(format!("described as {described:?}, expected {config:?}"));
    }
    let x = case.tensor::<4>("x", &device)?;
    let (logits, single) = match phase {
        Phase::Teacher => infer::<VisionTransformer>(published, &config, x),
        Phase::Stage1 => infer::<Stage1Student>(published, &config, x),
        Phase::Stage2 => infer::<Stage2Student>(published, &config, x),
    }?;
    for name in case.tensors.keys().chain(case.integers.keys()) {
        if name.starts_with(MODEL) {
            case.ignore(name);
        }
    }
    let mut check = Check::new(case);
    match relative_sensitivity(case)? {
        Some(relative) => check.with("out.eval", logits, |expected| {
            DRAWS * relative * expected.max_abs()
        }),
        None => check.measured("out.eval", logits),
    }
    if case.has("out.eval_single") {
        check.measured("out.eval_single", single);
    }
    check.finish()
}

/// Where a case states no rounding error of its logits: that of the whole float student of the same
/// directory, relative to its logits, if there is one. It has as many layers.
fn relative_sensitivity(case: &Case) -> Result<Option<f64>, String> {
    let path = case.directory.join("d_model_stage1.safetensors");
    if case.sensitivity("out.eval").is_some() || !path.exists() {
        return Ok(None);
    }
    let of = |student: &Case| {
        let largest = student.tensors.get("out.eval_before")?.max_abs();
        Some(student.sensitivity("out.eval_before")? / largest)
    };
    Ok(cases(&path)?.iter().filter_map(of).reduce(f64::max))
}

/// The logits of a batch, and of its images one by one.
fn infer<M: Model + Classifier>(
    published: Published,
    config: &VitConfig,
    x: Tensor<4>,
) -> Result<(Tensor<2>, Tensor<2>), String> {
    let imported = published.into_model::<M>(config, Strictness::Strict, &x.device());
    let (model, _) = imported.map_err(|error| error.to_string())?;
    let (model, x) = (model.valid(), x.inner());
    Ok((model.infer(x.clone()), one_by_one(&model, x)))
}
