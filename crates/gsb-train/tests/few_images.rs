//! What helps where images are few: students that start from float weights, and that learn from the inside of the teacher.
#![cfg(feature = "flex")]

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::tensor::{Device, Tensor, TensorData};
use gsb_data::{DataSplits, Normalization, per_class};
use gsb_train::{Callbacks, Init, Recipe, Report, Run, RunConfig, Start, TeacherLogits};
use gsb_vit::checkpoint::load;
use gsb_vit::{Phase, Stage1Student, Stage2Student, VisionTransformer, VitConfig};

/// Runs of one process share the random numbers of its device: they take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn data() -> DataSplits {
    let mut splits = gsb_data::digits().unwrap().split(0.2, 0).unwrap();
    splits.train = Arc::new(per_class(splits.train, 8, 0).unwrap());
    splits.test = Arc::new(per_class(splits.test, 2, 0).unwrap());
    splits
}

/// Steps too small to move anything: what is trained is what it started from.
fn still(phases: &[Phase]) -> RunConfig {
    let model = VitConfig::new(8, 10)
        .with_patch_size(4)
        .with_channels(1)
        .with_width(16)
        .with_depth(2)
        .with_heads(2);
    let mut recipe = Recipe::published(model, Normalization::half(1), 16);
    recipe.phases = phases.to_vec();
    for phase in Phase::ALL {
        let settings = recipe.phase_mut(phase);
        settings.epochs = 1;
        (settings.lr, settings.min_lr, settings.warmup_lr) = (1e-12, 0.0, 0.0);
        settings.weight_decay = 0.0;
    }
    RunConfig::new(recipe)
}

fn train(folder: &Path, config: RunConfig) -> Report {
    let mut run = Run::new(folder, config).unwrap();
    run.train(&data(), &Callbacks::default()).unwrap().clone()
}

fn weight(tensor: Tensor<2>) -> TensorData {
    tensor.into_data()
}

#[test]
fn students_start_from_the_weights_of_the_teacher() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let mut config = still(&Phase::ALL);
    config.start.init = Init::Teacher;
    train(&path, config);
    let device = Device::flex();
    let teacher: VisionTransformer = load(path.join("teacher.bpk"), &device).unwrap();
    let stage1: Stage1Student = load(path.join("stage1.bpk"), &device).unwrap();
    let stage2: Stage2Student = load(path.join("stage2.bpk"), &device).unwrap();
    let close = burn::tensor::Tolerance::<f32>::absolute(1e-6);
    for block in 0..2 {
        let expected = weight(teacher.blocks[block].attention.qkv.weight.val());
        let found = weight(stage1.blocks[block].attention.qkv.weight.val());
        found.assert_approx_eq(&expected, close);
        let found = weight(stage2.blocks[block].attention.qkv.weight.val());
        found.assert_approx_eq(&expected, close);
    }
}

#[test]
fn stage_2_alone_starts_from_a_file() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("teacher");
    train(&first, still(&[Phase::Teacher]));
    let file = first.join("teacher.bpk");
    let mut config = still(&[Phase::Stage2]);
    config.start = Start {
        teacher: Some(file.clone()),
        init: Init::File(file.clone()),
        ..Start::default()
    };
    let second = folder.path().join("stage2");
    train(&second, config);
    let device = Device::flex();
    let teacher: VisionTransformer = load(&file, &device).unwrap();
    let student: Stage2Student = load(second.join("stage2.bpk"), &device).unwrap();
    let close = burn::tensor::Tolerance::<f32>::absolute(1e-6);
    let expected = weight(teacher.blocks[1].fc1.weight.val());
    weight(student.blocks[1].mlp.fc1.weight.val()).assert_approx_eq(&expected, close);

    // On another disk, the run goes on from there.
    let moved = folder.path().join("moved.bpk");
    std::fs::rename(&file, &moved).unwrap();
    let mut run = Run::resume(&second).unwrap();
    let start = Start {
        teacher: Some(moved.clone()),
        init: Init::File(moved.clone()),
        ..Start::default()
    };
    run.set_start(start).unwrap();
    assert_eq!(run.config().start.init, Init::File(moved));
    let error = run.set_start(Start {
        init: Init::Teacher,
        ..Start::default()
    });
    assert!(error.unwrap_err().to_string().starts_with("start.init: "));
}

#[test]
fn the_inside_of_the_teacher_counts_where_it_is_asked_for() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let losses = |name: &str, hidden: f64, attention: f64| {
        let path = folder.path().join(name);
        let mut config = still(&[Phase::Teacher, Phase::Stage2]);
        config.recipe.stage2.distillation_hidden = hidden;
        config.recipe.stage2.distillation_attention = attention;
        train(&path, config);
        let text = std::fs::read_to_string(path.join("log.jsonl")).unwrap();
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        last["train_loss"].as_f64().unwrap()
    };
    let plain = losses("plain", 0.0, 0.0);
    let hidden = losses("hidden", 1.0, 0.0);
    let twice = losses("twice", 2.0, 0.0);
    let attention = losses("attention", 0.0, 1.0);
    assert!(hidden > plain && attention > plain);
    // It is added in proportion; losses are sums of a few numbers of single precision.
    let (once, both) = (hidden - plain, twice - plain);
    assert!((both - 2.0 * once).abs() < 1e-4 * both, "{once} {both}");
}

#[test]
fn what_does_not_go_together_is_named() {
    let complaint = |change: fn(&mut RunConfig)| {
        let mut config = still(&Phase::ALL);
        change(&mut config);
        config.validate().unwrap_err().to_string()
    };
    assert_eq!(
        complaint(|config| {
            config.recipe.stage1.distillation_hidden = 1.0;
            config.recipe.teacher_logits = TeacherLogits::Cached;
        }),
        "teacher_logits: stage1 learns from the inside of the teacher, which is not cached"
    );
    assert_eq!(
        complaint(|config| {
            config.recipe.phases = vec![Phase::Teacher];
            config.start.init = Init::Teacher;
        }),
        "start.init: the run trains no student"
    );
    assert_eq!(
        complaint(|config| config.recipe.teacher.distillation_attention = 1.0),
        "teacher.distillation_attention: needs a teacher, which a phase without distillation does not ask"
    );
    assert_eq!(
        complaint(|config| config.recipe.stage2.distillation_hidden = -1.0),
        "stage2.distillation_hidden: must be at least 0 and finite, got -1"
    );
}

#[test]
fn a_teacher_of_another_width_is_refused_before_the_run_begins() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("teacher");
    train(&first, still(&[Phase::Teacher]));
    let mut config = still(&[Phase::Stage2]);
    config.recipe.model = config.recipe.model.with_width(32);
    config.recipe.stage2.distillation_hidden = 1.0;
    config.start.teacher = Some(first.join("teacher.bpk"));
    let error = Run::new(folder.path().join("stage2"), config.clone()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "stage2.distillation_hidden: the teacher has a width of 16, the student 32"
    );
    // Attention matrices have no width.
    config.recipe.stage2.distillation_hidden = 0.0;
    config.recipe.stage2.distillation_attention = 1.0;
    train(&folder.path().join("attention"), config);
}
