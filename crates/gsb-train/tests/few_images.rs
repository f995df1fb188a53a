//! What helps where images are few: students that start from float weights, and that learn from the inside of the teacher.
#![cfg(feature = "flex")]

mod digits;

use std::path::Path;
use std::sync::{Arc, Mutex};

use burn::tensor::{Device, Tensor, TensorData};
use digits::{data, tiny, turn};
use gsb_core::distill::Distillation;
use gsb_data::Normalization;
use gsb_train::{
    Ablation, Callbacks, History, Init, Recipe, Report, Run, RunConfig, ScheduleRecipe, Start,
    TeacherLogits, Variant,
};
use gsb_vit::checkpoint::{Published, load, save};
use gsb_vit::{Phase, Stage1Student, Stage2Student, VisionTransformer, VitConfig};

/// Steps too small to move anything: what is trained is what it started from.
fn still(phases: &[Phase]) -> RunConfig {
    let mut recipe = Recipe::published(tiny(), Normalization::half(1), 16);
    recipe.phases = phases.to_vec();
    for phase in Phase::ALL {
        let settings = recipe.phase_mut(phase);
        settings.epochs = 1;
        settings.schedule = ScheduleRecipe {
            // Nothing in single precision: not even what is exactly 0 moves off it, where signs would change.
            lr: 1e-60,
            min_lr: 0.0,
            warmup_epochs: 0,
            warmup_lr: 0.0,
        };
        settings.optimizer.weight_decay = 0.0;
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
        config.recipe.stage2.distillation.hidden = hidden;
        config.recipe.stage2.distillation.attention = attention;
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
            config.recipe.stage1.distillation.hidden = 1.0;
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
        complaint(|config| config.recipe.teacher.distillation.attention = 1.0),
        "teacher.distillation.attention: needs a teacher, which a phase without distillation does not ask"
    );
    assert_eq!(
        complaint(|config| config.recipe.stage2.distillation.hidden = -1.0),
        "stage2.distillation.hidden: must be at least 0 and finite, got -1"
    );
}

/// A run that moves, of one phase that starts from a float model.
fn moving(folder: &Path, phase: Phase) -> RunConfig {
    let file = folder.join("teacher").join("teacher.bpk");
    if !file.exists() {
        train(&folder.join("teacher"), still(&[Phase::Teacher]));
    }
    let mut config = still(&[phase]);
    let settings = config.recipe.phase_mut(phase);
    settings.epochs = 2;
    (settings.schedule.lr, settings.schedule.min_lr) = (1e-2, 1e-2);
    config.start = Start {
        teacher: Some(file.clone()),
        init: Init::File(file),
        ..Start::default()
    };
    config
}

fn stage2(folder: &Path) -> Stage2Student {
    load(folder.join("stage2.bpk"), &Device::flex()).unwrap()
}

#[test]
fn learning_rates_of_scales_and_attention_matrices_are_their_own() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let moved = |name: &str, scale_rate: f64, attention_rate: f64| {
        let mut config = moving(folder.path(), Phase::Stage2);
        config.recipe.stage2.optimizer.scale_rate = scale_rate;
        config.recipe.stage2.optimizer.attention_rate = attention_rate;
        let path = folder.path().join(name);
        train(&path, config);
        let block = &stage2(&path).blocks[0];
        let values = |tensor: Tensor<1>| tensor.into_data().try_to_vec::<f32>().unwrap();
        let shift = block.attention.attention_shift.bias.val().abs().max();
        (
            values(block.attention.query.scale.val()),
            values(block.attention.attention.scales.val()),
            shift.into_scalar::<f32>(),
        )
    };
    let (query, scales, shift) = moved("both", 1.0, 1.0);
    assert!(shift > 0.0);
    let (still, moving, _) = moved("scales", 0.0, 1.0);
    assert_ne!(still, query);
    assert_ne!(moving, moved("attention", 1.0, 0.0).1);
    let (again, still, shift) = moved("attention again", 0.0, 0.0);
    assert_eq!(shift, 0.0);
    // Calibrated on the same images and never moved.
    assert_eq!(again, moved("neither", 0.0, 0.0).0);
    assert_eq!(still, moved("neither again", 0.0, 0.0).1);
    assert_ne!(still, scales);
}

#[test]
fn scales_stay_positive_if_they_are_to() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let least = |name: &str, positive: bool| {
        let mut config = moving(folder.path(), Phase::Stage2);
        // Steps that are longer than the scales.
        config.recipe.stage2.optimizer.scale_rate = 3e3;
        config.recipe.stage2.optimizer.attention_rate = 3e3;
        config.recipe.stage2.optimizer.positive_scales = positive;
        let path = folder.path().join(name);
        train(&path, config);
        let blocks = stage2(&path).blocks;
        let scales = blocks.iter().flat_map(|block| {
            let attention = &block.attention;
            let lists = [
                attention.query.scale.val(),
                attention.key.scale.val(),
                attention.value.scales.val(),
                attention.attention.scales.val(),
            ];
            lists.map(|scales| scales.min().into_scalar::<f32>())
        });
        scales.fold(f32::INFINITY, f32::min)
    };
    let (free, kept) = (least("free", false), least("kept", true));
    assert!(free < 0.0, "{free}");
    assert!(kept >= gsb_core::binarize::SCALE_GUARD, "{kept}");
}

#[test]
fn binarization_may_set_in_gradually_and_ends_binary() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let mut losses = Vec::new();
    for (name, gradual) in [("at once", 0.0), ("gradual", 1.0)] {
        let mut config = moving(folder.path(), Phase::Stage2);
        config.recipe.stage2.binarization.gradual = gradual;
        let path = folder.path().join(name);
        let report = train(&path, config);
        let history = gsb_train::History::open(&path).unwrap();
        losses.push(history.epochs[0].train_loss);
        // What is logged of the test images is what the student in the file does, which is binary.
        let evaluated = history.epochs.last().unwrap().top1;
        assert!((report.phases[0].top1 - evaluated).abs() < 1e-9);
    }
    assert_ne!(losses[0], losses[1]);
}

#[test]
fn weights_are_pulled_to_their_scale() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let spread = |name: &str, pull: f64| {
        let mut config = moving(folder.path(), Phase::Stage2);
        config.recipe.stage2.epochs = 8;
        config.recipe.stage2.binarization.weight_pull = pull;
        let path = folder.path().join(name);
        train(&path, config);
        let weight = stage2(&path).blocks[0].mlp.fc1.weight.val();
        gsb_core::binarize::weight_pull(weight).into_scalar::<f32>()
    };
    let (free, pulled) = (spread("free", 0.0), spread("pulled", 1e3));
    assert!(pulled < 0.8 * free, "{pulled} {free}");
}

#[test]
fn similarities_are_learned_from_a_teacher_of_another_width() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let loss = |name: &str, weight: f64| {
        let mut config = moving(folder.path(), Phase::Stage2);
        config.start.init = Init::Fresh;
        config.recipe.model = config.recipe.model.with_width(32);
        config.recipe.stage2.distillation.similarity = weight;
        let path = folder.path().join(name);
        train(&path, config);
        gsb_train::History::open(&path).unwrap().epochs[0].train_loss
    };
    assert!(loss("similar", 1.0) > loss("plain", 0.0));
}

/// Two epochs of a student of width 32 that learns from the hidden states of a teacher of width 16.
fn wider(folder: &Path, weight: f64) -> RunConfig {
    let mut config = moving(folder, Phase::Stage2);
    config.start.init = Init::Fresh;
    config.recipe.model = config.recipe.model.with_width(32);
    config.recipe.stage2.distillation.hidden = weight;
    config.recipe.stage2.optimizer.clip_grad = Some(1.0);
    config.recipe.stage2.model_ema = Some(0.9);
    config
}

#[test]
fn hidden_states_are_learned_from_a_teacher_of_another_width_by_a_map_that_is_not_kept() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, weight: f64| {
        let path = folder.path().join(name);
        train(&path, wider(folder.path(), weight));
        path
    };
    let first_loss = |path: &Path| History::open(path).unwrap().epochs[0].train_loss;
    let (plain, hidden) = (run("plain", 0.0), run("hidden", 1.0));
    assert!(first_loss(&hidden) > first_loss(&plain));
    let kept = std::fs::read(hidden.join("stage2.bpk")).unwrap();
    let named = |name: &[u8]| kept.windows(name.len()).any(|bytes| bytes == name);
    assert!(named(b"tokens.position") && !named(b"hidden_map"));
}

/// A run of stage 2 whose student has another width than its teacher, which is trained.
fn of_another_width(folder: &Path) -> RunConfig {
    let first = folder.join("teacher");
    train(&first, still(&[Phase::Teacher]));
    let mut config = still(&[Phase::Stage2]);
    config.recipe.model = config.recipe.model.with_width(32);
    config.start.teacher = Some(first.join("teacher.bpk"));
    config
}

#[test]
fn a_teacher_of_other_patches_is_refused_before_the_run_begins() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let mut config = of_another_width(folder.path());
    config.recipe.stage2.distillation.attention = 1.0;
    // Attention matrices have no width.
    train(&folder.path().join("attention"), config.clone());
    config.recipe.model = config.recipe.model.with_patch_size(2);
    let error = Run::new(folder.path().join("stage2"), config).unwrap_err();
    assert_eq!(
        error.to_string(),
        "stage2.distillation.attention: the teacher has patches of 4, the student 2"
    );
}

#[test]
fn a_student_that_cannot_start_from_its_teacher_does_not_begin() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let mut config = of_another_width(folder.path());
    config.start.init = Init::Teacher;
    let run = folder.path().join("run");
    let error = Run::new(&run, config).unwrap_err().to_string();
    assert!(error.contains("width"), "{error}");
    assert!(!run.exists());
}

#[test]
fn what_binarizers_do_is_logged_and_forgotten_with_the_epochs() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    train(&path, moving(folder.path(), Phase::Stage2));
    let history = gsb_train::History::open(&path).unwrap();
    assert_eq!(history.epochs.len(), 2);
    assert_eq!(history.inspections.len(), 2);
    for inspected in &history.inspections {
        let inspection = &inspected.inspection;
        // Four binary weights in each of two blocks.
        assert_eq!(inspection.flips.len(), 8);
        assert!(
            inspection
                .flips
                .iter()
                .all(|&flips| flips > 0.0 && flips < 0.5)
        );
        assert_eq!(inspection.blocks.len(), 2);
        for block in &inspection.blocks {
            for shares in [&block.shares.attention, &block.shares.value] {
                assert_eq!(shares.len(), 3);
                // The second group may hold more than the first, the third never more than the second.
                assert!(shares[1] >= shares[2] && shares[2] > 0.0 && shares[0] <= 1.0);
            }
            assert_eq!(block.attention_scales.len(), 3);
        }
    }
    let last = history.inspections[1].inspection.blocks[1]
        .attention_scales
        .clone();
    let stored = stage2(&path).blocks[1].attention.attention.scales.val();
    assert_eq!(stored.into_data().try_to_vec::<f32>().unwrap(), last);
    let error = gsb_train::History::open(folder.path()).unwrap_err();
    assert!(
        error.to_string().contains("log.jsonl: not there"),
        "{error}"
    );
}

#[test]
fn what_a_phase_cannot_do_is_named() {
    let complaint = |change: fn(&mut Recipe)| {
        let mut config = still(&Phase::ALL);
        change(&mut config.recipe);
        config.validate().unwrap_err().to_string()
    };
    for (change, text) in [
        (
            (|recipe| recipe.stage1.binarization.gradual = 0.5) as fn(&mut Recipe),
            "stage1.binarization.gradual: stage 2 alone binarizes activations",
        ),
        (
            |recipe| recipe.stage2.smoothing = -0.1,
            "label smoothing must be at least 0 and below 1, got -0.1",
        ),
        (
            |recipe| recipe.stage2.binarization.gradual = 1.5,
            "stage2.binarization.gradual: must be between 0 and 1, got 1.5",
        ),
        (
            |recipe| recipe.teacher.binarization.weight_pull = 1.0,
            "teacher.binarization.weight_pull: the teacher has no binary weights",
        ),
        (
            |recipe| recipe.stage2.optimizer.scale_rate = f64::NAN,
            "stage2.optimizer.scale_rate: must be at least 0 and finite, got NaN",
        ),
        (
            |recipe| recipe.model.stage2.shift_bits = 4,
            "the shifts of attention matrices have 8, 16 or 32 bits, got 4",
        ),
    ] {
        assert_eq!(complaint(change), text);
    }
}

#[test]
fn students_of_a_table_start_from_their_teacher_where_that_is_asked_for() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let mut base = still(&Phase::ALL);
    base.start.init = Init::Teacher;
    for phase in [Phase::Stage1, Phase::Stage2] {
        base.recipe.phase_mut(phase).distillation.kind = Distillation::Hard;
    }
    let stage2 = &base.recipe.model.stage2;
    let students = Variant::published(stage2.scope, stage2.initial_scales);
    // Three groups: in two stages and learning from the teacher, in one and learning from labels alone.
    let variants: Vec<Variant> = students
        .into_iter()
        .filter(|student| (student.attention_groups, student.value_groups) == (3, 3))
        .filter(|student| student.distilled == (student.stages == 2))
        .collect();
    let ablation = Ablation {
        base,
        variants: variants.clone(),
        seeds: vec![4],
    };
    let mut given = ablation.clone();
    given.base.start.teacher = Some("teacher.bpk".into());
    let devices = ablation.base.open_devices().unwrap();
    let callbacks = Callbacks::default();
    let path = folder.path();
    let data = data();
    let begun = std::cell::RefCell::new(Vec::new());
    let trained = |ablation: &Ablation| {
        begun.borrow_mut().clear();
        ablation.train(path, &data, &devices, &callbacks, |all, done, _| {
            begun.borrow_mut().push((all, done));
        })
    };
    let error = trained(&given).unwrap_err().to_string();
    assert!(error.starts_with("start.teacher: "), "{error}");
    let table = trained(&ablation).unwrap();
    // A teacher, a stage 1 and two students.
    assert_eq!(*begun.borrow(), [(4, 0), (4, 1), (4, 2), (4, 3)]);
    // What is there counts, but not for students that start from something else.
    assert_eq!(trained(&ablation).unwrap(), table);
    assert_eq!(*begun.borrow(), [(3, 0), (3, 1), (3, 2)]);
    let mut other = ablation.clone();
    other.base.start.init = Init::Fresh;
    let error = trained(&other).unwrap_err().to_string();
    assert!(
        error.contains("of another recipe, products, data or start"),
        "{error}"
    );
    let device = Device::flex();
    let teacher: VisionTransformer =
        load(path.join("seed-4/teacher/teacher.bpk"), &device).unwrap();
    let expected = weight(teacher.blocks[1].fc2.weight.val());
    let close = burn::tensor::Tolerance::<f32>::absolute(1e-6);
    for (variant, row) in variants.iter().zip(&table.rows[1..]) {
        let run = path.join("seed-4").join(variant.slug());
        let student: Stage2Student = load(run.join("stage2.bpk"), &device).unwrap();
        weight(student.blocks[1].mlp.fc2.weight.val()).assert_approx_eq(&expected, close);

        // As one run: the same accuracy, and the same weights.
        let config = ablation.run_config(Some(variant), 4);
        let phases = match variant.stages {
            2 => &Phase::ALL[..],
            _ => &[Phase::Teacher, Phase::Stage2],
        };
        assert_eq!(config.recipe.phases, phases);
        let again = path.join(format!("again-{}", variant.slug()));
        let report = train(&again, config);
        assert_eq!(report.phases.last().unwrap().top1, row.top1[0]);
        let repeated: Stage2Student = load(again.join("stage2.bpk"), &device).unwrap();
        let weights = |student: Stage2Student| weight(student.blocks[0].attention.qkv.weight.val());
        assert_eq!(weights(repeated), weights(student));
    }
    let teacher = ablation.run_config(None, 4);
    assert_eq!(teacher.recipe.phases, [Phase::Teacher]);
    assert_eq!(teacher.start.init, Init::Fresh);
}

/// No tensor tells what normalizations add to the variance: with new heads too, it stays with the weights.
#[test]
fn a_teacher_keeps_the_epsilon_of_the_float_model_that_it_starts_from() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let device = Device::flex();
    let float = VitConfig {
        classes: 7,
        ..tiny().with_norm_epsilon(Some(1e-3))
    };
    let float = float.init_teacher(&device).unwrap();
    let own = folder.path().join("float.bpk");
    save(&float, &own).unwrap();
    // As others save it: tensors alone, and a description beside them.
    let other = folder.path().join("model.safetensors");
    let tensors = Published::of(&float);
    let bare = tensors
        .names()
        .map(|name| (name.to_string(), tensors.get(name).unwrap().clone()));
    Published::new(bare).write(&other).unwrap();
    let json = r#"{"hidden_size": 16, "num_attention_heads": 2, "layer_norm_eps": 1e-3}"#;
    std::fs::write(folder.path().join("config.json"), json).unwrap();

    for (kind, file) in [("own", own), ("other", other)] {
        let trained = |epsilon: Option<f64>| {
            let path = folder.path().join(format!("{kind} {}", epsilon.is_some()));
            // The student learns from the file of the teacher, which no configuration contradicts.
            let mut config = still(&[Phase::Teacher, Phase::Stage2]);
            config.recipe.model.norm_epsilon = epsilon;
            config.start.finetune = Some(file.clone());
            let said = Arc::new(Mutex::new(Vec::new()));
            let kept = Arc::clone(&said);
            let callbacks = Callbacks {
                note: Box::new(move |text| kept.lock().unwrap().push(text.to_string())),
                ..Callbacks::default()
            };
            let mut run = Run::new(&path, config).unwrap();
            run.train(&data(), &callbacks).unwrap();
            let teacher: VisionTransformer = load(path.join("teacher.bpk"), &device).unwrap();
            let said = said.lock().unwrap().join("\n");
            (teacher.config().norm_epsilon, said)
        };
        let (epsilon, said) = trained(None);
        assert_eq!(epsilon, Some(1e-3), "{kind}");
        let by_file = "normalizations add 1e-3 to the variance, as the config.json beside it says";
        assert_eq!(said.contains(by_file), kind == "other", "{said}");
        assert!(!said.contains("instead"), "{said}");
        // What the run says counts more, and is said.
        let (epsilon, said) = trained(Some(1e-4));
        assert_eq!(epsilon, Some(1e-4), "{kind}");
        let by_run = "normalizations add 1e-4 to the variance instead, as norm_epsilon of the run's model says";
        assert_eq!(said.contains(by_run), kind == "other", "{said}");
    }
}
