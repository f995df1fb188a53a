//! Compare the plain binarizer with GSB over two seeds, on few digits and for few epochs.
//!
//! `cargo run --release -p gsb-examples --example ablation`. `gsb table` does the same from a shell.
//!
//! In a project of your own: `gsb = { version = "0.1", features = ["train"] }`.

use std::sync::Arc;

use gsb::binarize::{InitialScales, ThresholdScope};
use gsb::burn::tensor::Device;
use gsb::data::{TrainTransform, per_class};
use gsb::train::{Ablation, Callbacks, Devices, Recipe, RunConfig, Variant};
use gsb::vit::{Phase, VitConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut data = gsb::data::digits()?.split(0.2, 0)?;
    data.train = Arc::new(per_class(data.train, 40, 0)?);

    let normalization = data.train.normalization()?;
    let mut base = Recipe::published(VitConfig::micro(), normalization.clone(), 32);
    base.augmentation = TrainTransform::plain(8, normalization);
    for (phase, epochs) in [
        (Phase::Teacher, 20),
        (Phase::Stage1, 10),
        (Phase::Stage2, 20),
    ] {
        let settings = base.phase_mut(phase);
        settings.epochs = epochs;
        settings.schedule.lr = 2e-3;
    }

    let mut variants = Variant::published(ThresholdScope::Row, InitialScales::Residual);
    variants.retain(|variant| variant.stages == 2 && variant.distilled);
    let ablation = Ablation {
        base: RunConfig::new(base),
        variants,
        seeds: vec![0, 1],
    };
    let folder = std::env::temp_dir().join("gsb-ablation");
    let devices = Devices::Single(Device::flex());
    let table = ablation.train(
        &folder,
        &data,
        &devices,
        &Callbacks::default(),
        |all, done, next| {
            eprintln!("{done}/{all} {next}");
        },
    )?;
    println!("{}", table.to_markdown());
    Ok(())
}
