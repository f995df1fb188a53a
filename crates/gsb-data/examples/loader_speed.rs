//! Pictures a second: decoding, augmentation and batching, by number of workers.
//!
//! `cargo run --release -p gsb-data --example loader_speed -- PICTURE.jpg`

use std::sync::Arc;
use std::time::Instant;

use gsb_data::{
    DataSet, EvalTransform, ImageFiles, Loader, LoaderConfig, Normalization, TrainTransform,
    Transform,
};

fn measure(name: &str, set: Arc<dyn DataSet>, transform: impl Transform + 'static) {
    let transform: Arc<dyn Transform> = Arc::new(transform);
    for workers in [0, 1, 2] {
        let config = LoaderConfig {
            workers,
            ..Default::default()
        };
        let loader = Loader::new(set.clone(), transform.clone(), config).expect("valid options");
        let start = Instant::now();
        let pictures: usize = loader
            .epoch(0)
            .map(|batch| batch.expect("readable").len())
            .sum();
        let rate = pictures as f64 / start.elapsed().as_secs_f64();
        println!("{name:32} {workers} workers: {rate:8.0} pictures a second");
    }
}

fn main() -> Result<(), gsb_data::Error> {
    let imagenet = Normalization::imagenet;
    if let Some(photo) = std::env::args().nth(1) {
        let files = vec![(photo.into(), 0); 256];
        let set = Arc::new(ImageFiles::new(files, vec!["photo".into()])?);
        measure(
            "photo, evaluation, 224",
            set.clone(),
            EvalTransform::new(224, imagenet()),
        );
        measure(
            "photo, training, 224",
            set,
            TrainTransform::published(224, imagenet()),
        );
    }
    let digits: Arc<dyn DataSet> = Arc::new(gsb_data::digits()?);
    let gray = Normalization::half(1);
    measure(
        "digits, evaluation, 8",
        digits.clone(),
        EvalTransform::new(8, gray.clone()),
    );
    measure(
        "digits, training, 8",
        digits,
        TrainTransform::published(8, gray),
    );
    Ok(())
}
