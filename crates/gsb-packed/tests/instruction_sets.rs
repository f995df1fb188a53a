//! Every instruction set gives the same bits, and so does any number of threads.

mod common;

use common::{KINDS, Kind, config, model, network, trace};
use gsb_packed::{Config, Image, Isa, Network, Packed, PackedModel, Random};

#[test]
fn all_decide_alike() {
    for seed in 0..30 {
        let config = config(seed);
        let kind = KINDS[seed as usize % KINDS.len()];
        let network = network(&config, seed, kind);
        let image = Random::new(seed).image(&config);
        let expected = trace(&model(&network, Isa::Scalar), &image);
        for isa in Isa::available() {
            let model = model(&network, isa);
            let found = trace(&model, &image);
            for (index, (found, expected)) in found.blocks.iter().zip(&expected.blocks).enumerate()
            {
                assert!(
                    found == expected,
                    "{isa}, seed {seed}, {kind:?}, block {index} of {config:?}"
                );
            }
            assert_eq!(found, expected, "{isa}, seed {seed}, {kind:?}, {config:?}");
        }
    }
}

/// A trace multiplies planes where a prediction may multiply lists, and does more of the last block.
#[test]
fn sparse_and_dense_groups_agree() {
    for seed in 0..30 {
        let config = config(seed);
        let kind = KINDS[seed as usize % KINDS.len()];
        let network = network(&config, seed, kind);
        let image = Random::new(seed).image(&config);
        for isa in Isa::available() {
            let model = model(&network, isa);
            let trace = trace(&model, &image);
            let mut logits = trace.class_logits.clone();
            for (logit, other) in logits.iter_mut().zip(&trace.distillation_logits) {
                *logit = (*logit + other) / 2.0;
            }
            let prediction = model.predict(&image).unwrap();
            assert_eq!(
                prediction.logits(),
                logits,
                "{isa}, seed {seed}, {kind:?}, {config:?}"
            );
        }
    }
}

#[test]
fn a_full_size_network_decides_alike() {
    let config = Config {
        depth: 2,
        ..Config::deit_small(10)
    };
    for kind in [Kind::Plain, Kind::Uniform] {
        let network = network(&config, 3, kind);
        let image = Random::new(4).image(&config);
        let expected = model(&network, Isa::Scalar).predict(&image).unwrap();
        for isa in Isa::available() {
            let found = model(&network, isa).predict(&image).unwrap();
            assert_eq!(found, expected, "{isa}, {kind:?}");
        }
    }
}

#[cfg(feature = "rayon")]
#[test]
fn threads_make_no_difference() {
    let network = Network::random(&Config::micro(), 5).unwrap();
    let model = PackedModel::new(Packed::unnamed(network)).unwrap();
    let mut random = Random::new(6);
    let images: Vec<Vec<u8>> = (0..9).map(|_| random.image(model.config())).collect();
    let images: Vec<Image> = images.iter().map(Image::from).collect();
    let alone: Vec<f32> = images
        .iter()
        .flat_map(|&image| model.predict(image).unwrap().logits().to_vec())
        .collect();
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        assert_eq!(pool.install(|| model.logits_batch(&images).unwrap()), alone);
    }
}
