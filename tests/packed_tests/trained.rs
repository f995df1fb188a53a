//! Students trained on the digits and on MNIST, on all held-out images.

use std::path::{Path, PathBuf};

use burn::Tensor;
use burn::tensor::{Device, TensorData};
use gsb::distill::Distillation;
use gsb_data::{
    DataSetName, DataSplits, EvalTransform, Normalization, OpenOptions, TrainTransform,
};
use gsb_packed::{Image, PackedModel, Preprocessing};
use gsb_train::{Devices, Hooks, PhaseRecipe, Plan, Recipe, Run, Start};
use gsb_vit::{PackOptions, Phase, Stage2Student, VitConfig, checkpoint, pack};

use crate::compare::Outcome;
use crate::seeded;

/// Trains stage 1 and stage 2 for a few epochs each, without a teacher.
fn recipe(model: VitConfig, epochs: usize, normalization: Normalization) -> Recipe {
    let size = model.image_size;
    let mut recipe = Recipe::published(model, normalization.clone(), 32);
    recipe.phases = vec![Phase::Stage1, Phase::Stage2];
    recipe.augmentation = TrainTransform::plain(size, normalization);
    recipe.workers = 1;
    for (phase, lr) in [(Phase::Stage1, 2e-3), (Phase::Stage2, 3e-3)] {
        *recipe.phase_mut(phase) = PhaseRecipe {
            epochs,
            lr,
            distillation: Distillation::None,
            ..PhaseRecipe::published(32)
        };
    }
    recipe
}

/// Trains a student, packs it, and compares every decision on all held-out images.
fn check(name: &str, splits: &DataSplits, model: VitConfig, epochs: usize) {
    let device = Device::flex();
    // A run seeds the generator itself.
    let _generator = seeded(&device, 0);
    let (size, channels) = (model.image_size, model.channels);
    let normalization = Normalization::of(&*splits.train).expect("pictures");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("packed-{name}-{}", std::process::id()));
    let plan = Plan {
        recipe: recipe(model, epochs, normalization.clone()),
        start: Start::default(),
        context: serde_json::Map::new(),
    };
    let mut run = Run::new(&folder, plan, Devices::Single(device.clone())).expect("a folder");
    run.train(splits, &Hooks::default()).expect("training");
    let student: Stage2Student =
        checkpoint::load(run.model_path(Phase::Stage2), &device).expect("what was trained");
    std::fs::remove_dir_all(&folder).expect("the folder is ours");

    let options = PackOptions {
        preprocessing: Some(Preprocessing {
            resize: Some(size),
            interpolation: "bicubic".into(),
            mean: normalization.mean.clone(),
            deviation: normalization.deviation.clone(),
        }),
        ..PackOptions::default()
    };
    let model = PackedModel::new(pack(&student, options).expect("it can be packed"))
        .expect("it can be run");
    let transform = EvalTransform::new(size, normalization);
    let (mut floats, mut bytes) = (Outcome::default(), Outcome::default());
    let mut right = 0;
    for index in 0..splits.test.len() {
        let picture = splits.test.image(index).expect("a picture");
        let values = transform.apply(&picture);
        let shape = [1, channels, size, size];
        let image = Tensor::<4>::from_data(TensorData::new(values.clone(), shape), &device);
        floats.add(&student, &model, image.clone(), Image::Normalized(&values));
        let pixels = transform.pixels(&picture);
        bytes.add(&student, &model, image, Image::Bytes(&pixels.pixels));
        let class = model.predict(&pixels.pixels).expect("an image").class();
        right += usize::from(class == splits.test.label(index));
    }
    println!("{name}: {right} of {} right", splits.test.len());
    for (kind, outcome) in [("floats", &floats), ("bytes", &bytes)] {
        outcome.check(&format!("{name} as {kind}"));
        assert_eq!(outcome.same_class, outcome.images, "{name} as {kind}");
    }
    assert!(right * 2 > splits.test.len(), "it has learned something");
}

#[test]
fn a_student_of_the_digits() {
    let splits = gsb_data::digits()
        .expect("the digits")
        .split(0.2, 0)
        .expect("two parts");
    check("digits", &splits, VitConfig::micro(), 4);
}

#[test]
#[ignore = "takes the IDX files of MNIST, from the folder GSB_MNIST_DIR"]
fn a_student_of_mnist() {
    let folder = std::env::var_os("GSB_MNIST_DIR")
        .map(PathBuf::from)
        .expect("GSB_MNIST_DIR: a folder with the IDX files of MNIST");
    let splits =
        gsb_data::open(DataSetName::Mnist, Some(&folder), &OpenOptions::default()).expect("MNIST");
    let model = VitConfig {
        image_size: 28,
        patch_size: 4,
        ..VitConfig::micro()
    };
    check("mnist", &splits, model, 2);
}
