//! Milliseconds from a file of DeiT-S to its first prediction, on one thread: `opening FILE [BITS]`. A process
//! opens it once; it writes the file, of random weights and with attention shifts of 8, 16 or 32 bits, if there is none.

use std::path::Path;
use std::time::Instant;

use gsb_packed::{
    Image, PackedConfig, PackedFile, PackedModel, PackedNetwork, Random, ShiftStorage,
};

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let path = std::env::args().nth(1).ok_or("opening FILE [BITS]")?;
    if !Path::new(&path).exists() {
        let network = PackedNetwork::random(&PackedConfig::deit_small(1000), 1)?;
        let storage = match std::env::args().nth(2).as_deref() {
            Some("8") => ShiftStorage::I8,
            Some("16") => ShiftStorage::F16,
            _ => ShiftStorage::F32,
        };
        PackedFile::unnamed(network).write(&path, storage)?;
        return Ok(());
    }
    let image = Random::new(2).image(&PackedConfig::deit_small(1000));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    pool.install(|| {
        let start = Instant::now();
        let model = PackedModel::open(&path)?;
        let opened = start.elapsed();
        let mut logits = vec![0.0; model.config().classes];
        model.logits_into(Image::from(&image), &mut model.scratch(), &mut logits)?;
        let predicted = start.elapsed();
        let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1e3;
        println!(
            "opened in {:.1} ms, predicted after {:.1} ms, first logit {}",
            milliseconds(opened),
            milliseconds(predicted),
            logits[0]
        );
        Ok(())
    })
}
