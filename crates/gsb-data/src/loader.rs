//! Batches for training, made by worker threads.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::mixup::{Mixup, SmoothedTargets};
use crate::prefetch::Prefetch;
use crate::random::{Stream, stream};
use crate::sampler::{Draw, Sampler, shard};
use crate::transform::Transform;
use crate::{Batch, DataSet, Error, bounds};

/// How batches are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoaderConfig {
    /// Pictures in a batch, all shards together. 32 by default.
    pub batch_size: usize,
    /// Threads that read and transform pictures; 0 does it in the thread that asks. 1 by default.
    ///
    /// The batches are the same for every number.
    pub workers: usize,
    /// Seed of the order and of everything random in the transform. 0 by default.
    pub seed: u64,
    /// Whether each epoch has an order of its own. No by default.
    pub shuffle: bool,
    /// Whether a last batch that is not full is left out. No by default.
    pub drop_last: bool,
    /// How often a picture comes in an epoch, each time transformed anew, while the epoch keeps
    /// its length ("repeated augmentation"; DeiT uses 3). 1 by default.
    pub repeats: usize,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        Self {
            batch_size: 32,
            workers: 1,
            seed: 0,
            shuffle: false,
            drop_last: false,
            repeats: 1,
        }
    }
}

/// Makes the batches of a data set, epoch after epoch.
///
/// A batch is a pure function of the configuration, the epoch and the step: the random numbers of
/// a picture come from `(seed, epoch, index)` and not from the thread that happens to do it.
///
/// ```
/// use std::sync::Arc;
/// use gsb_data::{EvalTransform, Loader, LoaderConfig, Normalization};
///
/// let digits = Arc::new(gsb_data::digits()?);
/// let transform = EvalTransform::new(8, Normalization::half(1));
/// let config = LoaderConfig { batch_size: 500, ..Default::default() };
/// let loader = Loader::new(digits, transform, config)?;
/// assert_eq!((loader.len(), loader.steps()), (1797, 4));
/// for batch in loader.epoch(0) {
///     let batch = batch?;
///     assert_eq!(batch.shape[1..], [1, 8, 8]);
/// }
/// # Ok::<(), gsb_data::Error>(())
/// ```
#[derive(Clone)]
pub struct Loader {
    source: Arc<Source>,
    workers: usize,
    shard: (usize, usize),
}

impl Loader {
    /// A loader of a set.
    ///
    /// # Errors
    /// [`Error::Option`] if the batch size, the number of repeats or the size of the transformed
    /// pictures is 0; as [the transform](Transform::validate) if that is impossible.
    pub fn new(
        set: Arc<dyn DataSet>,
        transform: impl Transform + 'static,
        config: LoaderConfig,
    ) -> Result<Self, Error> {
        transform.validate()?;
        for (option, empty) in [
            ("batch_size", config.batch_size == 0),
            ("repeats", config.repeats == 0),
            ("image_size", transform.shape().contains(&0)),
        ] {
            if empty {
                let problem = "expected at least 1".into();
                return Err(Error::Option { option, problem });
            }
        }
        let sampler = Sampler {
            len: set.len(),
            batch_size: config.batch_size,
            shuffle: config.shuffle,
            drop_last: config.drop_last,
            repeats: config.repeats,
        };
        let source = Source {
            set,
            transform: Arc::new(transform),
            sampler,
            seed: config.seed,
            mixup: None,
        };
        Ok(Self {
            source: Arc::new(source),
            workers: config.workers,
            shard: (0, 1),
        })
    }

    /// The same loader with mixed pictures and soft targets, of which the share `smoothing` is spread
    /// evenly over all classes.
    ///
    /// # Errors
    /// [`Error::Option`] for [numbers](Mixup::validate) that are impossible, or a smoothing that is not at least 0 and
    /// below 1.
    pub fn with_mixup(self, mixup: Mixup, smoothing: f32) -> Result<Self, Error> {
        mixup.validate()?;
        if !(0.0..1.0).contains(&smoothing) {
            let problem = format!("must be at least 0 and below 1, got {smoothing}");
            return bounds::refuse("smoothing", problem);
        }
        let classes = self.source.set.classes().len();
        let mut source = Arc::unwrap_or_clone(self.source);
        source.mixup = Some((mixup, SmoothedTargets { classes, smoothing }));
        Ok(Self {
            source: Arc::new(source),
            ..self
        })
    }

    /// The part of each batch that falls to device `index` of `of`.
    ///
    /// The batches of all shards at a step, one after the other, are the joint batch at that step.
    /// Parts differ by at most one picture, and are equal if `of` divides the batch size and
    /// [`drop_last`](LoaderConfig::drop_last) is set; else one can be empty in the last step.
    /// With [`Mixup`] the pictures of other shards that are mixed in are made twice.
    ///
    /// # Panics
    /// Unless `index` is below `of`.
    pub fn shard(&self, index: usize, of: usize) -> Self {
        assert!(index < of, "there is no shard {index} of {of}");
        Self {
            shard: (index, of),
            ..self.clone()
        }
    }

    /// Pictures in an epoch, all shards together.
    pub fn len(&self) -> usize {
        self.source.sampler.drawn()
    }

    /// Whether an epoch has no pictures.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Batches in an epoch; the same for every shard.
    pub fn steps(&self) -> usize {
        self.source.sampler.steps()
    }

    /// The data set.
    pub fn data_set(&self) -> &Arc<dyn DataSet> {
        &self.source.set
    }

    /// Shape of a transformed picture, `[channels, height, width]`.
    pub fn image_shape(&self) -> [usize; 3] {
        self.source.transform.shape()
    }

    /// The batches of an epoch, in order.
    ///
    /// Workers start now and stop when the iterator is dropped. They run ahead of the caller by
    /// at most two batches each.
    ///
    /// A batch with a picture that cannot be read is an error that names its file; the batches
    /// after it still come.
    ///
    /// # Panics
    /// The iterator passes on a panic of the data set or the transform.
    pub fn epoch(&self, epoch: u64) -> Batches {
        self.epoch_from(epoch, 0)
    }

    /// The batches of an epoch from a step on: what is left of it after an interruption.
    pub fn epoch_from(&self, epoch: u64, first_step: usize) -> Batches {
        let order = self.source.sampler.order(self.source.seed, epoch);
        let source = self.source.clone();
        let shard = self.shard;
        let make = move |step: usize, stop: &dyn Fn() -> bool| {
            source.batch(&order, epoch, step, shard, stop)
        };
        Batches(Prefetch::new(
            make,
            first_step..self.steps().max(first_step),
            self.workers,
        ))
    }
}

impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loader")
            .field("sampler", &self.source.sampler)
            .field("seed", &self.source.seed)
            .field("image_shape", &self.image_shape())
            .field("mixup", &self.source.mixup.map(|(mixup, _)| mixup))
            .field("workers", &self.workers)
            .field("shard", &self.shard)
            .finish_non_exhaustive()
    }
}

/// The batches of an epoch; see [`Loader::epoch`].
pub struct Batches(Prefetch<Result<Batch, Error>>);

impl Iterator for Batches {
    type Item = Result<Batch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.left(), Some(self.0.left()))
    }
}

impl ExactSizeIterator for Batches {}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches")
            .field("left", &self.0.left())
            .finish_non_exhaustive()
    }
}

/// Everything that batches are made from.
#[derive(Clone)]
struct Source {
    set: Arc<dyn DataSet>,
    transform: Arc<dyn Transform>,
    sampler: Sampler,
    seed: u64,
    mixup: Option<(Mixup, SmoothedTargets)>,
}

impl Source {
    /// The batch of a step; `None` if nobody wants it any more.
    fn batch(
        &self,
        order: &[Draw],
        epoch: u64,
        step: usize,
        (index, of): (usize, usize),
        stopped: &dyn Fn() -> bool,
    ) -> Option<Result<Batch, Error>> {
        let joint = self.sampler.batch(step);
        let own = shard(joint.clone(), index, of);
        let [channels, height, width] = self.transform.shape();
        let mut batch = Batch {
            images: Vec::with_capacity(own.len() * channels * height * width),
            shape: [own.len(), channels, height, width],
            labels: order[own.clone()]
                .iter()
                .map(|draw| self.set.label(draw.index))
                .collect(),
            targets: None,
            indices: order[own.clone()].iter().map(|draw| draw.index).collect(),
        };
        for draw in &order[own.clone()] {
            if stopped() {
                return None;
            }
            match self.sample(*draw, epoch) {
                Ok(values) => batch.images.extend_from_slice(&values),
                Err(error) => return Some(Err(error)),
            }
        }
        let Some((mixup, targets)) = self.mixup else {
            return Some(Ok(batch));
        };
        // The picture at place i is mixed with the one at the mirrored place of the joint batch.
        let partners: Vec<Draw> = own
            .clone()
            .map(|place| order[joint.start + joint.end - 1 - place])
            .collect();
        let labels: Vec<usize> = partners
            .iter()
            .map(|draw| self.set.label(draw.index))
            .collect();
        let mut images = Vec::with_capacity(batch.images.len());
        let size = channels * height * width;
        for (draw, place) in partners.iter().zip(own.clone()) {
            if stopped() {
                return None;
            }
            let mirrored = joint.start + joint.end - 1 - place;
            if own.contains(&mirrored) {
                let start = (mirrored - own.start) * size;
                images.extend_from_slice(&batch.images[start..start + size]);
                continue;
            }
            match self.sample(*draw, epoch) {
                Ok(values) => images.extend_from_slice(&values),
                Err(error) => return Some(Err(error)),
            }
        }
        let mut rng = stream(self.seed, epoch, Stream::Mix(step));
        mixup.mix(&mut batch, &images, &labels, targets, &mut rng);
        Some(Ok(batch))
    }

    fn sample(&self, draw: Draw, epoch: u64) -> Result<Vec<f32>, Error> {
        let Draw { index, copy } = draw;
        let image = self.set.image(index)?;
        let mut rng = stream(self.seed, epoch, Stream::Sample { index, copy });
        Ok(self.transform.transform(&image, &mut rng))
    }
}
