//! A model of any sizes and any finite numbers predicts, and all instruction sets give the same bits.
#![no_main]

use gsb_packed::{PackedConfig, Isa, PackedNetwork, PackedFile, PackedModel, Random, ShiftStorage, ThresholdScope};
use libfuzzer_sys::Corpus;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| -> Corpus {
    match run(bytes) {
        Some(()) => Corpus::Keep,
        None => Corpus::Reject,
    }
});

/// The first bytes are sizes, the others replace values of the file of a network of these sizes.
fn run(bytes: &[u8]) -> Option<()> {
    let (&[a, b, c, d, e, f, g, h], values) = bytes.split_first_chunk()?;
    let below = |byte: u8, bound: usize| usize::from(byte) % bound;
    let (patch_size, heads) = (1 + below(a, 5), 1 + below(b, 4));
    let config = PackedConfig {
        image_size: patch_size * (1 + usize::from(a) / 5 % 7),
        patch_size,
        channels: 1 + below(c, 3),
        classes: 1 + usize::from(c) / 3 % 20,
        width: heads * (1 + usize::from(b) / 4),
        depth: 1 + below(d, 2),
        heads,
        mlp_width: 1 + usize::from(e),
        distillation_token: f & 1 == 1,
        attention_groups: [1, 2, 3, 1][below(f >> 1, 4)],
        attention_bits: [1, 1, 1, 2][below(f >> 1, 4)],
        value_groups: 1 + below(f >> 4, 3),
        scope: [ThresholdScope::Sample, ThresholdScope::Row][below(d >> 1, 2)],
        head_bits: 1 + g % 8,
        patch_bits: 1 + (g >> 3) % 8,
        norm_epsilon: if g >> 7 == 1 { 0.0 } else { 1e-12 },
    };
    let storage = [ShiftStorage::F32, ShiftStorage::F16, ShiftStorage::I8][below(h, 3)];
    let network = PackedNetwork::random(&config, h.into()).expect("possible sizes");
    let mut file = PackedFile::unnamed(network)
        .to_bytes(storage)
        .expect("a sound network");
    let header = 8 + u64::from_le_bytes(*file.first_chunk()?) as usize;
    // Two bytes of a place, relative to what is left, and four of a value, which most tensors hold.
    for edit in values.as_chunks::<6>().0 {
        let words = (file.len() - header) / 4;
        let place = usize::from(u16::from_le_bytes([edit[0], edit[1]])) * words >> 16;
        file[header + 4 * place..][..4].copy_from_slice(&edit[2..]);
    }
    // Refused: not finite, padding that is not 0, or scales too far apart.
    let packed = PackedFile::from_bytes(&file).ok()?;
    let image = Random::new(h.into()).image(&config);
    let bits = |isa| {
        let model = PackedModel::with_isa(packed.clone(), isa).expect("a sound network");
        let prediction = model.predict(&image).expect("an image of the model's size");
        let bits = prediction
            .logits()
            .iter()
            .map(|logit| match logit.is_nan() {
                // It has many bit patterns and one meaning.
                true => 0,
                false => logit.to_bits(),
            });
        bits.collect::<Vec<u32>>()
    };
    let expected = bits(Isa::Scalar);
    for isa in Isa::available() {
        assert_eq!(bits(isa), expected, "{isa}, {config:?}");
    }
    Some(())
}
