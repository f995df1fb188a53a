//! Packed models of random weights, on each instruction set of the machine: one image on one thread,
//! and one and eight images of DeiT-S on one and two.
//!
//! `cargo bench -p gsb-benches --bench packed`

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gsb_packed::{Image, Isa, PackedConfig, PackedFile, PackedModel, PackedNetwork, Random};
use rayon::{ThreadPool, ThreadPoolBuilder};

const BATCH: usize = 8;

fn deit_tiny() -> PackedConfig {
    PackedConfig {
        width: 192,
        heads: 3,
        mlp_width: 768,
        ..PackedConfig::deit_small(1000)
    }
}

fn model(config: &PackedConfig, isa: Isa) -> PackedModel {
    let network = PackedNetwork::random(config, 1).expect("a possible configuration");
    PackedModel::with_isa(PackedFile::unnamed(network), isa)
        .expect("an instruction set of the machine")
}

fn single(criterion: &mut Criterion) {
    let models = [
        ("micro", PackedConfig::micro()),
        ("deit tiny", deit_tiny()),
        ("deit small", PackedConfig::deit_small(1000)),
    ];
    for (name, config) in models {
        let mut group = criterion.benchmark_group(format!("packed {name}, batch 1"));
        group.sample_size(20);
        let pixels = Random::new(2).image(&config);
        let mut logits = vec![0.0; config.classes];
        for isa in Isa::available() {
            let model = model(&config, isa);
            let mut scratch = model.scratch();
            group.bench_function(isa.name(), |bencher| {
                bencher.iter(|| {
                    let image = Image::from(&pixels);
                    let done = model.logits_into(image, &mut scratch, &mut logits);
                    done.expect("an image of the model's size");
                });
            });
        }
    }
}

fn shared(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("packed deit small, batch 1, shared");
    group.sample_size(20);
    let config = PackedConfig::deit_small(1000);
    let pixels = Random::new(2).image(&config);
    let mut logits = vec![0.0; config.classes];
    for isa in Isa::available() {
        let model = model(&config, isa);
        for threads in [1, 2] {
            let mut scratch = model.shared_scratch(threads);
            let mut classify = || {
                let done = model.logits_into(Image::from(&pixels), &mut scratch, &mut logits);
                done.expect("an image of the model's size");
            };
            let pool = pool(threads);
            group.bench_function(format!("{isa}, threads {threads}"), |bencher| {
                pool.install(|| bencher.iter(&mut classify));
            });
        }
    }
}

fn batch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("packed deit small, batch {BATCH}"));
    group.sample_size(10);
    group.throughput(Throughput::Elements(BATCH as u64));
    let config = PackedConfig::deit_small(1000);
    let mut random = Random::new(2);
    let pixels: Vec<Vec<u8>> = (0..BATCH).map(|_| random.image(&config)).collect();
    let images: Vec<Image> = pixels.iter().map(Image::from).collect();
    for isa in Isa::available() {
        let model = model(&config, isa);
        for threads in [1, 2] {
            let pool = pool(threads);
            group.bench_function(format!("{isa}, threads {threads}"), |bencher| {
                let classify = || model.logits_batch(&images).expect("images of its size");
                pool.install(|| bencher.iter(classify));
            });
        }
    }
}

fn pool(threads: usize) -> ThreadPool {
    let builder = ThreadPoolBuilder::new().num_threads(threads);
    builder.build().expect("threads")
}

criterion_group!(benches, single, shared, batch);
criterion_main!(benches);
