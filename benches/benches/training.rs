//! Whole training steps of both stages: forward pass and loss, backward pass, optimizer, and the peak
//! of the memory that lives during them. Medians of a few steps; the teacher's logits are given.
//!
//! `RAYON_NUM_THREADS` sets the number of threads. An argument chooses the cases whose name contains
//! it, `STEPS` the number of steps measured, `PRODUCTS` what is multiplied: `float`, `bfloat16`,
//! `bfloat16x3` or `bfloat16x6`.

use std::time::Instant;

use burn::Tensor;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Int};
use gsb_core::distill::{DistillationLossConfig, Targets};
use gsb_cpu::{Products, on_worker, with_products};
use gsb_train::OptimizerConfig;
use gsb_vit::{Classifier, Model, VitConfig};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const RATE: f64 = 5e-4;

fn main() {
    let name = std::env::var("PRODUCTS").unwrap_or_else(|_| Products::Float.to_string());
    let mut all = Products::ALL.into_iter();
    let products = all.find(|products| products.as_str() == name);
    let products = products.expect("PRODUCTS is one of float, bfloat16, bfloat16x3, bfloat16x6");
    if let Err(missing) = with_products(products, || on_worker(run)) {
        println!("{missing}");
    }
}

fn run() {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    println!(
        "{:<28} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "ms (medians)", "forward", "backward", "optimizer", "step", "best", "peak MiB"
    );
    let device = Device::flex().autodiff();
    device.seed(1);
    let small = VitConfig::preset("deit_small_distilled_patch16_224", 1000).expect("a preset");
    let cases = [
        ("micro", VitConfig::micro(), 16, 200),
        ("micro", VitConfig::micro(), 64, 100),
        ("deit small", small, 8, 9),
    ];
    let steps = std::env::var("STEPS")
        .ok()
        .and_then(|steps| steps.parse().ok());
    for (name, config, batch, usual) in cases {
        let steps = steps.unwrap_or(usual);
        let images = images(&config, batch, &device);
        let wanted = |stage: u8| {
            let name = format!("{name}, batch {batch}, stage {stage}");
            let wanted = filter.as_ref().is_none_or(|part| name.contains(part));
            wanted.then_some(name)
        };
        if let Some(name) = wanted(1) {
            let student = config.init_stage1(&device).expect("a student");
            measure(&name, student, &images, steps);
        }
        if let Some(name) = wanted(2) {
            let student = config.init_stage2(&device).expect("a student");
            measure(&name, student.calibrate(&images), &images, steps);
        }
    }
}

fn images(config: &VitConfig, batch: usize, device: &Device) -> Tensor<4> {
    let shape = [batch, config.channels, config.image_size, config.image_size];
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// Prints the medians of the parts of a step, the first step not counted.
fn measure<M: Model + Classifier>(name: &str, mut model: M, images: &Tensor<4>, steps: usize) {
    let device = images.device();
    let (batch, classes) = (images.dims()[0], model.config().classes);
    let teacher = Tensor::<2>::random([batch, classes], Distribution::Normal(0.0, 1.0), &device);
    let labels = Tensor::<1, Int>::arange(0..batch as i64, &device) % classes as i64;
    let loss = DistillationLossConfig::new().init().expect("a loss");
    let mut optimizer = OptimizerConfig::new().init(&model);
    let mut parts: [Vec<f64>; 4] = Default::default();
    for step in 0..=steps {
        if step == 1 {
            ALLOCATOR.reset_peak_usage();
        }
        let start = Instant::now();
        let targets = Targets::Labels(labels.clone());
        let terms = loss
            .forward(
                model.forward(images.clone()),
                Some(teacher.clone()),
                targets,
            )
            .expect("a teacher and two heads");
        let forward = start.elapsed();
        let grads = GradientsParams::from_grads(terms.total.backward(), &model);
        let backward = start.elapsed();
        model = optimizer.step(RATE, model, grads);
        let end = start.elapsed();
        if step > 0 {
            let times = [forward, backward - forward, end - backward, end];
            for (part, time) in parts.iter_mut().zip(times) {
                part.push(time.as_secs_f64() * 1e3);
            }
        }
    }
    let best = parts[3].iter().copied().fold(f64::INFINITY, f64::min);
    let [forward, backward, optimizer, step] = parts.map(median);
    println!(
        "{name:<28} {forward:>9.2} {backward:>9.2} {optimizer:>9.2} {step:>9.2} {best:>9.2} {:>9.0}",
        ALLOCATOR.peak_usage_as_mb()
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
