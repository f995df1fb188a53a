//! A stage-1 and a stage-2 block of DeiT-S at batch 8: with the custom operations and with plain
//! tensor operations.

use burn::Tensor;
use burn::module::Module;
use criterion::{Criterion, criterion_group, criterion_main};
use gsb_benches::{BATCH, HEADS, TOKENS, WIDTH, leaf, normal, stage1, stage2};
use gsb_core::nn::{Stage1BlockConfig, Stage2BlockConfig};

fn compare<M: Module>(
    criterion: &mut Criterion,
    name: &str,
    block: &M,
    x: &Tensor<3>,
    custom: impl Fn(&M, Tensor<3>) -> Tensor<3>,
    plain: impl Fn(&M, Tensor<3>) -> Tensor<3>,
) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20);
    let inference = block.valid();
    let fixed = x.clone().inner();
    type Forward<'a, M> = &'a dyn Fn(&M, Tensor<3>) -> Tensor<3>;
    let variants: [(&str, Forward<M>); 2] = [("custom", &custom), ("plain", &plain)];
    for (variant, f) in variants {
        group.bench_function(format!("forward/{variant}"), |bencher| {
            bencher.iter(|| f(&inference, fixed.clone()));
        });
        group.bench_function(format!("forward and backward/{variant}"), |bencher| {
            bencher.iter(|| f(block, leaf(x)).sum().backward());
        });
    }
}

fn blocks(criterion: &mut Criterion) {
    let x = normal([BATCH, TOKENS, WIDTH]);
    let block = Stage1BlockConfig::new(WIDTH, HEADS, 4 * WIDTH).init(&x.device());
    compare(
        criterion,
        "stage 1 block",
        &block,
        &x,
        |block, x| block.forward(x),
        stage1,
    );
    let block = Stage2BlockConfig::new(WIDTH, HEADS, TOKENS, 4 * WIDTH)
        .init(&x.device())
        .calibrate(&x);
    compare(
        criterion,
        "stage 2 block",
        &block,
        &x,
        |block, x| block.forward(x),
        stage2,
    );
}

criterion_group!(benches, blocks);
criterion_main!(benches);
