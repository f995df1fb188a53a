//! Every instruction set gives the same bits, and so does any number of threads.

mod common;

use common::{KINDS, Kind, config, model, network, trace};
use proptest::prelude::*;
use proptest::sample::select;

use gsb_packed::{Image, Isa, PackedConfig, PackedModel, Random};

/// Networks of a test: all kinds many times, few where an interpreter runs them.
const CASES: u32 = if cfg!(miri) { 1 } else { 48 };

/// As trained, the third group within the second, and the other way round.
const THRESHOLDS: [[f32; 3]; 3] = [
    PackedModel::TRAINED_THRESHOLDS,
    [0.8, 0.3, 0.6],
    [1.2, 0.9, 0.2],
];

/// Otherwise the other tests would pass without any kernels but the scalar ones.
#[test]
fn those_of_the_target_are_available() {
    let available: Vec<Isa> = Isa::available().collect();
    assert_eq!(available.last(), Some(&Isa::Scalar));
    for (isa, expected) in [
        (Isa::Neon, cfg!(target_arch = "aarch64")),
        (Isa::Simd128, cfg!(target_feature = "simd128")),
    ] {
        assert_eq!(available.contains(&isa), expected, "{isa}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn all_decide_alike(seed: u64, kind in select(&KINDS)) {
        let config = config(seed);
        let network = network(&config, seed, kind);
        let image = Random::new(seed).image(&config);
        let expected = trace(&model(&network, Isa::Scalar), &image);
        for isa in Isa::available() {
            let found = trace(&model(&network, isa), &image);
            let blocks = found.blocks.iter().zip(&expected.blocks);
            for (index, (found, expected)) in blocks.enumerate() {
                prop_assert!(found == expected, "{isa}, block {index} of {config:?}");
            }
            prop_assert_eq!(found, expected.clone(), "{}, {:?}", isa, config);
        }
    }

    /// A trace multiplies planes where a prediction may multiply lists, and does more of the last block.
    #[test]
    fn sparse_and_dense_groups_agree(
        seed: u64,
        kind in select(&KINDS),
        thresholds in select(&THRESHOLDS),
    ) {
        let config = config(seed);
        let network = network(&config, seed, kind);
        let image = Random::new(seed).image(&config);
        for isa in Isa::available() {
            let mut model = model(&network, isa);
            // Levels have none.
            if config.attention_bits == 1 {
                model.set_attention_thresholds(thresholds).unwrap();
            }
            let trace = trace(&model, &image);
            let mut logits = trace.class_logits.clone();
            for (logit, other) in logits.iter_mut().zip(&trace.distillation_logits) {
                *logit = (*logit + other) / 2.0;
            }
            let prediction = model.predict(&image).unwrap();
            prop_assert_eq!(prediction.logits(), logits, "{}, {:?}", isa, config);
        }
    }
}

/// Whole networks, each way to multiply in a process of its own, as it is chosen there.
// Others have one way, and where they are emulated no process could be started.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[test]
fn every_way_to_multiply_decides_alike() {
    for product in ["plain", "threes", "tiles"] {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "all_decide_alike",
                "sparse_and_dense_groups_agree",
            ])
            .args(["a_full_size_network_decides_alike", "--test-threads", "1"])
            .env("GSB_FORCE_PRODUCT", product)
            .env_remove("RUST_TEST_NOCAPTURE")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        let missing = product == "tiles" && told.contains("not available on this machine");
        assert!(
            missing || (output.status.success() && told.contains("3 passed")),
            "{product}: {told}"
        );
    }
}

#[test]
fn a_full_size_network_decides_alike() {
    let config = PackedConfig {
        depth: 2,
        ..PackedConfig::deit_small(10)
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    /// Shared memory, whether or not there are as many threads.
    #[test]
    fn parts_decide_as_the_whole(seed: u64, kind in select(&KINDS), threads in 2usize..8) {
        let config = config(seed);
        let network = network(&config, seed, kind);
        let mut random = Random::new(seed);
        let bytes: Vec<Vec<u8>> = (0..2).map(|_| random.image(&config)).collect();
        let floats: Vec<f32> = (0..config.pixels()).map(|_| random.normal()).collect();
        let mut images: Vec<Image> = bytes.iter().map(Image::from).collect();
        images.push(Image::Normalized(&floats));
        for isa in Isa::available() {
            let model = model(&network, isa);
            let mut alone = model.scratch();
            let mut shared = model.shared_scratch(threads);
            prop_assert!(shared.threads() <= threads);
            let mut logits = vec![0.0; config.classes];
            let mut expected = logits.clone();
            for &image in &images {
                model.logits_into(image, &mut alone, &mut expected).unwrap();
                model.logits_into(image, &mut shared, &mut logits).unwrap();
                prop_assert_eq!(&logits, &expected, "{}, {} threads, {:?}", isa, threads, config);
            }
        }
    }
}

#[test]
fn a_full_size_image_is_shared() {
    let config = PackedConfig {
        depth: 2,
        ..PackedConfig::deit_small(10)
    };
    for kind in [Kind::Plain, Kind::Uniform, Kind::Fresh] {
        let network = network(&config, 3, kind);
        let image = Random::new(4).image(&config);
        for isa in Isa::available() {
            let model = model(&network, isa);
            let expected = model.predict(&image).unwrap();
            for threads in [2, 3, 16] {
                let mut scratch = model.shared_scratch(threads);
                assert_eq!(scratch.threads(), threads);
                let mut logits = vec![0.0; config.classes];
                let image = Image::Bytes(&image);
                model.logits_into(image, &mut scratch, &mut logits).unwrap();
                assert_eq!(
                    logits,
                    expected.logits(),
                    "{isa}, {kind:?}, {threads} threads"
                );
            }
        }
    }
}

// WebAssembly has no threads.
#[cfg(all(feature = "rayon", not(target_family = "wasm")))]
#[test]
fn threads_make_no_difference() {
    use gsb_packed::{PackedFile, PackedNetwork};

    let network = PackedNetwork::random(&PackedConfig::micro(), 5).unwrap();
    let model = PackedModel::new(PackedFile::unnamed(network)).unwrap();
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
