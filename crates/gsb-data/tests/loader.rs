//! Batches: the same for every number of workers, whole in shards, and never stuck.

use std::sync::Arc;

use gsb_data::{
    Batch, DataSet, Error, EvalTransform, Image, Loader, LoaderConfig, Mixup, Normalization,
    PictureError, Transform,
};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// A transform that shows its random numbers.
struct Noise;

impl Transform for Noise {
    fn shape(&self) -> [usize; 3] {
        [1, 1, 2]
    }

    fn transform(&self, image: &Image, rng: &mut ChaCha8Rng) -> Vec<f32> {
        vec![f32::from(image.pixels[0]), rng.random()]
    }
}

/// Pictures of their own index, some of them broken.
struct Numbers {
    len: usize,
    broken: Option<usize>,
    classes: Vec<String>,
}

fn numbers(len: usize, broken: Option<usize>) -> Arc<dyn DataSet> {
    let classes = vec!["even".into(), "odd".into()];
    Arc::new(Numbers {
        len,
        broken,
        classes,
    })
}

impl DataSet for Numbers {
    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        self.len
    }

    fn label(&self, index: usize) -> usize {
        index % 2
    }

    fn image(&self, index: usize) -> Result<Image, Error> {
        if self.broken == Some(index) {
            let path = format!("picture-{index}.png").into();
            let problem = "broken".into();
            return Err(PictureError::Picture { path, problem }.into());
        }
        Ok(Image::new(1, 1, 1, vec![index as u8])?)
    }

    fn channels(&self) -> usize {
        1
    }
}

fn config(workers: usize) -> LoaderConfig {
    LoaderConfig {
        batch_size: 8,
        workers,
        seed: 3,
        shuffle: true,
        ..Default::default()
    }
}

fn epoch(loader: &Loader, epoch: u64) -> Vec<Batch> {
    loader.epoch(epoch).map(Result::unwrap).collect()
}

#[test]
fn workers_do_not_change_the_batches() {
    for repeats in [1, 3] {
        let loader = |workers| {
            let config = LoaderConfig {
                repeats,
                ..config(workers)
            };
            let loader = Loader::new(numbers(50, None), Noise, config).unwrap();
            loader.with_mixup(Mixup::default(), 0.1).unwrap()
        };
        let expected = epoch(&loader(0), 1);
        assert_eq!(expected.len(), 7);
        assert_eq!(expected[6].shape, [2, 1, 1, 2]);
        for workers in [1, 2, 5] {
            assert_eq!(epoch(&loader(workers), 1), expected, "{workers} workers");
        }
        assert_ne!(epoch(&loader(1), 2), expected);
    }
}

#[test]
fn random_numbers_belong_to_the_picture() {
    let seen = |shuffle| {
        let config = LoaderConfig {
            shuffle,
            ..config(2)
        };
        let loader = Loader::new(numbers(50, None), Noise, config).unwrap();
        let mut values: Vec<(usize, f32)> = epoch(&loader, 0)
            .iter()
            .flat_map(|batch| {
                let noise = batch.images.chunks(2).map(|pixel| pixel[1]);
                batch.indices.iter().copied().zip(noise).collect::<Vec<_>>()
            })
            .collect();
        values.sort_by_key(|&(index, _)| index);
        values
    };
    assert_eq!(seen(true), seen(false));
}

#[test]
fn copies_are_transformed_anew() {
    let config = LoaderConfig {
        repeats: 3,
        ..config(0)
    };
    let loader = Loader::new(numbers(48, None), Noise, config).unwrap();
    let batch = &epoch(&loader, 0)[0];
    assert_eq!(batch.indices[0], batch.indices[2]);
    assert_ne!(batch.images[1], batch.images[3]);
    assert_ne!(batch.images[3], batch.images[5]);
}

#[test]
fn shards_together_are_the_joint_batch() {
    for mixup in [None, Some(Mixup::default())] {
        let mut loader = Loader::new(numbers(51, None), Noise, config(1)).unwrap();
        if let Some(mixup) = mixup {
            loader = loader.with_mixup(mixup, 0.1).unwrap();
        }
        let joint = epoch(&loader, 0);
        let shards: Vec<Vec<Batch>> = (0..3).map(|i| epoch(&loader.shard(i, 3), 0)).collect();
        for (step, joint) in joint.iter().enumerate() {
            let parts: Vec<&Batch> = shards.iter().map(|shard| &shard[step]).collect();
            let images: Vec<f32> = parts.iter().flat_map(|b| b.images.clone()).collect();
            let labels: Vec<usize> = parts.iter().flat_map(|b| b.labels.clone()).collect();
            let targets: Vec<f32> = parts
                .iter()
                .flat_map(|b| b.targets.clone())
                .flatten()
                .collect();
            assert_eq!(
                (images, labels),
                (joint.images.clone(), joint.labels.clone())
            );
            assert_eq!(targets, joint.targets.clone().unwrap_or_default());
            for part in parts {
                assert_eq!(part.shape[0], part.labels.len());
            }
        }
    }
}

#[test]
fn an_epoch_can_be_continued() {
    let loader = Loader::new(numbers(50, None), Noise, config(2)).unwrap();
    let rest: Vec<Batch> = loader.epoch_from(4, 3).map(Result::unwrap).collect();
    assert_eq!(rest, epoch(&loader, 4)[3..]);
    assert_eq!(loader.epoch_from(4, 99).count(), 0);
}

#[test]
fn a_broken_picture_is_one_error_and_no_end() {
    for workers in [0, 2] {
        let config = LoaderConfig {
            shuffle: false,
            ..config(workers)
        };
        let loader = Loader::new(numbers(50, Some(20)), Noise, config).unwrap();
        let results: Vec<_> = loader.epoch(0).collect();
        let failed: Vec<usize> = (0..7).filter(|&step| results[step].is_err()).collect();
        assert_eq!(failed, [2]);
        let error = results[2].as_ref().unwrap_err().to_string();
        assert_eq!(error, "picture-20.png: not a readable picture: broken");
    }
}

#[test]
fn an_empty_set_has_no_batches() {
    let loader = Loader::new(numbers(0, None), Noise, config(3)).unwrap();
    assert_eq!((loader.steps(), loader.epoch(0).count()), (0, 0));
    assert!(loader.is_empty());
}

#[test]
fn senseless_options_are_refused() {
    for (config, option) in [
        (
            LoaderConfig {
                batch_size: 0,
                ..config(0)
            },
            "batch_size",
        ),
        (
            LoaderConfig {
                repeats: 0,
                ..config(0)
            },
            "repeats",
        ),
    ] {
        let error = Loader::new(numbers(1, None), Noise, config).err().unwrap();
        assert_eq!(error.to_string(), format!("{option}: expected at least 1"));
    }
}

#[test]
fn batches_can_go_to_another_thread() {
    fn check<T: Send + 'static>(_: &T) {}
    let loader = Loader::new(numbers(9, None), Noise, config(1)).unwrap();
    check(&loader);
    check(&loader.epoch(0));
    let empty = EvalTransform::new(0, Normalization::half(1));
    assert!(Loader::new(numbers(9, None), empty, config(1)).is_err());
}

#[test]
fn the_digits_become_batches() {
    let splits = gsb_data::digits().unwrap().split(0.2, 0).unwrap();
    let normalization = splits.train.normalization().unwrap();
    let transform = EvalTransform::new(8, normalization);
    let config = LoaderConfig {
        drop_last: true,
        ..config(2)
    };
    let loader = Loader::new(splits.train, transform, config).unwrap();
    let batches = epoch(&loader, 0);
    assert_eq!(
        (loader.steps(), batches.len(), loader.len()),
        (179, 179, 1432)
    );
    let values: Vec<f32> = batches.into_iter().flat_map(|batch| batch.images).collect();
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    // Five of 1437 pictures are left out, each of which can have a mean of 3 at most.
    assert!(mean.abs() < 3.0 * 5.0 / 1432.0, "{mean}");
}

#[test]
fn what_could_not_be_made_is_refused_at_once() {
    let refused = |transform: EvalTransform| {
        let loader = Loader::new(numbers(5, None), transform, config(0));
        loader.unwrap_err().to_string()
    };
    let two = EvalTransform::new(8, Normalization::half(2));
    assert_eq!(
        refused(two),
        "images have 1 channel (gray) or 3 (RGB), not 2"
    );
    let mut flat = EvalTransform::new(8, Normalization::half(1));
    flat.normalization.deviation[0] = 0.0;
    assert_eq!(
        refused(flat),
        "normalization: expected finite means, and finite deviations that are not 0"
    );
    let loader = || Loader::new(numbers(5, None), Noise, config(0)).unwrap();
    let never = Mixup {
        prob: 2.0,
        ..Mixup::default()
    };
    assert!(loader().with_mixup(never, 0.0).is_err());
    let refusal = loader().with_mixup(Mixup::default(), 1.0).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "smoothing: must be at least 0 and below 1, got 1"
    );
}
