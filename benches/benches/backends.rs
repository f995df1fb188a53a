//! Binarizers, encoder blocks and training steps on every backend that is built in and has a device here, in one
//! table: milliseconds, medians of a few repetitions after a warm-up, each waited for. Binarizers and blocks are also
//! measured in plain operations of Burn, as they run without kernels of their own.
//!
//! Sizes are those of DeiT-S. `GSB_BENCH_BATCH` is the number of images in a batch (1), `GSB_BENCH_SECONDS` about how
//! long a case is repeated (2). An argument chooses the cases whose name contains it.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use burn::Tensor;
use burn::optim::GradientsParams;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Distribution, Int};
use gsb_benches::{self as plain, HEADS, TOKENS, WIDTH, leaf};
use gsb_core::binarize::ThresholdScope;
use gsb_core::distill::{DistillationLossConfig, Targets};
use gsb_core::nn::{Stage1BlockConfig, Stage2BlockConfig};
use gsb_core::ops::{self, Levels, Superposed, Superposition};
use gsb_cpu::on_worker;
use gsb_train::{DeviceName, OptimizerConfig};
use gsb_vit::{Classifier, Model, VitConfig};

fn main() {
    on_worker(run);
}

fn run() {
    let settings = Settings::from_environment();
    let backends: Vec<(DeviceName, Device)> = DeviceName::AVAILABLE
        .iter()
        .filter_map(|&name| match name.open() {
            Ok(device) => Some((name, device.autodiff())),
            Err(error) => {
                eprintln!("{error}");
                None
            }
        })
        .collect();
    let mut columns = Vec::new();
    for (name, device) in &backends {
        println!("{name}: {device:?}");
        columns.push(cases(device, &settings));
    }
    println!("\n{}", table(&backends, &columns));
}

/// The table in Markdown: a row for each case, a column for each backend.
fn table(backends: &[(DeviceName, Device)], columns: &[Vec<(String, f64)>]) -> String {
    let mut text = "| ms |".to_string();
    for (name, _) in backends {
        let _ = write!(text, " {name} |");
    }
    text += "\n| --- |";
    text += &" ---: |".repeat(backends.len());
    text.push('\n');
    for row in 0..columns.first().map_or(0, Vec::len) {
        let _ = write!(text, "| {} |", columns[0][row].0);
        for column in columns {
            let _ = write!(text, " {:.3} |", column[row].1);
        }
        text.push('\n');
    }
    text
}

struct Settings {
    batch: usize,
    time: Duration,
    filter: Option<String>,
}

impl Settings {
    fn from_environment() -> Self {
        let number = |name: &str, usual: f64| {
            let text = std::env::var(name).ok();
            text.and_then(|text| text.parse().ok()).unwrap_or(usual)
        };
        Self {
            batch: number("GSB_BENCH_BATCH", 1.0) as usize,
            time: Duration::from_secs_f64(number("GSB_BENCH_SECONDS", 2.0)),
            filter: std::env::args().skip(1).find(|arg| !arg.starts_with('-')),
        }
    }
}

/// The times of a backend.
struct Times<'a> {
    device: &'a Device,
    settings: &'a Settings,
    rows: Vec<(String, f64)>,
}

impl Times<'_> {
    /// Measures a case, unless it is left out.
    fn add(&mut self, name: &str, mut case: impl FnMut()) {
        let left_out = |part: &String| !name.contains(part.as_str());
        if self.settings.filter.as_ref().is_some_and(left_out) {
            return;
        }
        let mut once = || {
            let start = Instant::now();
            case();
            self.device.sync().expect("the device works");
            start.elapsed()
        };
        once();
        let start = Instant::now();
        let mut times = Vec::new();
        while times.len() < 3 || start.elapsed() < self.settings.time {
            times.push(once());
        }
        times.sort();
        let median = times[times.len() / 2].as_secs_f64() * 1e3;
        eprintln!("  {name}: {median:.3} ms, {} times", times.len());
        self.rows.push((name.into(), median));
    }

    /// Measures a function forward, and forward with backward.
    fn both<const D: usize>(
        &mut self,
        name: &str,
        x: &Tensor<D>,
        f: impl Fn(Tensor<D>) -> Tensor<D>,
    ) {
        let fixed = x.clone().detach();
        self.add(&format!("{name}, forward"), || drop(f(fixed.clone())));
        let weight = x.clone().detach();
        self.add(&format!("{name}, forward and backward"), || {
            drop((f(leaf(x)) * weight.clone()).sum().backward());
        });
    }
}

fn cases(device: &Device, settings: &Settings) -> Vec<(String, f64)> {
    device.seed(1);
    let batch = settings.batch;
    let mut times = Times {
        device,
        settings,
        rows: Vec::new(),
    };
    binarizers(&mut times, batch);
    let x = normal([batch, TOKENS, WIDTH], device);
    let block = Stage1BlockConfig::new(WIDTH, HEADS, 4 * WIDTH).init(device);
    times.both("stage 1 block", &x, |x| block.forward(x));
    times.both("stage 1 block, plain", &x, |x| plain::stage1(&block, x));
    let block = Stage2BlockConfig::new(WIDTH, HEADS, TOKENS, 4 * WIDTH).init(device);
    let block = block.calibrate(&x);
    times.both("stage 2 block", &x, |x| block.forward(x));
    times.both("stage 2 block, plain", &x, |x| plain::stage2(&block, x));

    let small = VitConfig::preset("deit_small_distilled_patch16_224", 1000).expect("a preset");
    for (name, config, batch) in [("micro", VitConfig::micro(), 32), ("DeiT-S", small, batch)] {
        let images = [batch, config.channels, config.image_size, config.image_size];
        let images = normal(images, device);
        let name = |stage: u8| format!("{name}, batch {batch}, step of stage {stage}");
        let student = config.init_stage1(device).expect("a student");
        step(&mut times, &name(1), student, &images);
        let student = config.init_stage2(device).expect("a student");
        step(&mut times, &name(2), student.calibrate(&images), &images);
    }
    times.rows
}

fn binarizers(times: &mut Times, batch: usize) {
    let device = times.device;
    let scales = |values: &[f32]| Tensor::<1>::from_floats(values, device).require_grad();
    let w = normal([WIDTH, 4 * WIDTH], device);
    times.both("weight", &w, |w| ops::binarize_weight(w, None));
    times.both("weight, plain", &w, plain::weight);
    let value = normal([batch, HEADS, TOKENS, WIDTH / HEADS], device);
    let scale = scales(&[0.8]);
    times.both("signed", &value, |x| {
        ops::quantize(x, scale.clone(), Levels::signed(1))
    });
    times.both("signed, plain", &value, |x| plain::signed(x, scale.clone()));
    let hidden = normal([batch, TOKENS, 4 * WIDTH], device);
    times.both("unsigned", &hidden, |x| {
        ops::quantize(x, scale.clone(), Levels::unsigned(1))
    });
    times.both("unsigned, plain", &hidden, |x| {
        plain::unsigned(x, scale.clone())
    });
    let spec = |kind| Superposition::paper(kind, ThresholdScope::Sample);
    let attention = normal([batch, HEADS, TOKENS, TOKENS], device).mul_scalar(2.0);
    let attention = softmax(attention, 3).detach();
    let groups = scales(&[0.01, 0.02, 0.03]);
    times.both("attention", &attention, |x| {
        ops::superpose(x, groups.clone(), &spec(Superposed::Attention))
    });
    times.both("attention, plain", &attention, |x| {
        plain::attention(x, groups.clone())
    });
    let groups = scales(&[0.8, 2.0, 3.0]);
    times.both("value", &value, |x| {
        ops::superpose(x, groups.clone(), &spec(Superposed::Value))
    });
    times.both("value, plain", &value, |x| plain::value(x, groups.clone()));
}

/// A training step: forward pass, hard distillation with given teacher logits, backward pass, AdamW.
fn step<M: Model + Classifier>(times: &mut Times, name: &str, model: M, images: &Tensor<4>) {
    let (batch, classes) = (images.dims()[0], model.config().classes);
    let teacher = normal([batch, classes], times.device);
    let labels = Tensor::<1, Int>::arange(0..batch as i64, times.device) % classes as i64;
    let loss = DistillationLossConfig::new().init().expect("a loss");
    let mut optimizer = OptimizerConfig::new().init(&model);
    let mut model = Some(model);
    times.add(name, || {
        let student = model.take().expect("it comes back");
        let logits = student.forward(images.clone());
        let targets = Targets::Labels(labels.clone());
        let terms = loss.forward(logits, Some(teacher.clone()), targets);
        let total = terms.expect("a teacher and two heads").total;
        let gradients = GradientsParams::from_grads(total.backward(), &student);
        model = Some(optimizer.step(1e-4, student, gradients));
    });
}

fn normal<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}
