//! Runs on a few digits: interrupted and not, on one device and on several.
#![cfg(feature = "flex")]

mod digits;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use burn::Tensor;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::store::ModuleRecord;
use burn::tensor::{Device, Distribution, TensorData};
use digits::{data, tiny, turn};
use gsb_core::distill::Distillation;
use gsb_data::{Crop, Normalization, TrainTransform, per_class};
use gsb_train::{
    Callbacks, DataConfig, Epoch, Error, Evaluation, Interrupter, Products, Purpose, Recipe,
    Report, Run, RunConfig, ScheduleRecipe, Start, Strategy, TeacherLogits, evaluation_loader,
};
use gsb_vit::checkpoint::{export, load, save};
use gsb_vit::{
    Classifier, Model, PatchNormalization, Phase, Stage1Student, Stage2Student, VisionTransformer,
    parameters,
};

fn recipe() -> Recipe {
    let normalization = Normalization::half(1);
    let mut recipe = Recipe::published(tiny(), normalization.clone(), 16);
    recipe.augmentation = TrainTransform {
        crop: Crop::Padded { padding: 1 },
        ..TrainTransform::plain(8, normalization)
    };
    for phase in Phase::ALL {
        let settings = recipe.phase_mut(phase);
        settings.epochs = 3;
        settings.schedule.lr = 2e-3;
    }
    recipe
}

/// Rates too small to learn anything.
fn slow() -> ScheduleRecipe {
    ScheduleRecipe {
        lr: 1e-9,
        min_lr: 0.0,
        warmup_epochs: 0,
        warmup_lr: 0.0,
    }
}

fn train(folder: &Path, recipe: &Recipe) -> Report {
    train_as(folder, RunConfig::new(recipe.clone()))
}

fn train_as(folder: &Path, config: RunConfig) -> Report {
    let mut run = Run::new(folder, config).unwrap();
    run.train(&data(), &Callbacks::default()).unwrap().clone()
}

/// On two devices.
fn shared(recipe: Recipe) -> RunConfig {
    RunConfig {
        devices: 2,
        ..RunConfig::new(recipe)
    }
}

/// The log without the time that things took.
fn log(folder: &Path) -> Vec<Epoch> {
    let text = std::fs::read_to_string(folder.join("log.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .map(|epoch| Epoch {
            seconds: 0.0,
            ..epoch
        })
        .collect()
}

fn values<M: Model>(folder: &Path) -> Vec<(String, TensorData)> {
    let path = folder.join(format!("{}.bpk", M::PHASE));
    let model: M = load(path, &Device::flex()).unwrap();
    let parameters = parameters(&model).into_iter();
    parameters
        .map(|parameter| (parameter.path, parameter.data))
        .collect()
}

/// Stops the training after a number of progress reports.
struct Stopper {
    left: Arc<AtomicUsize>,
    interrupter: Interrupter,
}

mod stopping {
    //! What a renderer has to be, all of it silent but the count.

    use super::*;
    use gsb_train::burn_train::LearnerSummary;
    use gsb_train::burn_train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
    use gsb_train::burn_train::metric::MetricDefinition;
    use gsb_train::burn_train::renderer::{
        EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation,
        MetricsRendererTraining,
    };

    impl TrainingProgressLogger for Stopper {
        fn start(&mut self, _: usize, _: usize, _: Option<usize>, _: Option<&str>) {}
        fn update_epoch(&mut self, _epoch: usize) {}
        fn start_split(&mut self, _split: &str, _total_items: usize) {}
        fn update_split(&mut self, _items_processed: usize) {
            let left = self
                .left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                    left.checked_sub(1)
                });
            if left == Ok(1) {
                self.interrupter.stop(Some("enough"));
            }
        }
        fn end_split(&mut self) {}
        fn end(&mut self) {}
        fn log_event_training(&mut self, _event: String) {}
    }

    impl MetricsRendererTraining for Stopper {
        fn update_train(&mut self, _state: MetricState) {}
        fn update_valid(&mut self, _state: MetricState) {}
        // So does the dashboard of burn-train.
        fn on_train_end(
            &mut self,
            _: Option<LearnerSummary>,
        ) -> Result<(), Box<dyn std::error::Error>> {
            self.interrupter.reset();
            Ok(())
        }
    }

    impl MetricsRendererEvaluation for Stopper {
        fn update_test(&mut self, _name: EvaluationName, _state: MetricState) {}
    }

    impl EvaluationProgressLogger for Stopper {
        fn start_global_progress(&mut self, _total_tests: usize) {}
        fn start_test(&mut self, _name: &str, _total_items: usize) {}
        fn update_test_progress(&mut self, _items_processed: usize) {}
        fn end_test(&mut self) {}
        fn end_global_progress(&mut self) {}
        fn log_event_evaluation(&mut self, _event: String) {}
    }

    impl MetricsRenderer for Stopper {
        fn manual_close(&mut self) {}
        fn register_metric(&mut self, _definition: MetricDefinition) {}
    }
}

/// Callbacks that stop a run after a number of batches, those of evaluation included.
fn stopping_after(batches: usize) -> Callbacks {
    let interrupter = Interrupter::new();
    let left = Arc::new(AtomicUsize::new(batches));
    let own = interrupter.clone();
    Callbacks {
        renderer: Box::new(move |_| {
            Box::new(Stopper {
                left: Arc::clone(&left),
                interrupter: own.clone(),
            })
        }),
        interrupter,
        ..Callbacks::default()
    }
}

/// Number of float parameters of a model, and of those that a backward pass reaches.
fn reached<M: Model + Classifier>(model: &M) -> (usize, usize) {
    let device = Device::flex().autodiff();
    let images = Tensor::<4>::random([4, 1, 8, 8], Distribution::Default, &device);
    let logits = model.forward(images);
    let loss = match logits.distillation {
        Some(distillation) => (logits.class + distillation).square().sum(),
        None => logits.class.square().sum(),
    };
    let gradients = GradientsParams::from_grads(loss.backward(), model);
    let states = ["running_mean", "running_var", "calibrated"];
    let parameters = parameters(model).into_iter().filter(|parameter| {
        let path = &parameter.path;
        !states.iter().any(|state| path.contains(state))
    });
    (parameters.count(), gradients.len())
}

#[test]
fn every_parameter_is_trained() {
    let _turn = turn();
    let (plain, config) = (Device::flex(), recipe().model);
    let device = plain.clone().autodiff();
    let all = |(parameters, trained): (usize, usize)| assert_eq!(trained, parameters);
    all(reached(&config.init_teacher(&device).unwrap()));
    all(reached(&config.init_stage1(&device).unwrap()));
    all(reached(&config.init_stage2(&device).unwrap()));
    let stage1 = config.init_stage1(&plain).unwrap();
    let (student, _) =
        Stage2Student::from_stage1(&stage1, &config, PatchNormalization::Folded).unwrap();
    let images = Tensor::<4>::random([4, 1, 8, 8], Distribution::Default, &plain);
    all(reached(&student.calibrate(&images).train()));
}

#[test]
fn a_run_that_is_stopped_again_and_again_ends_as_one_that_is_not() {
    let _turn = turn();
    let mut recipe = recipe();
    // Everything that has a state of its own.
    recipe.model = recipe.model.with_drop_path(0.2).with_dropout(0.1);
    recipe.stage1.model_ema = Some(0.9);
    recipe.stage2.accumulation = 2;
    recipe.stage2.optimizer.clip_grad = Some(1.0);
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let report = train(whole.path(), &recipe);

    let mut run = Run::new(parts.path(), RunConfig::new(recipe)).unwrap();
    let mut stops = 0;
    loop {
        match run.train(&data(), &stopping_after(9)) {
            Ok(again) => {
                let accuracy = |report: &Report| -> Vec<f64> {
                    report.phases.iter().map(|phase| phase.loss).collect()
                };
                assert_eq!(accuracy(again), accuracy(&report));
                break;
            }
            Err(Error::Stopped { .. }) => stops += 1,
            Err(error) => panic!("{error}"),
        }
        run = Run::resume(parts.path()).unwrap();
    }
    assert!(stops >= 5, "{stops}");
    assert_eq!(log(parts.path()), log(whole.path()));
    assert_eq!(log(whole.path()).len(), 9);
    let all = |folder: &Path| {
        (
            values::<VisionTransformer>(folder),
            values::<Stage1Student>(folder),
            values::<Stage2Student>(folder),
        )
    };
    assert_eq!(all(parts.path()), all(whole.path()));
}

#[test]
fn the_model_of_the_best_epoch_leaves_the_last_one_as_it_is() {
    let _turn = turn();
    let mut recipe = recipe();
    // So slow that the first epoch stays the best, while the running statistics of the patches move on.
    recipe.phases = vec![Phase::Stage1];
    recipe.stage1.distillation.kind = Distillation::None;
    recipe.stage1.schedule = slow();
    for average in [None, Some(0.5)] {
        recipe.stage1.model_ema = average;
        let folder = tempfile::tempdir().unwrap();
        let report = train(folder.path(), &recipe);
        let epochs = log(folder.path());
        let (first, last) = (epochs.first().unwrap(), epochs.last().unwrap());
        assert_eq!(report.phases[0].best_epoch, 1);
        assert!(
            (first.loss - last.loss).abs() > 1e-5,
            "the test sees nothing: {} and {}",
            first.loss,
            last.loss
        );
        // The log averages batches, the report images: rounding of single precision differs, 2^-24 of 2.3.
        assert!((report.phases[0].loss - last.loss).abs() < 1e-6);
    }
}

#[test]
fn a_folder_is_trained_in_by_one_at_a_time() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::new(folder.path(), RunConfig::new(teacher_only())).unwrap();
    let held = std::fs::File::open(folder.path().join("config.json")).unwrap();
    held.lock().unwrap();
    let error = run.train(&data(), &Callbacks::default()).unwrap_err();
    assert!(matches!(error, Error::Busy(_)), "{error}");
    drop(held);
    run.train(&data(), &Callbacks::default()).unwrap();
    std::fs::remove_file(folder.path().join("teacher.bpk")).unwrap();
    let error = run.train(&data(), &Callbacks::default()).unwrap_err();
    assert!(
        error.to_string().contains("its model is not there"),
        "{error}"
    );
}

#[test]
fn what_a_run_starts_from_is_used_and_there() {
    let folder = tempfile::tempdir().unwrap();
    let complaint = |change: &dyn Fn(&mut RunConfig)| {
        let mut config = RunConfig::new(recipe());
        change(&mut config);
        let path = folder.path().join("run");
        let error = Run::new(&path, config).unwrap_err().to_string();
        assert!(!path.exists(), "{error}");
        error
    };
    let no = || Some("no.bpk".into());
    let text = complaint(&|config| config.start.teacher = no());
    assert!(text.starts_with("start.teacher: the run trains"), "{text}");
    let text = complaint(&|config| config.start.stage1 = no());
    assert!(text.starts_with("start.stage1: the run trains"), "{text}");
    let text = complaint(&|config| {
        config.recipe.phases = vec![Phase::Stage2];
        config.start.teacher = no();
        config.start.finetune = no();
    });
    assert!(text.starts_with("start.finetune: "), "{text}");
    let text = complaint(&|config| {
        config.recipe.phases = vec![Phase::Stage2];
        config.recipe.stage2.distillation.kind = Distillation::None;
        config.start.teacher = no();
    });
    assert!(text.starts_with("start.teacher: no phase"), "{text}");
    let text = complaint(&|config| {
        config.recipe.phases = vec![Phase::Stage2];
        config.start.teacher = no();
    });
    assert!(text.starts_with("no.bpk: "), "{text}");
    let text = complaint(&|config| config.recipe.phases = vec![Phase::Stage2]);
    assert!(
        text.starts_with("teacher: a student that distils"),
        "{text}"
    );
}

/// The largest difference between the parameters of two runs, relative to the largest value.
fn difference<M: Model>(a: &Path, b: &Path) -> f64 {
    let (mut largest, mut apart) = (0.0f64, 0.0f64);
    for ((path, a), (other, b)) in values::<M>(a).into_iter().zip(values::<M>(b)) {
        assert_eq!(path, other);
        for (a, b) in a.iter::<f64>().zip(b.iter::<f64>()) {
            largest = largest.max(a.abs());
            apart = apart.max((a - b).abs());
        }
    }
    apart / largest
}

/// One epoch of the teacher: five steps.
fn teacher_only() -> Recipe {
    let mut recipe = recipe();
    recipe.phases = vec![Phase::Teacher];
    recipe.teacher.epochs = 1;
    recipe
}

/// AdamW's first steps have the size of the rate whatever the gradient, so rounding of a gradient
/// close to zero moves a weight by up to twice the sum of the rates; for most weights it is far less.
/// What the joint batch does not reproduce, another order of images, moves them by about that sum.
const ROUNDING: f64 = 1e-4;

#[test]
fn devices_that_share_a_batch_do_what_one_does_with_all_of_it() {
    let _turn = turn();
    let recipe = teacher_only();
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let path = |index: usize| folders[index].path();
    train(path(0), &recipe);
    train_as(path(1), shared(recipe.clone()));
    let other = Recipe {
        seed: 1,
        ..recipe.clone()
    };
    train(path(2), &other);
    let apart = difference::<VisionTransformer>(path(0), path(1));
    assert!(apart < ROUNDING, "{apart}");
    let apart = difference::<VisionTransformer>(path(0), path(2));
    assert!(apart > 100.0 * ROUNDING, "the test sees nothing: {apart}");
}

/// Trains by two recipes, which make the same of a teacher but for rounding.
fn same_teacher(a: &Recipe, b: &Recipe) {
    let folders: Vec<_> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
    train(folders[0].path(), a);
    train(folders[1].path(), b);
    let apart = difference::<VisionTransformer>(folders[0].path(), folders[1].path());
    assert!(apart < ROUNDING, "{apart}");
}

#[test]
fn batches_of_a_step_count_as_one() {
    let _turn = turn();
    let recipe = teacher_only();
    let mut halves = recipe.clone();
    halves.teacher.batch_size = 8;
    halves.teacher.accumulation = 2;
    same_teacher(&recipe, &halves);
}

#[test]
fn what_is_left_of_an_epoch_is_a_step_like_others() {
    let _turn = turn();
    let mut recipe = teacher_only();
    recipe.teacher.batch_size = 80;
    let mut parts = recipe.clone();
    parts.teacher.batch_size = 16;
    // More than the five batches there are: one step of all of them.
    parts.teacher.accumulation = 8;
    same_teacher(&recipe, &parts);
}

#[test]
fn images_of_a_smaller_batch_count_as_much_as_others_of_the_step() {
    let _turn = turn();
    let mut recipe = teacher_only();
    recipe.teacher.batch_size = 80;
    let mut parts = recipe.clone();
    parts.teacher.batch_size = 64;
    parts.teacher.accumulation = 2;
    same_teacher(&recipe, &parts);
}

#[test]
fn a_loss_that_is_not_finite_ends_the_run_and_names_the_layer() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let recipe = teacher_only();
    let expected = recipe.model.clone().with_distillation_token(false);
    let mut model = expected.init_teacher(&Device::flex()).unwrap();
    // All finite, with an output that is not.
    let block = &mut model.blocks[1];
    let bias = block.fc1.bias.take();
    block.fc1.bias = bias.map(|bias| bias.map(|bias| bias.add_scalar(1e3)));
    let weight = block.fc2.weight.clone();
    block.fc2.weight = weight.map(|weight| weight.mul_scalar(1e38));
    let large = folder.path().join("large.bpk");
    save(&model, &large).unwrap();
    let mut config = RunConfig::new(recipe);
    config.start.finetune = Some(large);
    let mut run = Run::new(folder.path().join("run"), config).unwrap();
    let error = run.train(&data(), &Callbacks::default()).unwrap_err();
    let Error::NotFinite {
        step,
        epoch,
        place,
        saved,
        ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!((*step, *epoch, place.as_str()), (1, 1, "blocks.1"));
    let saved: VisionTransformer = load(saved, &Device::flex()).unwrap();
    assert_eq!(saved.config(), &expected);
}

#[test]
fn a_run_from_weights_that_are_not_finite_leaves_no_folder() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let recipe = teacher_only();
    let config = recipe.model.clone().with_distillation_token(false);
    let mut model = config.init_teacher(&Device::flex()).unwrap();
    let bias = model.blocks[1].fc1.bias.take();
    model.blocks[1].fc1.bias = bias.map(|bias| bias.map(|bias| bias.mul_scalar(f32::NAN)));
    for (name, tensor) in [
        ("a.bpk", "blocks.1.fc1.bias"),
        ("a.safetensors", "blocks.1.mlp.fc1.bias"),
    ] {
        let path = folder.path().join(name);
        match name {
            "a.bpk" => save(&model, &path).unwrap(),
            _ => export(&model, &path).unwrap(),
        }
        let mut config = RunConfig::new(recipe.clone());
        config.start.finetune = Some(path);
        let run = folder.path().join("run");
        let text = Run::new(&run, config).unwrap_err().to_string();
        assert!(text.contains(name) && text.contains(tensor), "{text}");
        assert!(!run.exists());
    }
}

#[test]
fn a_phase_ends_when_it_gets_no_better() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let mut recipe = teacher_only();
    recipe.teacher.epochs = 20;
    recipe.teacher.patience = Some(2);
    recipe.teacher.schedule = slow();
    let report = train(folder.path(), &recipe);
    assert_eq!(
        (report.phases[0].epochs, report.phases[0].best_epoch),
        (3, 1)
    );
    assert!(folder.path().join("teacher-best.bpk").exists());
}

/// Until binarization has set in, another model is trained than is evaluated.
#[test]
fn patience_begins_when_binarization_has_set_in() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let mut recipe = recipe();
    recipe.phases = vec![Phase::Stage2];
    let settings = &mut recipe.stage2;
    settings.distillation.kind = Distillation::None;
    settings.binarization.gradual = 0.5;
    settings.epochs = 8;
    settings.patience = Some(2);
    settings.schedule = slow();
    let report = train(folder.path(), &recipe);
    let trained = &report.phases[0];
    // The best one lies before the fourth epoch, after which patience begins.
    assert!(trained.best_epoch < 4);
    assert_eq!(trained.epochs, 6);
}

#[test]
fn a_student_learns_from_the_inside_of_a_teacher_of_fewer_blocks() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let teacher = folder.path().join("teacher.bpk");
    let shallow = tiny().with_depth(1);
    save(&shallow.init_teacher(&Device::flex()).unwrap(), &teacher).unwrap();
    let mut config = RunConfig::new(recipe());
    config.start.teacher = Some(teacher);
    config.recipe.phases = vec![Phase::Stage2];
    config.recipe.stage2.epochs = 1;
    config.recipe.stage2.distillation.hidden = 1.0;
    let report = train_as(&folder.path().join("run"), config);
    assert_eq!(report.phases[0].epochs, 1);
}

#[test]
fn a_model_of_fewer_classes_is_not_evaluated() {
    let device = Device::flex();
    let mut few = tiny();
    few.classes = 3;
    let model = few.init_teacher(&device).unwrap();
    let loader = evaluation_loader(data().test, &recipe()).unwrap();
    let refusal = Evaluation::of(&model, &loader, &device).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "model.classes: the data have 10 classes, the model 3"
    );
}

#[test]
fn a_student_without_teacher_trains_both_heads_on_labels() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let mut recipe = recipe();
    recipe.phases = vec![Phase::Stage2];
    recipe.stage2.distillation.kind = Distillation::None;
    recipe.stage2.epochs = 1;
    let before = recipe.model.init_stage2(&Device::flex()).unwrap();
    train(folder.path(), &recipe);
    let after: Stage2Student = load(folder.path().join("stage2.bpk"), &Device::flex()).unwrap();
    let bias = |model: &Stage2Student| {
        let head = model.distillation_head.clone().unwrap();
        let found = parameters(&head)
            .into_iter()
            .find(|p| p.path == "bias")
            .unwrap();
        found.data.iter::<f32>().collect::<Vec<_>>()
    };
    assert_ne!(bias(&before), bias(&after));
}

#[test]
fn cached_logits_need_a_teacher_and_train() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let mut recipe = recipe();
    recipe.phases = vec![Phase::Stage1];
    recipe.stage1.epochs = 1;
    recipe.teacher_logits = TeacherLogits::Cached;
    let error = Run::new(folder.path(), RunConfig::new(recipe.clone())).unwrap_err();
    let error = error.to_string();
    assert!(
        error.starts_with("teacher: a student that distils needs one"),
        "{error}"
    );

    let folder = tempfile::tempdir().unwrap();
    recipe.phases = vec![Phase::Stage1, Phase::Teacher];
    recipe.teacher.epochs = 1;
    let report = train(folder.path(), &recipe);
    let phases: Vec<Phase> = report.phases.iter().map(|row| row.phase).collect();
    assert_eq!(phases, [Phase::Teacher, Phase::Stage1]);
}

#[test]
fn what_does_not_go_together_is_named() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let mut other = recipe();
    other.model.classes = 3;
    let mut run = Run::new(folder.path().join("a"), RunConfig::new(other)).unwrap();
    let error = run.train(&data(), &Callbacks::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "model.classes: the data have 10 classes, the model 3"
    );

    let error = Run::resume(folder.path()).unwrap_err().to_string();
    assert!(
        error.ends_with("holds no run to resume: it has no config.json"),
        "{error}"
    );
    let error = Run::new(folder.path().join("a"), RunConfig::new(recipe())).unwrap_err();
    assert!(error.to_string().contains("holds a run already"), "{error}");

    let distributed = RunConfig {
        strategy: Strategy::Ddp,
        ..shared(recipe())
    };
    let error = Run::new(folder.path().join("b"), distributed.clone()).unwrap_err();
    assert!(
        error.to_string().starts_with("strategy: Device<Flex"),
        "{error}"
    );
    let mut impatient = distributed;
    impatient.recipe.stage1.patience = Some(1);
    let error = Run::new(folder.path().join("b"), impatient).unwrap_err();
    assert!(
        error.to_string().starts_with("stage1.patience: the loops"),
        "{error}"
    );

    let mut odd = teacher_only();
    odd.teacher.batch_size = 15;
    let mut run = Run::new(folder.path().join("b"), shared(odd)).unwrap();
    let error = run.train(&data(), &Callbacks::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "batch_size: 15 images cannot be shared by 2 devices"
    );
}

/// As [`recipe`], with products large enough to be rounded.
fn rounded(products: Products) -> RunConfig {
    let mut recipe = recipe();
    recipe.model = recipe.model.with_width(64).with_heads(4);
    for phase in Phase::ALL {
        recipe.phase_mut(phase).epochs = 2;
    }
    RunConfig {
        products,
        ..RunConfig::new(recipe)
    }
}

#[test]
fn rounded_products_are_kept_and_refused_where_nothing_computes_them() {
    let folder = tempfile::tempdir().unwrap();
    let json = |config: &RunConfig| serde_json::to_value(config).unwrap();
    assert_eq!(json(&rounded(Products::Float)).get("products"), None);
    let all = Products::ALL.into_iter();
    for products in all.filter(|products| *products != Products::Float) {
        let config = rounded(products);
        let mut value = json(&config);
        assert_eq!(value["products"], products.as_str());
        assert_eq!(
            serde_json::from_value::<RunConfig>(value.clone()).unwrap(),
            config
        );
        value["products"] = "bfloat8".into();
        let error = serde_json::from_value::<RunConfig>(value).unwrap_err();
        assert!(error.to_string().contains("bfloat8"), "{error}");

        let several = RunConfig {
            products,
            ..shared(recipe())
        };
        let error = Run::new(folder.path().join("a"), several)
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            format!("products: {products} is for one device flex")
        );
        if let Err(missing) = products.check() {
            let error = Run::new(folder.path().join("a"), config).unwrap_err();
            assert_eq!(error.to_string(), format!("products: {missing}"));
        }
    }
    assert!(!folder.path().join("a").exists());
}

/// Nothing to see on a machine that has floats alone.
#[test]
fn a_run_of_rounded_products_goes_on_as_it_began() {
    let _turn = turn();
    let all = Products::ALL.into_iter();
    let all = all.filter(|products| *products != Products::Float);
    for products in all.filter(|products| products.check().is_ok()) {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        train_as(&path("floats"), rounded(Products::Float));
        train_as(&path("whole"), rounded(products));
        let mut run = Run::new(path("parts"), rounded(products)).unwrap();
        run.train(&data(), &stopping_after(9)).unwrap_err();
        let mut run = Run::resume(path("parts")).unwrap();
        run.train(&data(), &Callbacks::default()).unwrap();
        let [floats, whole, parts] = ["floats", "whole", "parts"].map(|name| log(&path(name)));
        assert_eq!(parts, whole);
        let losses =
            |log: &[Epoch]| -> Vec<f64> { log.iter().map(|epoch| epoch.train_loss).collect() };
        let (floats, rounded) = (losses(&floats), losses(&whole));
        assert_eq!(floats.len(), rounded.len());
        match products {
            // Hardly rounded, the first losses may be the same.
            Products::Bfloat16x6 => assert_ne!(floats, rounded),
            _ => {
                for (floats, rounded) in floats.into_iter().zip(rounded) {
                    assert_ne!(floats, rounded, "{products}");
                }
            }
        }
        // It is evaluated with floats, as by whoever loads the model.
        let report = Run::resume(path("whole")).unwrap().report().clone();
        for row in &report.phases {
            let mut epochs = whole.iter().filter(|epoch| epoch.phase == row.phase);
            let last = epochs.next_back().unwrap();
            // Sums of images in another order.
            assert!((row.loss - last.loss).abs() < 1e-5, "{products}");
            assert_eq!(row.top1, last.top1, "{products}");
        }
        let teacher: VisionTransformer =
            load(path("whole").join("teacher.bpk"), &Device::default()).unwrap();
        let loader = evaluation_loader(data().test, &recipe()).unwrap();
        let again = Evaluation::of(&teacher, &loader, &Device::default()).unwrap();
        let row = &report.phases[0];
        assert_eq!((row.phase, row.loss), (Phase::Teacher, again.loss));
    }
}

/// A training of three epochs that was stopped in the last one.
fn stopped(folder: &Path) {
    let mut recipe = teacher_only();
    recipe.teacher.epochs = 3;
    let mut run = Run::new(folder, RunConfig::new(recipe)).unwrap();
    // Five batches of training and two of evaluation an epoch.
    let error = run.train(&data(), &stopping_after(16)).unwrap_err();
    assert!(matches!(error, Error::Stopped { epoch: 3, .. }), "{error}");
}

/// What a checkpoint holds of the map of hidden states.
#[derive(Module, Debug)]
struct MapAlone {
    hidden_map: Linear,
}

#[test]
fn the_map_of_hidden_states_is_trained_and_resumed() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut teacher = teacher_only();
    teacher.teacher.epochs = 1;
    train_as(&path("teacher"), RunConfig::new(teacher));
    let mut recipe = recipe();
    recipe.phases = vec![Phase::Stage2];
    recipe.model = recipe.model.with_width(32);
    recipe.stage2.distillation.hidden = 1.0;
    let mut config = RunConfig::new(recipe);
    config.start.teacher = Some(path("teacher/teacher.bpk"));
    train_as(&path("whole"), config.clone());

    let mut run = Run::new(path("parts"), config).unwrap();
    let error = run.train(&data(), &stopping_after(16)).unwrap_err();
    assert!(matches!(error, Error::Stopped { epoch: 3, .. }), "{error}");
    let map = |epoch: usize| {
        let checkpoint = path(&format!("parts/stage2/checkpoint/model-{epoch}.bpk"));
        let record = ModuleRecord::load(checkpoint).unwrap().allow_unused(true);
        let linear = LinearConfig::new(32, 16).with_bias(false);
        let fresh = MapAlone {
            hidden_map: linear.init(&Device::flex()),
        };
        let map = fresh.try_load_record(record).unwrap().hidden_map;
        map.weight.val().into_data()
    };
    assert_ne!(map(1), map(2));
    resumed(&path("parts"));
    assert_eq!(log(&path("parts")), log(&path("whole")));
    let all = |name: &str| values::<Stage2Student>(&path(name));
    assert_eq!(all("parts"), all("whole"));
}

/// Goes on to the end; what the callbacks were told.
fn resumed(folder: &Path) -> Vec<String> {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&notes);
    let callbacks = Callbacks {
        note: Box::new(move |text| kept.lock().unwrap().push(text.to_string())),
        ..Callbacks::default()
    };
    let mut run = Run::resume(folder).unwrap();
    run.train(&data(), &callbacks).unwrap();
    drop(callbacks);
    Arc::into_inner(notes).unwrap().into_inner().unwrap()
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn damaged_checkpoints_are_left_out_and_said() {
    let _turn = turn();
    let whole = tempfile::tempdir().unwrap();
    stopped(whole.path());
    assert_eq!(resumed(whole.path()), [""; 0]);
    for (damaged, goes_on) in [
        (vec!["model-2.bpk"], "teacher goes on after epoch 1"),
        (vec!["optim-2.bpk"], "teacher goes on after epoch 1"),
        (vec!["scheduler-2.bpk"], "teacher goes on after epoch 1"),
        (vec!["epoch-2.json"], "teacher goes on after epoch 1"),
        (vec!["model-1.bpk"], "teacher goes on after epoch 2"),
        (
            vec!["optim-1.bpk", "model-2.bpk"],
            "teacher begins anew: it has no other checkpoint",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        stopped(folder.path());
        let checkpoints = folder.path().join("teacher/checkpoint");
        damaged
            .iter()
            .for_each(|name| flip(&checkpoints.join(name)));
        let notes = resumed(folder.path());
        for name in &damaged {
            let note = notes.iter().find(|note| note.contains(name));
            let note = note.unwrap_or_else(|| panic!("{name}: {notes:?}"));
            assert!(
                note.contains("damaged") && note.ends_with("is left out"),
                "{note}"
            );
        }
        assert!(notes.iter().any(|note| note == goes_on), "{notes:?}");
        assert_eq!(log(folder.path()), log(whole.path()));
        let values = values::<VisionTransformer>;
        assert_eq!(values(folder.path()), values(whole.path()));
    }
}

/// They may be whole: another day, for another user.
#[test]
fn checkpoints_that_cannot_be_read_stay() {
    let _turn = turn();
    // With checksums, and from before there were any.
    for sealed in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        stopped(folder.path());
        let log = || std::fs::read(folder.path().join("log.jsonl")).unwrap();
        let before = log();
        let checkpoints = folder.path().join("teacher/checkpoint");
        if !sealed {
            for epoch in [1, 2] {
                std::fs::remove_file(checkpoints.join(format!("epoch-{epoch}.json"))).unwrap();
            }
        }
        let [unreadable, aside] = ["model-2.bpk", "aside"].map(|name| checkpoints.join(name));
        std::fs::rename(&unreadable, &aside).unwrap();
        std::fs::create_dir(&unreadable).unwrap();
        let mut run = Run::resume(folder.path()).unwrap();
        let error = run.train(&data(), &Callbacks::default()).unwrap_err();
        assert!(error.to_string().contains("model-2.bpk"), "{error}");
        assert_eq!(log(), before);
        std::fs::remove_dir(&unreadable).unwrap();
        std::fs::rename(&aside, &unreadable).unwrap();
        assert_eq!(resumed(folder.path()), [""; 0]);
        // Lines of epochs that were trained again would have other seconds.
        assert!(log().starts_with(&before), "sealed: {sealed}");
    }
}

#[test]
fn checkpoints_from_before_there_were_checksums_are_gone_on_from() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    stopped(folder.path());
    for epoch in [1, 2] {
        let path = folder
            .path()
            .join(format!("teacher/checkpoint/epoch-{epoch}.json"));
        std::fs::remove_file(path).unwrap();
    }
    let before = std::fs::read_to_string(folder.path().join("log.jsonl")).unwrap();
    assert_eq!(resumed(folder.path()), [""; 0]);
    // Lines of epochs that were trained again would have other seconds.
    let after = std::fs::read_to_string(folder.path().join("log.jsonl")).unwrap();
    assert!(after.starts_with(&before), "{before}{after}");
}

#[test]
fn what_killed_processes_left_is_removed() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    stopped(folder.path());
    let checkpoints = folder.path().join("teacher/checkpoint");
    let left = [
        folder.path().join(".tmp-gsb-aB3dEf"),
        checkpoints.join(".tmp-gsb-7"),
        checkpoints.join(".tmpaB3dEf"),
        checkpoints.join("model-3.bpk.4711-0.tmp"),
    ];
    left.iter()
        .for_each(|path| std::fs::write(path, "half").unwrap());
    // Killed while the files of a checkpoint were written: it is none.
    std::fs::copy(
        checkpoints.join("model-2.bpk"),
        checkpoints.join("model-3.bpk"),
    )
    .unwrap();
    assert_eq!(resumed(folder.path()), [""; 0]);
    left.iter()
        .for_each(|path| assert!(!path.exists(), "{}", path.display()));

    // Killed before its second file was written.
    let environment = folder.path().join("environment.json");
    std::fs::remove_file(&environment).unwrap();
    resumed(folder.path());
    assert!(environment.exists());

    // Killed after the report was written, before the checkpoints were gone.
    std::fs::create_dir_all(&checkpoints).unwrap();
    std::fs::write(checkpoints.join("model-3.bpk"), "old").unwrap();
    resumed(folder.path());
    assert!(!folder.path().join("teacher").exists());
}

#[test]
fn a_refused_run_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b");
    let mut odd = teacher_only();
    odd.teacher.batch_size = 15;
    let check = |config: RunConfig| config.check(&data(), &config.open_devices().unwrap());
    let error = check(shared(odd)).unwrap_err().to_string();
    assert!(error.starts_with("batch_size: 15 images"), "{error}");
    let mut other = teacher_only();
    other.model.classes = 3;
    let error = check(RunConfig::new(other)).unwrap_err();
    assert!(error.to_string().starts_with("model.classes"), "{error}");
    check(RunConfig::new(teacher_only())).unwrap();

    // Something is in the way of its second file.
    let taken = folder.path().join("taken");
    std::fs::create_dir_all(taken.join("environment.json")).unwrap();
    Run::new(&taken, RunConfig::new(teacher_only())).unwrap_err();
    assert!(taken.exists() && !taken.join("config.json").exists());
    std::fs::write(folder.path().join("a"), "a file").unwrap();
    Run::new(&path, RunConfig::new(teacher_only())).unwrap_err();
    assert!(!path.exists());
}

#[test]
fn a_run_goes_on_where_its_folder_and_files_are_now() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    train(&path("teacher"), &teacher_only());
    let mut recipe = recipe();
    recipe.phases = vec![Phase::Stage1];
    let mut config = RunConfig::new(recipe);
    config.start.teacher = Some(path("teacher/teacher.bpk"));
    let at = |place: &str| {
        Some(DataConfig {
            path: Some(place.into()),
            ..DataConfig::default()
        })
    };
    config.data = at("here");
    let mut run = Run::new(path("student"), config.clone()).unwrap();
    run.train(&data(), &stopping_after(9)).unwrap_err();
    std::fs::rename(path("teacher"), path("elsewhere")).unwrap();
    std::fs::rename(path("student"), path("moved")).unwrap();

    let mut run = Run::resume(path("moved")).unwrap();
    let error = run.train(&data(), &Callbacks::default()).unwrap_err();
    assert!(error.to_string().contains("teacher/teacher.bpk"), "{error}");
    let nowhere = Start {
        teacher: Some(path("nowhere.bpk")),
        ..Start::default()
    };
    assert!(run.set_start(nowhere).is_err());
    let other = Start {
        stage1: Some(path("teacher/teacher.bpk")),
        ..Start::default()
    };
    let error = run.set_start(other).unwrap_err().to_string();
    assert!(error.starts_with("start.stage1: "), "{error}");
    config.start.teacher = Some(path("elsewhere/teacher.bpk"));
    config.data = at("there");
    run.set_start(config.start.clone()).unwrap();
    run.set_data(config.data.clone(), None);
    run.train(&data(), &Callbacks::default()).unwrap();
    assert_eq!(Run::resume(path("moved")).unwrap().config(), &config);
}

/// Who reproduces the paper relies on each of its numbers.
#[test]
fn the_published_recipe_is_as_it_was() {
    let model = gsb_vit::VitConfig::preset("deit_small_distilled_patch16_224", 100).unwrap();
    let recipe = Recipe::published(model, Normalization::imagenet(), 128);
    let found = serde_json::to_value(&recipe).unwrap();
    let expected: serde_json::Value =
        serde_json::from_str(include_str!("data/published.json")).unwrap();
    assert_eq!(
        found,
        expected,
        "{}",
        serde_json::to_string_pretty(&found).unwrap()
    );
}

/// A `config.json` from before options that came since, which may be absent.
#[test]
fn configurations_of_earlier_runs_say_the_same() {
    let text = include_str!("data/old-config.json");
    let config: RunConfig = serde_json::from_str(text).unwrap();
    config.validate().unwrap();
    let data = config.data().unwrap();
    assert_eq!((data.per_class, config.classes.len()), (Some(4), 10));
    assert_eq!(config.recipe.phases, [Phase::Teacher]);
    assert_eq!(
        (
            config.recipe.teacher.epochs,
            config.recipe.teacher.schedule.lr
        ),
        (400, 2e-3)
    );
    let splits = config.open_data(Purpose::Training, |_| {}).unwrap();
    config.check_images(&splits).unwrap();
    // What is written now is the same for every reader that knows what it wants.
    let again = serde_json::to_value(&config).unwrap();
    let before: serde_json::Value = serde_json::from_str(text).unwrap();
    for part in [
        "classes",
        "data",
        "device",
        "devices",
        "fingerprint",
        "start",
        "strategy",
    ] {
        assert_eq!(again[part], before[part], "{part}");
    }
    for part in ["phases", "seed", "teacher", "stage1", "stage2"] {
        assert_eq!(again["recipe"][part], before["recipe"][part], "{part}");
    }
    // Single precision has more digits in double.
    let normalization = &config.recipe.evaluation.normalization;
    assert_eq!(normalization.mean, [0.303_304_23]);
    let fields = |value: &serde_json::Value| value.as_object().unwrap().len();
    assert_eq!(fields(&again), fields(&before));

    // Images of a program's own are described by nothing.
    let mut own = before;
    own.as_object_mut().unwrap().remove("data");
    let own: RunConfig = serde_json::from_value(own).unwrap();
    assert_eq!(
        own.data().unwrap_err().to_string(),
        "data: the program that began the run had images of its own: expected a data set"
    );
}

#[test]
fn images_that_changed_are_noticed() {
    let mut config = RunConfig::new(recipe());
    let splits = data();
    config.check_images(&splits).unwrap();
    config.note_images(&splits).unwrap();
    config.check_images(&splits).unwrap();
    let mut fewer = splits;
    fewer.test = Arc::new(per_class(fewer.test, 1, 0).unwrap());
    assert_eq!(
        config.check_images(&fewer).unwrap_err().to_string(),
        "the run began with 80 images to train on and 20 to test on; now there are 80 and 10"
    );
}
