//! `d_transfer`: from a stage-1 checkpoint to a student of stage 2, which loads everything by name and
//! drops the batch normalization.

use std::collections::BTreeSet;

use burn::tensor::Device;
use gsb_core::binarize::FirstForward;
use gsb_vit::checkpoint::{Published, Strictness, import, published_names};
use gsb_vit::{PatchNormalization, Phase, Stage1Student, Stage2Student, VitConfig};
use serde_json::Value;

use crate::check::Check;
use crate::fixture::Case;
use crate::model::{compare, config, published};
use crate::{Outcome, device};

pub(crate) fn run(case: &Case) -> Outcome {
    let device = device();
    let config = config(case)?;
    let from = case
        .text("from")
        .ok_or("the configuration has no \"from\"")?;
    let stage1 = stage1(case, from, &config, &device)?;
    let transferred = Stage2Student::from_stage1(&stage1, &config, PatchNormalization::Dropped);
    let (student, report) = transferred.map_err(|error| error.to_string())?;

    let mut check = Check::new(case);
    let lists = case.directory.join(format!("{}.json", case.file));
    let lists = std::fs::read(&lists).map_err(|error| format!("{}: {error}", lists.display()))?;
    let lists: Value = serde_json::from_slice(&lists).map_err(|error| error.to_string())?;
    names_agree(
        &mut check,
        &lists,
        "transferred",
        Phase::Stage2,
        &config,
        &report.carried,
    );
    names_agree(
        &mut check,
        &lists,
        "kept_at_stage2_init",
        Phase::Stage2,
        &config,
        &report.fresh,
    );
    names_agree(
        &mut check,
        &lists,
        "load_result_unexpected_keys",
        Phase::Stage1,
        &config,
        &report.left,
    );

    // What the student does not get from stage 1 it has from the case.
    let own = published(case, "own.");
    let ours = Published::of(&student);
    let tensors = ours.names().map(|name| {
        let data = own.get(name).or(ours.get(name));
        (name.to_string(), data.expect("one of its names").clone())
    });
    let student = Published::new(tensors.collect::<Vec<_>>()).into_model::<Stage2Student>(
        &config,
        Strictness::Strict,
        &device,
    );
    let (student, _) = student.map_err(|error| error.to_string())?;
    let x = case.tensor::<4>("x", &device)?;
    let (student, logits) = student.calibrate_forward(x, FirstForward::Published);
    check.measured("out.cls", logits.class);
    check.measured(
        "out.dist",
        logits.distillation.ok_or("the student has one head")?,
    );
    compare(&mut check, case, "after.", &Published::of(&student));
    check.finish()
}

fn stage1(
    case: &Case,
    from: &str,
    config: &VitConfig,
    device: &Device,
) -> Result<Stage1Student, String> {
    let path = case.directory.join(from);
    import(&path, config, Strictness::Strict, device)
        .map(|(student, _)| student)
        .map_err(|error| error.to_string())
}

/// Compares a list of published names with the published names of our paths. What the published
/// implementations store and nothing needs has no path.
fn names_agree(
    check: &mut Check,
    lists: &Value,
    list: &str,
    phase: Phase,
    config: &VitConfig,
    paths: &[String],
) {
    let names = published_names(phase, config);
    let known: BTreeSet<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    let got: BTreeSet<&str> = names
        .iter()
        .filter(|(_, path)| paths.contains(path))
        .map(|(name, _)| name.as_str())
        .collect();
    let expected = lists.get(list).and_then(Value::as_array);
    let Some(expected) = expected else {
        return check.fail(format!("there is no list {list:?}"));
    };
    // The state of calibration is no parameter of ours.
    let counts = |name: &&str| known.contains(name) && !name.ends_with("init_state");
    let expected: BTreeSet<&str> = expected
        .iter()
        .filter_map(Value::as_str)
        .filter(counts)
        .collect();
    if got != expected {
        let other: Vec<_> = got.symmetric_difference(&expected).collect();
        check.fail(format!("{list}: only here or only there: {other:?}"));
    }
}
