//! The students of the golden files: also against the logits that the published code computed.

use std::path::Path;

use burn::Tensor;
use burn::tensor::{Device, s};
use gsb_packed::{Packed, PackedModel, ShiftStorage};
use gsb_vit::checkpoint::{Published, Strictness};
use gsb_vit::{PackOptions, Stage2Student, pack};

use crate::compare::compare;
use crate::fixture::{Case, cases};
use crate::model;
use crate::step::relative;

/// The only case of a golden file.
fn case(file: &str) -> Case {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(file);
    cases(&path).expect("a golden file").remove(0)
}

/// Compares a student with its packed self on the images of a case, one at a time, and the packed logits
/// with those of the published code.
fn check(name: &str, student: &Stage2Student, case: &Case, published: Option<&str>) {
    let device = Device::flex();
    let packed = pack(student, PackOptions::default()).expect("it can be packed");
    let bytes = packed.to_bytes(ShiftStorage::F32).expect("it can be written");
    let packed = Packed::from_bytes(&bytes).expect("it can be read");
    let model = PackedModel::new(packed).expect("it can be run");
    let images: Tensor<4> = case.tensor("x", &device).expect("images");
    let outcome = compare(student, &model, images.clone());
    outcome.check(name);
    assert_eq!((outcome.agreeing, outcome.same_class), (outcome.images, outcome.images));
    let Some(published) = published else { return };
    let logits = case.values(published).expect("logits");
    let classes = logits.shape[1];
    for (index, logits) in logits.data.chunks(classes).enumerate() {
        let pixels = images.clone().slice(s![index..index + 1]).into_data();
        let pixels = pixels.try_to_vec::<f32>().expect("f32");
        let prediction = model.predict(gsb_packed::Image::Normalized(&pixels)).expect("an image");
        let difference = relative(prediction.logits(), logits);
        println!("{name}: image {index}, logits {difference:.1e} from those of the published code");
        assert!(difference < 1e-5, "{difference}");
    }
}

#[test]
fn a_student_after_a_step_of_training() {
    let case = case("d_model_stage2.safetensors");
    let config = model::config(&case).expect("a configuration");
    let student: Stage2Student =
        model::model(&case, "after_step.", &config, &Device::flex()).expect("a student");
    check("d_model_stage2", &student, &case, Some("out.eval_single"));
}

#[test]
fn a_checkpoint_of_the_published_training() {
    let case = case("d_ckpt_stage2.expected.safetensors");
    let config = model::config(&case).expect("a configuration");
    let path = case.directory.join("d_ckpt_stage2.pth");
    let file = Published::read(path).expect("a checkpoint");
    let (student, _) = file
        .into_model::<Stage2Student>(&config, Strictness::Strict, &Device::flex())
        .expect("a student");
    let single = ["out.eval_single", "out.eval1"].into_iter().find(|name| case.has(name));
    check("d_ckpt_stage2", &student, &case, single);
}
