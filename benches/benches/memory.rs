//! Peak memory of forward and backward, beyond what is held before: custom and plain operations.

use burn::Tensor;
use burn::tensor::Device;
use gsb_benches as plain;
use gsb_benches::{
    ATTENTION, BATCH, HEADS, HIDDEN, TOKENS, VALUE, WEIGHT, WIDTH, given_gradient, leaf, normal,
    probabilities,
};
use gsb_core::binarize::ThresholdScope;
use gsb_core::nn::{Stage1BlockConfig, Stage2BlockConfig};
use gsb_core::ops::{self, Levels, Superposed, Superposition};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// MiB at the peak of `run` beyond those before it, once what stays behind is there.
fn peak<R>(run: impl Fn() -> R) -> f32 {
    drop(run());
    let before = ALLOCATOR.current_usage_as_mb();
    ALLOCATOR.reset_peak_usage();
    drop(run());
    ALLOCATOR.peak_usage_as_mb() - before
}

fn row<R>(name: &str, custom: impl Fn() -> R, plain: impl Fn() -> R) {
    let (custom, plain) = (peak(custom), peak(plain));
    println!(
        "{name:<14} {custom:>8.1} {plain:>8.1} {:>6.2}",
        plain / custom
    );
}

fn binarizer<const D: usize>(
    name: &str,
    x: Tensor<D>,
    scales: &[f32],
    custom: impl Fn(Tensor<D>, Tensor<1>) -> Tensor<D>,
    plain: impl Fn(Tensor<D>, Tensor<1>) -> Tensor<D>,
) {
    let upstream = normal(x.dims());
    let scales = Tensor::<1>::from_floats(scales, &Device::flex().autodiff());
    let run = |f: &dyn Fn(Tensor<D>, Tensor<1>) -> Tensor<D>| {
        let (x, scales) = (leaf(&x), leaf(&scales));
        let y = f(x.clone(), scales.clone());
        let grads = given_gradient(y, upstream.clone()).backward();
        (x.grad(&grads), scales.grad(&grads))
    };
    row(name, || run(&custom), || run(&plain));
}

fn main() {
    println!(
        "{:<14} {:>8} {:>8} {:>6}",
        "MiB", "custom", "plain", "ratio"
    );
    let spec = |kind| Superposition::paper(kind, ThresholdScope::Sample);
    let scales = [0.8, 2.0, 3.0];
    binarizer(
        "weight",
        normal(WEIGHT),
        &[1.0],
        |w, _| ops::binarize_weight(w, None),
        |w, _| plain::weight(w),
    );
    let custom = |x, scale| ops::quantize(x, scale, Levels::signed(1));
    binarizer("signed", normal(VALUE), &[0.8], custom, plain::signed);
    let custom = |x, scale| ops::quantize(x, scale, Levels::unsigned(1));
    binarizer("unsigned", normal(HIDDEN), &[0.8], custom, plain::unsigned);
    let custom = |x, scales| ops::superpose(x, scales, &spec(Superposed::Attention));
    binarizer(
        "attention",
        probabilities(ATTENTION),
        &scales,
        custom,
        plain::attention,
    );
    let custom = |x, scales| ops::superpose(x, scales, &spec(Superposed::Value));
    binarizer("value", normal(VALUE), &scales, custom, plain::value);

    let x = normal([BATCH, TOKENS, WIDTH]);
    let block = Stage1BlockConfig::new(WIDTH, HEADS, 4 * WIDTH).init(&x.device());
    let custom = || block.forward(leaf(&x)).sum().backward();
    row("stage 1 block", custom, || {
        plain::stage1(&block, leaf(&x)).sum().backward()
    });
    let block = Stage2BlockConfig::new(WIDTH, HEADS, TOKENS, 4 * WIDTH)
        .init(&x.device())
        .calibrate(&x);
    let custom = || block.forward(leaf(&x)).sum().backward();
    row("stage 2 block", custom, || {
        plain::stage2(&block, leaf(&x)).sum().backward()
    });
}
