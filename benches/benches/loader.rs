//! Pictures a second and core: decoding, transforming and batching.
//!
//! `cargo bench -p gsb-benches --bench loader`
//!
//! Everything runs in the calling thread (`workers: 0`), so the throughput is that of one core.

use std::path::PathBuf;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gsb_data::{
    DataSet, EvalTransform, ImageFiles, Loader, LoaderConfig, Normalization, TrainTransform,
    Transform,
};

const PICTURES: usize = 32;

/// The photograph of the examples, 640x427 pixels, some times.
fn photos() -> Arc<dyn DataSet> {
    let photo = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../examples/flower.jpg"
    ));
    let files = vec![(photo, 0); PICTURES];
    Arc::new(ImageFiles::new(files, vec!["flower".into()]).expect("one class"))
}

fn bench(
    criterion: &mut Criterion,
    name: &str,
    set: &Arc<dyn DataSet>,
    transform: impl Transform + 'static,
) {
    let config = LoaderConfig {
        workers: 0,
        ..Default::default()
    };
    let loader = Loader::new(set.clone(), transform, config).expect("valid options");
    let mut group = criterion.benchmark_group("loader");
    group.sample_size(10);
    group.throughput(Throughput::Elements(loader.len() as u64));
    let mut epoch = 0;
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            epoch += 1;
            loader.epoch(epoch).for_each(|batch| {
                batch.expect("readable");
            });
        });
    });
}

fn loaders(criterion: &mut Criterion) {
    let imagenet = Normalization::imagenet;
    let photos = photos();
    bench(
        criterion,
        "photo_eval_224",
        &photos,
        EvalTransform::new(224, imagenet()),
    );
    bench(
        criterion,
        "photo_train_224",
        &photos,
        TrainTransform::published(224, imagenet()),
    );
    let digits: Arc<dyn DataSet> = Arc::new(gsb_data::digits().expect("embedded"));
    let gray = Normalization::half(1);
    bench(
        criterion,
        "digits_train_8",
        &digits,
        TrainTransform::published(8, gray),
    );
}

criterion_group!(benches, loaders);
criterion_main!(benches);
