//! Writes small packed files of all kinds to a folder, for the fuzzer to begin with: `seeds FOLDER`.

use gsb_packed::{PackedConfig, PackedNetwork, PackedFile, ShiftStorage, ThresholdScope};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: seeds FOLDER")?;
    std::fs::create_dir_all(&folder)?;
    let storages = [ShiftStorage::F32, ShiftStorage::F16, ShiftStorage::I8, ShiftStorage::F32];
    for (index, storage) in storages.into_iter().enumerate() {
        let config = PackedConfig {
            image_size: 4,
            patch_size: 2,
            classes: 3,
            width: 6,
            depth: 1,
            heads: 2,
            mlp_width: 5,
            distillation_token: index == 0,
            attention_groups: [1, 2, 3, 1][index],
            attention_bits: [1, 1, 1, 2][index],
            value_groups: [3, 2, 1, 3][index],
            scope: [
                ThresholdScope::Batch,
                ThresholdScope::Sample,
                ThresholdScope::Row,
                ThresholdScope::Sample,
            ][index],
            head_bits: [8, 4, 1, 2][index],
            patch_bits: [1, 8, 5, 2][index],
            ..PackedConfig::micro()
        };
        let packed = PackedFile::unnamed(PackedNetwork::random(&config, index as u64)?);
        std::fs::write(
            format!("{folder}/{index}.safetensors"),
            packed.to_bytes(storage)?,
        )?;
    }
    Ok(())
}
