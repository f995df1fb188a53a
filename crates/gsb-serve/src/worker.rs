//! Who classifies the pictures that wait for a model.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use gsb_image::{Image, decode_image, encoded_size};
use rayon::ThreadPool;
use rayon::prelude::*;

use crate::answer::{Answer, Attention};
use crate::metrics::Metrics;
use crate::queue::{Job, Queue};
use crate::refusal::Refusal;
use crate::request::Wanted;
use crate::{Card, Error, Options, Served};

/// Pixels beyond which a picture is decoded alone. Decoding takes up to about 16 bytes for each, and a file of a few
/// kilobytes may have all that are allowed.
const LARGE: usize = 1 << 22;

/// A model with its queue, and what its worker needs.
pub struct Worker {
    pub served: Served,
    pub queue: Queue,
    pool: Arc<ThreadPool>,
    metrics: Arc<Metrics>,
    /// Held while a large picture is decoded, by whichever worker.
    large: Arc<Mutex<()>>,
    max_batch: usize,
    max_pixels: usize,
}

impl Worker {
    /// A worker, not yet at work.
    pub fn new(
        served: Served,
        options: &Options,
        pool: Arc<ThreadPool>,
        metrics: Arc<Metrics>,
        large: Arc<Mutex<()>>,
    ) -> Self {
        Self {
            served,
            queue: Queue::new(options.queue),
            pool,
            metrics,
            large,
            max_batch: options.max_batch,
            max_pixels: options.max_pixels,
        }
    }

    /// What the model is.
    pub fn card(&self) -> &Card {
        self.served.card()
    }

    /// Begins to work, on a thread of its own, until the queue is closed.
    ///
    /// # Errors
    /// [`Error::Threads`] if there is none.
    pub fn start(self: &Arc<Self>) -> Result<(), Error> {
        let worker = self.clone();
        let name = format!("serve {}", self.served.name);
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || worker.work());
        thread
            .map(drop)
            .map_err(|error| Error::Threads(error.into()))
    }

    fn work(self: Arc<Self>) {
        while let Some(batch) = self.queue.batch(self.max_batch) {
            self.metrics.batch(&self.served.name, batch.len());
            let sound = self.answer(batch);
            // What a panic has left in this thread is unknown: another one goes on.
            if !sound && self.start().is_ok() {
                return;
            }
        }
    }

    /// Answers all pictures of a batch; whether without a panic. After one, the pictures are tried one by one,
    /// and the one that is to blame gets 500.
    fn answer(&self, batch: Vec<Job>) -> bool {
        match self.guarded(&batch) {
            Ok(outcomes) => {
                for (job, outcome) in batch.into_iter().zip(outcomes) {
                    // Nobody may be there any more.
                    let _ = job.answer.send(outcome);
                }
                true
            }
            Err(_) if batch.len() > 1 => {
                for job in batch {
                    self.answer(vec![job]);
                }
                false
            }
            Err(panic) => {
                let reason = format!("the prediction failed: {}", message(&*panic));
                for job in batch {
                    let _ = job.answer.send(Err(Refusal::internal(&reason)));
                }
                false
            }
        }
    }

    fn guarded(&self, batch: &[Job]) -> thread::Result<Vec<Result<Answer, Refusal>>> {
        let outcomes = catch_unwind(AssertUnwindSafe(|| self.predict(batch)));
        if outcomes.is_err() {
            self.metrics.panic(&self.served.name);
        }
        outcomes
    }

    fn predict(&self, batch: &[Job]) -> Vec<Result<Answer, Refusal>> {
        // Some may have been given up while the others were decoded.
        let images: Vec<_> = self
            .images(batch)
            .into_iter()
            .zip(batch)
            .map(|(image, job)| job.wanted().and(image))
            .collect();
        self.pool.install(|| self.outcomes(batch, images))
    }

    fn outcomes(
        &self,
        batch: &[Job],
        images: Vec<Result<Image, Refusal>>,
    ) -> Vec<Result<Answer, Refusal>> {
        let sound: Vec<Image> = images.iter().flatten().cloned().collect();
        let mut logits = match self.logits(&sound) {
            Ok(logits) => logits.into_iter(),
            Err(reason) => {
                let each = images.into_iter();
                return each
                    .map(|image| image.and_then(|_| Err(Refusal::internal(&reason))))
                    .collect();
            }
        };
        let with_logits: Vec<_> = images
            .into_iter()
            .map(|image| image.map(|image| (image, logits.next().unwrap_or_default())))
            .collect();
        let outcomes = with_logits.into_par_iter().zip(batch);
        outcomes
            .map(|(outcome, job)| {
                let (image, logits) = outcome?;
                job.wanted()?;
                let attention = self.attention(&image, job.attention)?;
                Ok(Answer { logits, attention })
            })
            .collect()
    }

    /// What the model sees of the pictures: large ones one after the other, in this thread, for no other thread of the
    /// pool to wait, or to take up another large one in the middle of this.
    fn images(&self, batch: &[Job]) -> Vec<Result<Image, Refusal>> {
        let small = || batch.par_iter().map(|job| self.small(job)).collect();
        let small: Vec<Option<Result<Image, Refusal>>> = self.pool.install(small);
        let images = small.into_iter().zip(batch);
        images
            .map(|(image, job)| image.unwrap_or_else(|| self.alone(job)))
            .collect()
    }

    /// What the model sees of a picture, unless it is a large one.
    fn small(&self, job: &Job) -> Option<Result<Image, Refusal>> {
        match job.wanted().and_then(|()| self.pixels(job)) {
            Ok(pixels) if pixels > LARGE => None,
            Ok(_) => Some(self.image(job)),
            Err(refusal) => Some(Err(refusal)),
        }
    }

    /// What the model sees of a picture, once no other large one is being decoded.
    fn alone(&self, job: &Job) -> Result<Image, Refusal> {
        let _alone = self.large.lock().unwrap_or_else(PoisonError::into_inner);
        job.wanted()?;
        self.image(job)
    }

    /// How many pixels a picture has by its header, before any of them is in memory.
    fn pixels(&self, job: &Job) -> Result<usize, Refusal> {
        let (bytes, name) = (&job.picture.bytes, Path::new(&job.picture.name));
        let (width, height) = encoded_size(bytes, name).map_err(unreadable)?;
        let pixels = width.saturating_mul(height);
        if pixels > self.max_pixels {
            let most = self.max_pixels;
            let reason = format!("{width} x {height} pixels, at most {most} are decoded");
            return Err(Refusal::unprocessable(reason).of(&job.picture.name));
        }
        Ok(pixels)
    }

    /// What the model sees of a picture.
    fn image(&self, job: &Job) -> Result<Image, Refusal> {
        let (bytes, name) = (&job.picture.bytes, Path::new(&job.picture.name));
        let picture = decode_image(bytes, name, job.orientation.into()).map_err(unreadable)?;
        Ok(self.card().preprocessing.pixels(&picture))
    }

    fn logits(&self, images: &[Image]) -> Result<Vec<Vec<f32>>, String> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let logits = self.served.predictor.logits(images)?;
        let classes = self.card().classes.len();
        match logits.len() == images.len() && logits.iter().all(|logits| logits.len() == classes) {
            true => Ok(logits),
            false => Err(format!(
                "the model gave other than {classes} logits for each of {} images",
                images.len()
            )),
        }
    }

    fn attention(&self, image: &Image, wanted: Wanted) -> Result<Option<Attention>, Refusal> {
        if wanted == Wanted::None {
            return Ok(None);
        }
        let maps = self
            .served
            .predictor
            .attention(image)
            .map_err(Refusal::internal)?;
        Ok(Attention::new(&maps, wanted))
    }
}

fn unreadable(error: gsb_image::Error) -> Refusal {
    Refusal::unprocessable(error.to_string())
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gsb_image::{EvalTransform, Normalization};

    use super::*;
    use crate::Predictor;
    use crate::queue::tests::job_of;

    /// Sees the same in all images.
    struct Blind(Card);

    impl Predictor for Blind {
        fn card(&self) -> &Card {
            &self.0
        }

        fn logits(&self, images: &[Image]) -> Result<Vec<Vec<f32>>, String> {
            Ok(vec![vec![0.0]; images.len()])
        }
    }

    fn worker() -> Worker {
        let card = Card {
            kind: "blind".into(),
            classes: vec!["any".into()],
            preprocessing: EvalTransform::new(8, Normalization::half(1)),
            bytes: 0,
            attention: None,
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
        Worker::new(
            Served::new("blind", Blind(card)),
            &Options::default(),
            Arc::new(pool.unwrap()),
            Arc::new(Metrics::new()),
            Arc::default(),
        )
    }

    fn gray(side: usize) -> Vec<u8> {
        [
            format!("P5 {side} {side} 255 ").as_bytes(),
            &vec![7; side * side],
        ]
        .concat()
    }

    #[test]
    fn large_pictures_wait_for_each_other() {
        let worker = worker();
        let (small, _first) = job_of("small", &gray(2048));
        let (large, _second) = job_of("large", &gray(2049));
        assert!(worker.small(&small).is_some() && worker.small(&large).is_none());
        let batch = [small, large];
        let alone = worker.large.lock().unwrap();
        let outcomes = thread::scope(|scope| {
            let predicted = scope.spawn(|| worker.predict(&batch));
            thread::sleep(Duration::from_millis(100));
            let waits = !predicted.is_finished();
            drop(alone);
            assert!(waits);
            predicted.join().unwrap()
        });
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    }

    #[test]
    fn what_nobody_waits_for_is_not_decoded() {
        let worker = worker();
        let (job, waiting) = job_of("broken", b"no picture");
        let batch = [job];
        let said = || format!("{:?}", worker.predict(&batch));
        assert!(said().contains("broken"), "{}", said());
        drop(waiting);
        assert!(said().contains("nobody waits"), "{}", said());
    }
}
