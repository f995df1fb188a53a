//! Predictions without an operating system, as in a browser: neither files nor threads nor a clock.
//! `.ci/packed` runs it for `wasm32-unknown-unknown`, where nothing can be printed: the exit code says
//! whether every instruction set gives the same logits, one by one and as a batch, and whether their sum is that of any
//! machine.

use std::process::ExitCode;

use gsb_packed::{
    Error, Image, Isa, PackedConfig, PackedFile, PackedModel, PackedNetwork, Random, ShiftStorage,
};

fn main() -> ExitCode {
    match agree() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// The sum of the logits, added up in order, on every machine and by every instruction set.
const SUM: f32 = -0.0074792206;

/// Whether all predictions of a file's bytes are the same.
fn agree() -> Result<bool, Error> {
    let packed = PackedFile::unnamed(PackedNetwork::random(&PackedConfig::micro(), 1)?);
    let bytes = packed.to_bytes(ShiftStorage::I8)?;
    let image = Random::new(2).image(&packed.network.config);
    // As floats, of which the file has levels.
    let floats = PackedFile::from_bytes(&bytes)?;
    let expected = PackedModel::new(floats)?.predict(&image)?;
    let mut agree = expected.logits().iter().sum::<f32>() == SUM;
    // That of `Isa::detect` first.
    let mut models = vec![PackedModel::from_bytes(&bytes)?];
    for isa in Isa::available() {
        models.push(PackedModel::with_isa(PackedFile::from_bytes(&bytes)?, isa)?);
    }
    for model in models {
        let (mut scratch, mut logits) = (model.scratch(), vec![0.0; model.config().classes]);
        let image = Image::from(&image);
        model.logits_into(image, &mut scratch, &mut logits)?;
        agree &= logits == expected.logits();
        agree &= model.logits_batch(&[image; 2])? == [logits.clone(), logits].concat();
    }
    Ok(agree)
}
