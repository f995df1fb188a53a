//! The operations alone, forward and backward without what autodiff adds, on one thread and on two.

use burn::backend::{Flex, TensorMetadata, flex::FlexTensor};
use burn::tensor::{Shape, Tensor, TensorData};
use criterion::{Criterion, criterion_group, criterion_main};
use gsb::ops::{BinaryOps, Levels, Superposed, Superposition, ThresholdScope};
use gsb_benches::{ATTENTION, HIDDEN, VALUE, normal, probabilities};
use rayon::ThreadPoolBuilder;

fn compare<const D: usize>(
    criterion: &mut Criterion,
    name: &str,
    x: Tensor<D>,
    run: impl Fn(FlexTensor, FlexTensor) + Sync,
) {
    let primitive = |x: Tensor<D>| FlexTensor::from_data(x.into_data());
    let (upstream, x) = (primitive(normal(x.dims())), primitive(x));
    let mut group = criterion.benchmark_group(format!("threads/{name}"));
    for threads in [1, 2] {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("two threads");
        group.bench_function(threads.to_string(), |bencher| {
            pool.install(|| {
                bencher.iter_batched(
                    // A gradient of its own, as the operation behind hands on.
                    || FlexTensor::from_data(upstream.clone().into_data()),
                    |grad| run(x.clone(), grad),
                    criterion::BatchSize::PerIteration,
                );
            });
        });
    }
}

fn threads(criterion: &mut Criterion) {
    let spec = |kind| Superposition::paper(kind, ThresholdScope::Sample);
    let scale = |rank: usize| {
        FlexTensor::from_data(TensorData::new(vec![0.8f32], Shape::from(vec![1; rank])))
    };
    let scales = || FlexTensor::from_data(TensorData::new(vec![0.8f32, 2.0, 3.0], Shape::new([3])));
    let lsq = |x: FlexTensor, grad, levels| {
        let scale = scale(x.shape().num_dims());
        let y = Flex::lsq(x.clone(), scale.clone(), levels, true);
        (y, Flex::lsq_backward(x, scale, grad, levels, true))
    };
    compare(criterion, "signed", normal(VALUE), |x, grad| {
        drop(lsq(x, grad, Levels::signed(1)))
    });
    compare(criterion, "unsigned", normal(HIDDEN), |x, grad| {
        drop(lsq(x, grad, Levels::unsigned(1)))
    });
    compare(
        criterion,
        "attention",
        probabilities(ATTENTION),
        |x, grad| {
            let ends = Flex::extrema(x.clone(), ThresholdScope::Sample);
            let y = Flex::superpose(
                x.clone(),
                scales(),
                ends.clone(),
                spec(Superposed::Attention),
            );
            drop((
                y,
                Flex::superpose_backward(x, scales(), ends, grad, spec(Superposed::Attention)),
            ));
        },
    );
    compare(criterion, "value", normal(VALUE), |x, grad| {
        let ends = Flex::extrema(x.clone(), ThresholdScope::Sample);
        let y = Flex::superpose(x.clone(), scales(), ends.clone(), spec(Superposed::Value));
        drop((
            y,
            Flex::superpose_backward(x, scales(), ends, grad, spec(Superposed::Value)),
        ));
    });
}

criterion_group!(benches, threads);
criterion_main!(benches);
