//! Pictures in files that are trained on.

mod support;

use std::sync::Arc;

use gsb_data::{EvalTransform, ImageFiles, Loader, LoaderConfig, Normalization, TrainTransform};
use support::{png, write};
use tempfile::tempdir;

#[test]
fn pictures_of_extreme_sizes_are_trained_on() {
    let folder = tempdir().unwrap();
    let files = [(1, 1), (16_000, 1), (1, 16_000), (16_000, 40)]
        .iter()
        .map(|&(width, height)| {
            let name = format!("{width}x{height}.png");
            (
                write(folder.path(), &name, png(width, height, [10, 20, 30])),
                0,
            )
        })
        .collect();
    let set = Arc::new(ImageFiles::new(files, vec!["a".into()]).unwrap());
    let normalization = Normalization::half(3);
    let eval = EvalTransform::new(224, normalization.clone());
    let loader = Loader::new(set.clone(), eval, LoaderConfig::default()).unwrap();
    let batch = loader.epoch(0).next().unwrap().unwrap();
    assert_eq!(batch.shape, [4, 3, 224, 224]);
    let first = (10.0 / 255.0 - 0.5) / 0.5;
    assert!(
        batch.images[..224 * 224]
            .iter()
            .all(|v| (v - first).abs() < 1e-6)
    );
    let train = TrainTransform::published(224, normalization);
    let loader = Loader::new(set, train, LoaderConfig::default()).unwrap();
    assert!(loader.epoch(0).all(|batch| batch.is_ok()));
}

#[test]
fn an_unreadable_file_is_named_by_the_loader() {
    let folder = tempdir().unwrap();
    let good = write(folder.path(), "good.png", png(8, 8, [1; 3]));
    let bad = write(folder.path(), "bad.png", "no picture");
    let files = vec![(good, 0), (bad, 0)];
    let set = Arc::new(ImageFiles::new(files, vec!["a".into()]).unwrap());
    for workers in [0, 1, 4] {
        let eval = EvalTransform::new(8, Normalization::half(3));
        let config = LoaderConfig {
            workers,
            ..Default::default()
        };
        let loader = Loader::new(set.clone(), eval, config).unwrap();
        let error = loader.epoch(0).next().unwrap().unwrap_err().to_string();
        assert!(error.contains("bad.png"), "{error}");
    }
}
