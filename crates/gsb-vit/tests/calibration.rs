//! Forgotten calibration is seen, and stays seen.
#![cfg(feature = "flex")]

use burn::Tensor;
use burn::tensor::{Device, Distribution};
use gsb_vit::checkpoint::{export, save};
use gsb_vit::{Calibrate, Model, Stage2Student, VitConfig, uncalibrated};

/// What is not calibrated in the student once it has been to a file and back, of either kind.
fn after_a_file(student: &Stage2Student) -> [Vec<String>; 2] {
    let folder = tempfile::tempdir().unwrap();
    let [own, published] =
        ["own.bpk", "published.safetensors"].map(|name| folder.path().join(name));
    save(student, &own).unwrap();
    export(student, &published).unwrap();
    [own, published].map(|path| uncalibrated(&Stage2Student::load(path, &Device::flex()).unwrap()))
}

/// For code that takes any model.
fn calibrated<M: Model + Calibrate<Tensor<4>>>(model: M, images: &Tensor<4>) -> M {
    model.calibrate(images)
}

#[test]
fn a_student_knows_its_scales_before_and_after_a_file() {
    let device = Device::flex();
    let student = VitConfig::micro().init_stage2(&device).unwrap();
    // Patch embedding, eight a block, two in each head.
    let unset = uncalibrated(&student);
    assert_eq!(unset.len(), 1 + 4 * 8 + 2 * 2);
    assert_eq!(after_a_file(&student), [unset.clone(), unset]);

    let images = Tensor::random([2, 1, 8, 8], Distribution::Default, &device);
    let student = calibrated(student, &images);
    assert!(uncalibrated(&student).is_empty());
    assert_eq!(after_a_file(&student), [Vec::<String>::new(), Vec::new()]);
}

#[test]
fn models_without_such_scales_are_calibrated() {
    let device = Device::flex();
    let config = VitConfig::micro();
    assert!(uncalibrated(&config.init_teacher(&device).unwrap()).is_empty());
    assert!(uncalibrated(&config.init_stage1(&device).unwrap()).is_empty());
}
