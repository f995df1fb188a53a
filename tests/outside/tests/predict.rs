//! From a student's checkpoint to a prediction, as in the README.

use std::error::Error;
use std::path::Path;

use gsb::burn::tensor::{Distribution, Tensor};
use gsb::prelude::*;

/// A student whose scales come from random images, in the place of a trained one.
fn save_student(path: &Path) -> Result<(), Box<dyn Error>> {
    let device = Device::default();
    let images = Tensor::<4>::random([4, 3, 32, 32], Distribution::Normal(0.0, 1.0), &device);
    let config = VitConfig::new(32, 10)
        .with_width(64)
        .with_heads(2)
        .with_depth(2);
    let student = config.init_stage2(&device)?.calibrate(&images);
    gsb::vit::checkpoint::save(&student, path)?;
    Ok(())
}

/// A colour gradient, larger than the student's images.
fn save_picture(path: &Path) -> std::io::Result<()> {
    let pixel = |at: usize| [(at % 48 * 5) as u8, (at / 48 * 6) as u8, 90];
    let pixels: Vec<u8> = (0..48 * 40).flat_map(pixel).collect();
    std::fs::write(path, [&b"P6 48 40 255\n"[..], &pixels].concat())
}

#[test]
fn a_checkpoint_becomes_a_prediction() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let [checkpoint, packed, picture] =
        ["student.bpk", "student.safetensors", "picture.ppm"].map(|name| folder.join(name));
    save_student(&checkpoint)?;
    save_picture(&picture)?;

    let student = Stage2Student::load(&checkpoint, &Device::default())?;
    pack(&student, PackOptions::default())?.save(&packed)?;
    let model = PackedModel::open(&packed)?;
    let ranking = model.predict_file(&picture)?.top(5);
    for ranked in &ranking {
        let name = &model.class_names()[ranked.class];
        println!("{name} {:.1} %", 100.0 * ranked.probability);
    }

    assert_eq!(ranking.len(), 5);
    let probabilities: Vec<_> = ranking.iter().map(|ranked| ranked.probability).collect();
    assert!(probabilities.is_sorted_by(|a, b| a >= b));
    assert!(probabilities[0] > 0.1 && probabilities.iter().sum::<f32>() < 1.0);
    Ok(())
}
