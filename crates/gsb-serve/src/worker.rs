//! Who classifies the pictures that wait for a model.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
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

/// A model with its queue, and what its worker needs.
pub struct Worker {
    pub served: Served,
    pub queue: Queue,
    pool: Arc<ThreadPool>,
    metrics: Arc<Metrics>,
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
    ) -> Self {
        Self {
            served,
            queue: Queue::new(options.queue),
            pool,
            metrics,
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
        let predict = || self.pool.install(|| self.predict(batch));
        let outcomes = catch_unwind(AssertUnwindSafe(predict));
        if outcomes.is_err() {
            self.metrics.panic(&self.served.name);
        }
        outcomes
    }

    fn predict(&self, batch: &[Job]) -> Vec<Result<Answer, Refusal>> {
        let images: Vec<_> = batch.par_iter().map(|job| self.image(job)).collect();
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
                let attention = self.attention(&image, job.attention)?;
                Ok(Answer { logits, attention })
            })
            .collect()
    }

    /// What the model sees of a picture.
    fn image(&self, job: &Job) -> Result<Image, Refusal> {
        let (bytes, name) = (&job.picture.bytes, Path::new(&job.picture.name));
        let unreadable = |error: gsb_image::Error| Refusal::unprocessable(error.to_string());
        // Before any pixel of it is in memory.
        let (width, height) = encoded_size(bytes, name).map_err(unreadable)?;
        if width.saturating_mul(height) > self.max_pixels {
            let most = self.max_pixels;
            let reason = format!("{width} x {height} pixels, at most {most} are decoded");
            return Err(Refusal::unprocessable(reason).of(&job.picture.name));
        }
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

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message")
}
