//! Networks of all kinds.
#![allow(dead_code)] // Each test uses some of it.

pub mod counting;
pub mod sealed;

use gsb_packed::{
    Image, Isa, PackedConfig, PackedFile, PackedModel, PackedNetwork, Random, SignMatrix,
    ThresholdScope, Trace,
};

/// A small configuration of a seed, with sizes that fill nothing evenly.
pub fn config(seed: u64) -> PackedConfig {
    let mut random = Random::new(seed);
    let heads = 1 + random.below(4);
    let head_width = [1, 5, 16, 21, 32, 33, 48, 64, 70, 130][random.below(10)];
    let patch_size = 1 + random.below(5);
    let mut config = PackedConfig {
        image_size: patch_size * (1 + random.below(7)),
        patch_size,
        channels: 1 + random.below(3),
        classes: 1 + random.below(20),
        width: heads * head_width,
        depth: 1 + random.below(3),
        heads,
        mlp_width: 1 + random.below(200),
        distillation_token: random.below(2) == 1,
        attention_groups: 1 + random.below(3),
        attention_bits: 1,
        value_groups: 1 + random.below(3),
        scope: [
            ThresholdScope::Batch,
            ThresholdScope::Sample,
            ThresholdScope::Row,
        ][random.below(3)],
        head_bits: [8, 8, 1, 4][random.below(4)],
        patch_bits: [8, 8, 1, 5][random.below(4)],
        norm_epsilon: 1e-12,
    };
    if random.below(4) == 0 {
        (config.attention_groups, config.attention_bits) = (1, 2);
    }
    config.validate().expect("sizes that go together");
    config
}

/// What a network may look like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// As after training.
    Plain,
    /// Biases and shifts of 0, as before training: ties everywhere.
    Fresh,
    /// An attention that is nearly uniform.
    Uniform,
    /// Scores so far apart that exponentials vanish.
    Sharp,
    /// Values that are nearly all of the same magnitude.
    Flat,
    /// Weights of 0.
    Zeros,
}

pub const KINDS: [Kind; 6] = [
    Kind::Plain,
    Kind::Fresh,
    Kind::Uniform,
    Kind::Sharp,
    Kind::Flat,
    Kind::Zeros,
];

/// A random network of a kind.
pub fn network(config: &PackedConfig, seed: u64, kind: Kind) -> PackedNetwork {
    let mut network = PackedNetwork::random(config, seed).expect("a valid configuration");
    let mut random = Random::new(seed);
    for block in &mut network.blocks {
        let attention = &mut block.attention;
        match kind {
            Kind::Plain => {}
            Kind::Fresh => {
                for linear in [
                    &mut attention.qkv,
                    &mut attention.output,
                    &mut block.fc1,
                    &mut block.fc2,
                ] {
                    linear.bias.fill(0.0);
                    linear.input_shift.fill(0.0);
                }
                for shift in [
                    &mut attention.query_shift,
                    &mut attention.key_shift,
                    &mut attention.value_shift,
                ] {
                    shift.fill(0.0);
                }
                attention.attention_shift.fill(0.0);
            }
            Kind::Uniform => {
                attention.query_scale = 1e-3;
                attention
                    .attention_shift
                    .iter_mut()
                    .for_each(|shift| *shift *= 1e-3);
            }
            Kind::Sharp => attention.query_scale = 60.0,
            Kind::Flat => {
                attention.qkv.weight_scale = vec![1e-4];
                attention.qkv.bias.fill(0.0);
                for shift in &mut attention.value_shift {
                    *shift = shift.signum();
                }
            }
            Kind::Zeros => {
                for linear in [
                    &mut attention.qkv,
                    &mut attention.output,
                    &mut block.fc1,
                    &mut block.fc2,
                ] {
                    let (rows, columns) = (linear.weight.rows(), linear.weight.columns());
                    let mut signs = |at: usize| match random.below(9) {
                        0 => 0.0,
                        _ => f32::from(linear.weight.sign(at / columns, at % columns)),
                    };
                    let values: Vec<f32> = (0..rows * columns).map(&mut signs).collect();
                    linear.weight =
                        SignMatrix::from_values(rows, columns, &values).expect("as many");
                }
            }
        }
    }
    network
}

/// A model for an instruction set.
pub fn model(network: &PackedNetwork, isa: Isa) -> PackedModel {
    PackedModel::with_isa(PackedFile::unnamed(network.clone()), isa).expect("a valid network")
}

/// The trace of an image.
pub fn trace(model: &PackedModel, image: &[u8]) -> Trace {
    model
        .trace(Image::Bytes(image))
        .expect("an image of the right size")
}
