//! A student trained on the digits, on all held-out images.

use std::path::Path;

use burn::Tensor;
use burn::tensor::{Device, TensorData};
use gsb::distill::Distillation;
use gsb_data::{EvalTransform, Normalization, TrainTransform};
use gsb_packed::{Image, PackedModel, Preprocessing};
use gsb_train::{Devices, Hooks, PhaseRecipe, Plan, Recipe, Run, Start};
use gsb_vit::{PackOptions, Phase, Stage2Student, VitConfig, checkpoint, pack};

use crate::compare::Outcome;

/// Trains stage 1 and stage 2 for a few epochs each, without a teacher.
fn recipe(normalization: Normalization) -> Recipe {
    let mut recipe = Recipe::published(VitConfig::micro(), normalization.clone(), 32);
    recipe.phases = vec![Phase::Stage1, Phase::Stage2];
    recipe.augmentation = TrainTransform::plain(8, normalization);
    recipe.workers = 1;
    for (phase, epochs, lr) in [(Phase::Stage1, 4, 2e-3), (Phase::Stage2, 4, 3e-3)] {
        *recipe.phase_mut(phase) = PhaseRecipe {
            epochs,
            lr,
            distillation: Distillation::None,
            ..PhaseRecipe::published(32)
        };
    }
    recipe
}

#[test]
fn a_student_of_the_digits() {
    let device = Device::flex();
    let splits = gsb_data::digits()
        .expect("the digits")
        .split(0.2, 0)
        .expect("two parts");
    let normalization = Normalization::of(&*splits.train).expect("pictures");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("packed-digits-{}", std::process::id()));
    let plan = Plan {
        recipe: recipe(normalization.clone()),
        start: Start::default(),
        context: serde_json::Map::new(),
    };
    let mut run = Run::new(&folder, plan, Devices::Single(device.clone())).expect("a folder");
    run.train(&splits, &Hooks::default()).expect("training");
    let student: Stage2Student =
        checkpoint::load(run.model_path(Phase::Stage2), &device).expect("what was trained");
    std::fs::remove_dir_all(&folder).expect("the folder is ours");

    let options = PackOptions {
        preprocessing: Some(Preprocessing {
            resize: Some(8),
            interpolation: "bicubic".into(),
            mean: normalization.mean.clone(),
            deviation: normalization.deviation.clone(),
        }),
        ..PackOptions::default()
    };
    let model = PackedModel::new(pack(&student, options).expect("it can be packed"))
        .expect("it can be run");
    let transform = EvalTransform::new(8, normalization);
    let (mut floats, mut bytes) = (Outcome::default(), Outcome::default());
    let mut right = 0;
    for index in 0..splits.test.len() {
        let picture = splits.test.image(index).expect("a picture");
        let values = transform.apply(&picture);
        let image = Tensor::<4>::from_data(TensorData::new(values.clone(), [1, 1, 8, 8]), &device);
        floats.add(&student, &model, image.clone(), Image::Normalized(&values));
        let pixels = transform.pixels(&picture);
        bytes.add(&student, &model, image, Image::Bytes(&pixels.pixels));
        let class = model.predict(&pixels.pixels).expect("an image").class();
        right += usize::from(class == splits.test.label(index));
    }
    println!("packed: {right} of {} right", splits.test.len());
    for (name, outcome) in [("digits as floats", &floats), ("digits as bytes", &bytes)] {
        outcome.check(name);
        assert_eq!(outcome.same_class, outcome.images, "{name}");
    }
    assert!(right * 2 > splits.test.len(), "it has learned something");
}
