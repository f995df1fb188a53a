//! Whole models of DeiT-S at 224 pixels in evaluation: the float teacher and the students, one image
//! and eight.

use burn::Tensor;
use burn::tensor::{Device, Distribution};
use criterion::{Criterion, criterion_group, criterion_main};
use gsb_vit::VitConfig;

fn models(criterion: &mut Criterion) {
    let device = Device::flex();
    let config = VitConfig::preset("deit_small_distilled_patch16_224", 1000).expect("a preset");
    let images = |batch| {
        let shape = [batch, 3, config.image_size, config.image_size];
        Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device)
    };
    let teacher = config.init_teacher(&device).expect("a model");
    let stage1 = config.init_stage1(&device).expect("a model");
    let stage2 = config.init_stage2(&device).expect("a model");
    let stage2 = stage2.calibrate(&images(2));
    let models: [(&str, &dyn Fn(Tensor<4>) -> Tensor<2>); 3] = [
        ("teacher", &|x| teacher.infer(x)),
        ("stage 1", &|x| stage1.infer(x)),
        ("stage 2", &|x| stage2.infer(x)),
    ];
    // `RAYON_NUM_THREADS` sets the number of threads, for matrix products too.
    for batch in [1, 8] {
        let mut group = criterion.benchmark_group(format!("deit small, batch {batch}"));
        group.sample_size(10);
        let x = images(batch);
        for (name, infer) in &models {
            group.bench_function(*name, |bencher| bencher.iter(|| infer(x.clone())));
        }
    }
}

criterion_group!(benches, models);
criterion_main!(benches);
