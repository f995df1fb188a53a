//! Networks so small that Miri's interpreter runs them from file to prediction: reading, the scalar
//! kernels and everything between them.

mod common;

use common::{KINDS, network};
use gsb_packed::{
    Image, Isa, PackedConfig, PackedFile, PackedModel, PackedNetwork, Random, ShiftStorage,
    ThresholdScope,
};

/// Sizes that fill nothing evenly.
fn config(seed: usize) -> PackedConfig {
    PackedConfig {
        image_size: 4,
        patch_size: 2,
        channels: 1 + seed % 2,
        classes: 3,
        width: 6,
        depth: 1,
        heads: 2,
        mlp_width: 5,
        distillation_token: seed.is_multiple_of(2),
        attention_groups: [1, 1, 2, 3, 1, 1][seed % 6],
        attention_bits: [1, 1, 1, 1, 1, 2][seed % 6],
        value_groups: 1 + (seed + 1) % 3,
        scope: [ThresholdScope::Sample, ThresholdScope::Row][seed % 2],
        head_bits: [8, 1, 4][seed % 3],
        patch_bits: [8, 5, 1][seed % 3],
        norm_epsilon: 1e-12,
    }
}

#[test]
fn files_of_all_kinds_predict() {
    // For an interpreter the last alone, whose weights have zeros.
    let skipped = if cfg!(miri) { KINDS.len() - 1 } else { 0 };
    for (seed, kind) in KINDS.into_iter().enumerate().skip(skipped) {
        let config = config(seed);
        let packed = PackedFile::unnamed(network(&config, seed as u64, kind));
        let storage = [ShiftStorage::F32, ShiftStorage::F16, ShiftStorage::I8][seed % 3];
        let bytes = packed.to_bytes(storage).unwrap();
        let read = PackedFile::from_bytes(&bytes).unwrap();
        if storage == ShiftStorage::F32 {
            assert_eq!(read, packed);
        }
        let image = Random::new(seed as u64).image(&config);
        for isa in Isa::available() {
            let model = PackedModel::with_isa(read.clone(), isa).unwrap();
            let prediction = model.predict(&image).unwrap();
            let trace = model.trace(Image::Bytes(&image)).unwrap();
            let mut logits = trace.class_logits;
            for (logit, other) in logits.iter_mut().zip(&trace.distillation_logits) {
                *logit = (*logit + other) / 2.0;
            }
            assert_eq!(prediction.logits(), logits, "{isa}, {kind:?}");
        }
        // The file itself, whose shifts may be kept as levels.
        let [of_file, of_floats] = [
            PackedModel::from_bytes(&bytes).unwrap(),
            PackedModel::new(read).unwrap(),
        ];
        let trace = |model: &PackedModel| model.trace(Image::Bytes(&image)).unwrap();
        assert_eq!(trace(&of_file), trace(&of_floats), "{kind:?}");
        let logits = |model: &PackedModel| model.predict(&image).unwrap().logits().to_vec();
        assert_eq!(logits(&of_file), logits(&of_floats), "{kind:?}");
    }
}

#[test]
fn a_file_that_is_cut_is_refused() {
    let packed = PackedFile::unnamed(PackedNetwork::random(&config(0), 1).unwrap());
    let bytes = packed.to_bytes(ShiftStorage::F32).unwrap();
    let step = if cfg!(miri) { 997 } else { 1 };
    for len in (0..bytes.len()).step_by(step) {
        assert!(
            PackedFile::from_bytes(&bytes[..len]).is_err(),
            "{len} bytes"
        );
    }
}

/// Places and bytes are random; what is left is an error or a network like any other.
#[test]
fn a_file_with_other_bytes_is_refused_or_predicts() {
    let packed = PackedFile::unnamed(PackedNetwork::random(&config(1), 1).unwrap());
    let bytes = packed.to_bytes(ShiftStorage::I8).unwrap();
    let mut random = Random::new(1);
    for _ in 0..if cfg!(miri) { 2 } else { 2_000 } {
        let mut changed = bytes.clone();
        for _ in 0..1 + random.below(3) {
            changed[random.below(bytes.len())] = random.bits() as u8;
        }
        if let Ok(packed) = PackedFile::from_bytes(&changed) {
            let model = PackedModel::with_isa(packed, Isa::Scalar).unwrap();
            let image = random.image(model.config());
            model.predict(&image).unwrap();
        }
    }
}
