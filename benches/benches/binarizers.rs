//! Forward, and forward with backward, of each binarizer at DeiT-S sizes: the custom operation on
//! one thread and on two, against plain tensor operations on two. The gradient of the output is
//! given, so that no loss is measured.

use burn::Tensor;
use burn::tensor::Device;
use criterion::{Criterion, criterion_group, criterion_main};
use gsb_benches as plain;
use gsb_benches::{ATTENTION, HIDDEN, VALUE, WEIGHT, given_gradient, leaf, normal, probabilities};
use gsb_core::binarize::ThresholdScope;
use gsb_core::ops::{self, Levels, Superposed, Superposition};
use rayon::ThreadPoolBuilder;

type Binarizer<'a, const D: usize> = &'a (dyn Fn(Tensor<D>, Tensor<1>) -> Tensor<D> + Sync);

fn compare<const D: usize>(
    criterion: &mut Criterion,
    name: &str,
    x: Tensor<D>,
    scales: &[f32],
    custom: impl Fn(Tensor<D>, Tensor<1>) -> Tensor<D> + Sync,
    plain: impl Fn(Tensor<D>, Tensor<1>) -> Tensor<D> + Sync,
) {
    let upstream = normal(x.dims());
    let scales = Tensor::<1>::from_floats(scales, &Device::flex().autodiff());
    let mut group = criterion.benchmark_group(name);
    let variants: [(&str, usize, Binarizer<D>); 3] = [
        ("custom", 1, &custom),
        ("custom", 2, &custom),
        ("plain", 2, &plain),
    ];
    for (variant, threads, f) in variants {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("two threads");
        let label = format!("{variant}/{threads} threads");
        group.bench_function(format!("forward/{label}"), |bencher| {
            pool.install(|| bencher.iter(|| f(leaf(&x), leaf(&scales))));
        });
        group.bench_function(format!("forward and backward/{label}"), |bencher| {
            pool.install(|| {
                bencher.iter(|| {
                    let (x, scales) = (leaf(&x), leaf(&scales));
                    let y = f(x.clone(), scales.clone());
                    let grads = given_gradient(y, upstream.clone()).backward();
                    (x.grad(&grads), scales.grad(&grads))
                });
            });
        });
    }
}

fn binarizers(criterion: &mut Criterion) {
    let spec = |kind| Superposition::paper(kind, ThresholdScope::Sample);
    compare(
        criterion,
        "weight",
        normal(WEIGHT),
        &[1.0],
        |w, _| ops::binarize_weight(w, None),
        |w, _| plain::weight(w),
    );
    compare(
        criterion,
        "signed",
        normal(VALUE),
        &[0.8],
        |x, scale| ops::quantize(x, scale, Levels::signed(1)),
        plain::signed,
    );
    compare(
        criterion,
        "unsigned",
        normal(HIDDEN),
        &[0.8],
        |x, scale| ops::quantize(x, scale, Levels::unsigned(1)),
        plain::unsigned,
    );
    compare(
        criterion,
        "attention",
        probabilities(ATTENTION),
        &[0.01, 0.02, 0.03],
        |x, scales| ops::superpose(x, scales, &spec(Superposed::Attention)),
        plain::attention,
    );
    compare(
        criterion,
        "value",
        normal(VALUE),
        &[0.8, 2.0, 3.0],
        |x, scales| ops::superpose(x, scales, &spec(Superposed::Value)),
        plain::value,
    );
}

criterion_group!(benches, binarizers);
criterion_main!(benches);
