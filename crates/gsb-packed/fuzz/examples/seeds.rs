//! Writes small packed files of all kinds to a folder, for the fuzzer to begin with: `seeds FOLDER`.

use gsb_packed::{PackedConfig, PackedNetwork, PackedFile, ShiftStorage, ThresholdScope};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: seeds FOLDER")?;
    std::fs::create_dir_all(&folder)?;
    for (index, storage) in [ShiftStorage::F32, ShiftStorage::F16, ShiftStorage::I8]
        .into_iter()
        .enumerate()
    {
        let config = PackedConfig {
            image_size: 4,
            patch_size: 2,
            classes: 3,
            width: 6,
            depth: 1,
            heads: 2,
            mlp_width: 5,
            distillation_token: index == 0,
            attention_groups: 1 + index,
            value_groups: 3 - index,
            scope: [
                ThresholdScope::Batch,
                ThresholdScope::Sample,
                ThresholdScope::Row,
            ][index],
            head_bits: [8, 4, 1][index],
            patch_bits: [1, 8, 5][index],
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
