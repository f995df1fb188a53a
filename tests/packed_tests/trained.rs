//! Trained students, on all held-out images.

use std::path::{Path, PathBuf};

use burn::Tensor;
use burn::tensor::{Device, TensorData};
use gsb_core::distill::Distillation;
use gsb_data::{
    DataSet, DataSetName, DataSplits, EvalTransform, Normalization, OpenOptions, TrainTransform,
};
use gsb_packed::{Image, PackedModel, Prediction, Preprocessing, ShiftStorage};
use gsb_train::{Callbacks, Recipe, Run, RunConfig};
use gsb_vit::{PackOptions, Phase, Stage2Student, VitConfig, checkpoint, pack};

use crate::compare::Outcome;
use crate::seeded;
use crate::step::numbers;

/// Trains stage 1 and stage 2 for a few epochs each, without a teacher.
fn recipe(model: VitConfig, epochs: usize, normalization: Normalization) -> Recipe {
    let size = model.image_size;
    let mut recipe = Recipe::published(model, normalization.clone(), 32);
    recipe.phases = vec![Phase::Stage1, Phase::Stage2];
    recipe.augmentation = TrainTransform::plain(size, normalization);
    recipe.workers = 1;
    for (phase, lr) in [(Phase::Stage1, 2e-3), (Phase::Stage2, 3e-3)] {
        let settings = recipe.phase_mut(phase);
        settings.epochs = epochs;
        settings.schedule.lr = lr;
        settings.distillation.kind = Distillation::None;
    }
    recipe
}

/// Trains a student.
fn trained(name: &str, splits: &DataSplits, model: VitConfig, epochs: usize) -> Stage2Student {
    let device = Device::flex();
    // A run seeds the generator itself.
    let _generator = seeded(&device, 0);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("packed-{name}-{}", std::process::id()));
    let normalization = splits.train.normalization().expect("pictures");
    let config = RunConfig::new(recipe(model, epochs, normalization));
    let mut run = Run::new(&folder, config).expect("a folder");
    run.train(splits, &Callbacks::default()).expect("training");
    let student = checkpoint::load(run.model_path(Phase::Stage2), &device);
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
    student.expect("what was trained")
}

/// Packs a student into the smallest file that holds it exactly, and compares every decision of that on held-out images,
/// as floats and as bytes; with how many of these it classifies right.
fn check(
    name: &str,
    student: &Stage2Student,
    set: &dyn DataSet,
    transform: EvalTransform,
) -> (usize, [Outcome; 2]) {
    let device = Device::flex();
    let normalization = transform.normalization.clone();
    let options = PackOptions {
        preprocessing: Some(Preprocessing {
            resize: Some(transform.resize),
            interpolation: "bicubic".into(),
            mean: normalization.mean,
            deviation: normalization.deviation,
        }),
        ..PackOptions::default()
    };
    let packed = pack(student, options).expect("it can be packed");
    let bits = student.config().stage2.shift_bits;
    let storage = packed.exact_storage();
    assert_eq!(
        storage == ShiftStorage::I8,
        bits == 8,
        "{name}: {storage:?}"
    );
    let file = packed.to_bytes(storage).expect("it can be written");
    let model = PackedModel::from_bytes(&file).expect("it can be run");
    let (size, channels) = (transform.image_size, transform.channels());
    let (mut floats, mut bytes) = (Outcome::default(), Outcome::default());
    let mut right = 0;
    for index in 0..set.len() {
        let picture = set.image(index).expect("a picture");
        let values = transform.apply(&picture);
        let shape = [1, channels, size, size];
        let image = Tensor::<4>::from_data(TensorData::new(values.clone(), shape), &device);
        floats.add(student, &model, image.clone(), Image::Normalized(&values));
        let pixels = transform.pixels(&picture);
        bytes.add(student, &model, image, Image::Bytes(&pixels.pixels));
        let class = model.predict(&pixels.pixels).expect("an image").class();
        right += usize::from(class == set.label(index));
    }
    println!("{name}: {right} of {} right", set.len());
    floats.check(&format!("{name} as floats"));
    bytes.check(&format!("{name} as bytes"));
    (right, [floats, bytes])
}

/// Trains a student and compares every decision on all held-out images.
fn train_and_check(name: &str, splits: &DataSplits, model: VitConfig, epochs: usize) {
    let normalization = splits.train.normalization().expect("pictures");
    let transform = EvalTransform::new(model.image_size, normalization);
    let student = trained(name, splits, model, epochs);
    let (right, outcomes) = check(name, &student, &*splits.test, transform);
    for outcome in outcomes {
        assert_eq!(outcome.same_class, outcome.images, "{name}");
    }
    assert!(right * 2 > splits.test.len(), "it has learned something");
}

fn digits() -> DataSplits {
    let digits = gsb_data::digits().expect("the digits");
    digits.split(0.2, 0).expect("two parts")
}

#[test]
fn a_student_of_the_digits() {
    train_and_check("digits", &digits(), VitConfig::micro(), 4);
}

/// Its attended values are multiples of one product of scales.
#[test]
fn a_plain_student_of_the_digits() {
    let plain = VitConfig::micro()
        .with_attention_groups(1)
        .with_value_groups(1);
    train_and_check("digits, plain", &digits(), plain, 4);
}

/// The small file decides as the student that was trained in its precision.
#[test]
fn a_student_of_the_digits_with_shifts_of_8_bits() {
    let eight = VitConfig::micro().with_shift_bits(8);
    train_and_check("digits, 8 bits", &digits(), eight, 4);
}

/// Its attention matrices have levels 0 to 3 in place of groups.
#[test]
fn a_student_of_the_digits_with_levels() {
    let levels = VitConfig::micro()
        .with_attention_groups(1)
        .with_attention_bits(2);
    train_and_check("digits, levels", &digits(), levels, 4);
}

#[test]
#[ignore = "takes the IDX files of MNIST, from the folder GSB_MNIST_DIR"]
fn a_student_of_mnist() {
    let folder = of_environment("GSB_MNIST_DIR", "a folder with the IDX files of MNIST");
    let splits =
        gsb_data::open(DataSetName::Mnist, Some(&folder), &OpenOptions::default()).expect("MNIST");
    let model = VitConfig {
        image_size: 28,
        patch_size: 4,
        ..VitConfig::micro()
    };
    train_and_check("mnist", &splits, model, 2);
}

/// Reports besides how often the student disagrees with itself, where the same images reach it in batches,
/// and where every value of them is its neighbour among floats.
#[test]
#[ignore = "takes a checkpoint GSB_STUDENT of the stage-2 student of an image folder GSB_IMAGES"]
fn a_student_of_an_image_folder() {
    let path = of_environment("GSB_STUDENT", "a checkpoint of a stage-2 student");
    let folder = of_environment("GSB_IMAGES", "a folder with train and test");
    let student: Stage2Student = checkpoint::load(path, &Device::flex()).expect("a student");
    let set = gsb_data::image_folder(&folder)
        .expect("an image folder")
        .test;
    let size = student.config().image_size;
    let transform = EvalTransform::new(size, Normalization::imagenet());
    let classes = |batch, change: fn(f32) -> f32| {
        let values = |index| {
            let values = transform.apply(&set.image(index).expect("a picture"));
            values.into_iter().map(change)
        };
        let starts = (0..set.len()).step_by(batch);
        let classes = starts.flat_map(|start| {
            let indices = start..set.len().min(start + batch);
            let shape = [indices.len(), transform.channels(), size, size];
            let values: Vec<f32> = indices.flat_map(values).collect();
            let images = Tensor::<4>::from_data(TensorData::new(values, shape), &Device::flex());
            let logits = numbers(student.infer(images));
            let logits = logits.chunks(student.config().classes);
            let classes = logits.map(|logits| Prediction::new(logits.to_vec()).class());
            classes.collect::<Vec<usize>>()
        });
        classes.collect::<Vec<usize>>()
    };
    let alone = classes(1, |x| x);
    for (how, others) in [
        ("in batches of 96", classes(96, |x| x)),
        ("of neighbouring floats", classes(1, f32::next_up)),
    ] {
        let count = alone.iter().zip(&others).filter(|(a, b)| a != b).count();
        println!("the student itself, {how}: {count} other classes");
    }
    check("image folder", &student, &*set, transform);
}

fn of_environment(name: &str, what: &str) -> PathBuf {
    let value = std::env::var_os(name);
    PathBuf::from(value.unwrap_or_else(|| panic!("{name}: {what}")))
}
