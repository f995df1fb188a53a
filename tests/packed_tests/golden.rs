//! The students of the golden files: also against the logits that the published code computed.

use std::path::Path;

use burn::Tensor;
use burn::tensor::{Device, TensorData, s};
use gsb_core::binarize::ThresholdScope;
use gsb_packed::{PackedFile, PackedModel, ShiftStorage};
use gsb_vit::checkpoint::{Published, Strictness};
use gsb_vit::{PackOptions, Stage2Student, VitConfig, pack};

use crate::compare::compare;
use crate::fixture::{Case, cases};
use crate::step::relative;

/// The only case of a golden file.
fn case(file: &str) -> Case {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(file);
    cases(&path).expect("a golden file").remove(0)
}

/// Compares a student with its packed self on the images of a case, one at a time, and the packed logits
/// with those of the published code.
fn check(name: &str, student: &Stage2Student, case: &Case, published: &str) {
    let device = Device::flex();
    let packed = pack(student, PackOptions::default()).expect("it can be packed");
    let bytes = packed
        .to_bytes(ShiftStorage::F32)
        .expect("it can be written");
    let packed = PackedFile::from_bytes(&bytes).expect("it can be read");
    let model = PackedModel::new(packed).expect("it can be run");
    let images: Tensor<4> = case.tensor("x", &device).expect("images");
    let outcome = compare(student, &model, images.clone());
    outcome.check(name);
    assert_eq!(
        (outcome.agreeing, outcome.same_class),
        (outcome.images, outcome.images)
    );
    let logits = case.values(published).expect("logits");
    let classes = logits.shape[1];
    for (index, logits) in logits.data.chunks(classes).enumerate() {
        let pixels = images.clone().slice(s![index..index + 1]).into_data();
        let pixels = pixels.try_to_vec::<f32>().expect("f32");
        let prediction = model
            .predict(gsb_packed::Image::Normalized(&pixels))
            .expect("an image");
        let difference = relative(prediction.logits(), logits);
        println!("{name}: image {index}, logits {difference:.1e} from those of the published code");
        assert!(difference < 1e-5, "{difference}");
    }
}

/// The student of a case's tensors.
fn student(published: Published, case: &Case) -> Stage2Student {
    let size = |name| case.sizes(name).expect("a size")[0];
    let config = VitConfig::new(size("img"), size("classes"))
        .with_patch_size(size("patch"))
        .with_channels(case.values("x").expect("images").shape[1])
        .with_width(size("hidden"))
        .with_depth(size("depth"))
        .with_heads(size("heads"))
        .with_scope(ThresholdScope::Batch);
    let imported = published.into_model(&config, Strictness::Strict, &Device::flex());
    imported.expect("a student").0
}

/// The tensors of a case with a prefix, without it.
fn tensors(case: &Case, prefix: &str) -> Published {
    let tensors = case.tensors.iter().filter_map(|(name, values)| {
        let shape = match case.scalars.contains(name) {
            true => vec![],
            false => values.shape.clone(),
        };
        let data = TensorData::new(values.data.clone(), shape);
        Some((name.strip_prefix(prefix)?.to_string(), data))
    });
    // Of a state that is left out: the scales of the patches have been set.
    let set = (
        "patch_embed.proj.init_state".to_string(),
        TensorData::new(vec![1f32], [1]),
    );
    Published::new([set].into_iter().chain(tensors))
}

#[test]
fn a_student_after_a_step_of_training() {
    let case = case("d_model_stage2.safetensors");
    let student = student(tensors(&case, "after_step."), &case);
    check("d_model_stage2", &student, &case, "out.eval_single");
}

#[test]
fn a_checkpoint_of_the_published_training() {
    let case = case("d_ckpt_stage2.expected.safetensors");
    let path = case.directory.join("d_ckpt_stage2.pth");
    let student = student(Published::read(path).expect("a checkpoint"), &case);
    check("d_ckpt_stage2", &student, &case, "out.eval_single");
}
