//! Losses that are not finite, found without making the device wait.

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::Tensor;
use burn_train::Interrupter;
use futures_lite::future::{block_on, poll_once};
use gsb_vit::{Classifier, Model, checkpoint};

use super::batch::TrainBatch;
use super::non_finite::first_non_finite;

/// A loss that is not finite.
#[derive(Debug)]
pub(crate) struct NonFiniteLoss {
    pub loss: f32,
    pub epoch: usize,
    pub step: usize,
    /// Where values that are not finite come from.
    pub place: String,
    /// The weights before the step.
    pub saved: Result<PathBuf, gsb_vit::Error>,
}

/// Ends a run whose loss is not finite, and keeps where that came from.
///
/// A value that the device has ready is checked at once, as on the CPU. Elsewhere the read is queued between the
/// forward and the backward pass of its step, and the value is taken at the beginning of the next step or of the
/// evaluation, when the device is still busy with what was queued behind it. Until then the weights from before the step
/// are kept, so that a loss is found one step late but reported exactly.
pub(crate) struct LossMonitor {
    interrupter: Interrupter,
    /// Where the weights go.
    rescue: PathBuf,
    unread: Mutex<Vec<Unread>>,
    found: Mutex<Option<NonFiniteLoss>>,
}

/// A loss on its way from the device.
struct Unread {
    loss: PendingLoss,
    epoch: usize,
    step: usize,
    /// Holds what its step began with.
    diagnosis: Diagnosis,
}

type PendingLoss = Pin<Box<dyn Future<Output = f32> + Send>>;

/// Finds out about a loss that is not finite; saves the weights to a file.
type Diagnosis = Box<dyn FnOnce(f32, &Path) -> NonFiniteLoss + Send>;

impl LossMonitor {
    /// A monitor that stops a run and saves the weights to `rescue`.
    pub fn new(interrupter: Interrupter, rescue: PathBuf) -> Self {
        Self {
            interrupter,
            rescue,
            unread: Mutex::default(),
            found: Mutex::default(),
        }
    }

    /// Queues the read of a step's loss, `[1]`; the model is the one that the step began with.
    pub fn watch<M>(&self, loss: &Tensor<1>, model: &M, batch: &TrainBatch)
    where
        M: Model + Classifier + 'static,
    {
        let loss = loss.clone().into_scalar_async::<f32>();
        let loss = async { loss.await.unwrap_or_else(|error| panic!("{error}")) };
        self.watch_pending(Box::pin(loss), model, batch);
    }

    fn watch_pending<M>(&self, mut loss: PendingLoss, model: &M, batch: &TrainBatch)
    where
        M: Model + Classifier + 'static,
    {
        let (epoch, step) = (batch.epoch, batch.step);
        let ready = block_on(poll_once(&mut loss));
        if ready.is_some_and(f32::is_finite) {
            return;
        }
        let (model, batch) = (model.clone(), batch.clone());
        let diagnosis: Diagnosis = Box::new(move |loss, rescue| NonFiniteLoss {
            loss,
            epoch,
            step,
            place: first_non_finite(&model, &batch),
            saved: checkpoint::save(&model, rescue).map(|()| rescue.into()),
        });
        match ready {
            Some(value) => self.check(value, diagnosis),
            None => self.unread().push(Unread {
                loss,
                epoch,
                step,
                diagnosis,
            }),
        }
    }

    /// Checks the losses of all steps before that of a batch.
    pub fn check_before(&self, batch: &TrainBatch) {
        let now = (batch.epoch, batch.step);
        self.check_where(|earlier| (earlier.epoch, earlier.step) < now);
    }

    /// Checks the losses of all steps.
    pub fn check_all(&self) {
        self.check_where(|_| true);
    }

    /// The first loss that was not finite.
    pub fn take(&self) -> Option<NonFiniteLoss> {
        self.check_all();
        self.found().take()
    }

    fn check_where(&self, is_due: impl Fn(&Unread) -> bool) {
        // Steps of other devices queue theirs meanwhile.
        let due: Vec<Unread> = self
            .unread()
            .extract_if(.., |unread| is_due(unread))
            .collect();
        for unread in due {
            self.check(block_on(unread.loss), unread.diagnosis);
        }
    }

    fn check(&self, loss: f32, diagnosis: Diagnosis) {
        if loss.is_finite() {
            return;
        }
        self.found()
            .get_or_insert_with(|| diagnosis(loss, &self.rescue));
        self.interrupter.stop(Some("a loss is not finite"));
    }

    fn unread(&self) -> MutexGuard<'_, Vec<Unread>> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn found(&self) -> MutexGuard<'_, Option<NonFiniteLoss>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for LossMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LossMonitor")
            .field("rescue", &self.rescue)
            .field("found", &self.found)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};
    use gsb_vit::{VisionTransformer, VitConfig};

    fn batch(epoch: usize, step: usize, device: &Device) -> TrainBatch {
        let size = VitConfig::micro().image_size;
        TrainBatch {
            images: Tensor::zeros([1, 1, size, size], device),
            labels: Tensor::from_data(TensorData::from([0i64]), device),
            targets: None,
            indices: vec![0],
            epoch,
            step,
        }
    }

    /// A loss that is not there when it is first asked for, as on a GPU.
    fn late(value: f32) -> PendingLoss {
        Box::pin(async move {
            futures_lite::future::yield_now().await;
            value
        })
    }

    fn bias(model: &VisionTransformer) -> Vec<f32> {
        let parameters = gsb_vit::parameters(&model.class_head);
        let bias = parameters.into_iter().find(|found| found.path == "bias");
        bias.expect("a bias").data.iter::<f32>().collect()
    }

    #[test]
    fn a_late_loss_is_reported_with_the_weights_before_its_step() {
        let device = Device::flex();
        let folder = tempfile::tempdir().unwrap();
        let interrupter = Interrupter::new();
        let monitor = LossMonitor::new(interrupter.clone(), folder.path().join("rescued.bpk"));
        let model = |bias: f32| {
            let mut model = VitConfig::micro().init_teacher(&device).unwrap();
            let old = model.class_head.bias.take();
            model.class_head.bias = old.map(|old| old.map(|old| old.zeros_like().add_scalar(bias)));
            model
        };
        monitor.watch_pending(late(1.0), &model(1.0), &batch(1, 7, &device));
        monitor.check_before(&batch(2, 1, &device));
        monitor.watch_pending(late(f32::INFINITY), &model(2.0), &batch(2, 1, &device));
        monitor.check_before(&batch(2, 1, &device));
        assert!(!interrupter.should_stop());

        // The step that finds it has weights of its own, which that loss has spoiled.
        let next = batch(2, 2, &device);
        monitor.check_before(&next);
        assert!(interrupter.should_stop());
        monitor.watch_pending(late(f32::NAN), &model(f32::NAN), &next);
        let found = monitor.take().expect("a loss");
        assert_eq!((found.loss, found.epoch, found.step), (f32::INFINITY, 2, 1));
        assert_eq!(found.place, "the loss itself");
        let saved: VisionTransformer = checkpoint::load(found.saved.unwrap(), &device).unwrap();
        assert!(bias(&saved).iter().all(|&value| value == 2.0));
        assert!(monitor.take().is_none());
    }

    #[test]
    fn a_loss_of_the_last_step_is_found_before_the_evaluation() {
        let device = Device::flex();
        let folder = tempfile::tempdir().unwrap();
        let interrupter = Interrupter::new();
        let monitor = LossMonitor::new(interrupter.clone(), folder.path().join("rescued.bpk"));
        let model = VitConfig::micro().init_teacher(&device).unwrap();
        monitor.watch_pending(late(f32::NAN), &model, &batch(1, 1, &device));
        assert!(!interrupter.should_stop());
        monitor.check_all();
        assert!(interrupter.should_stop());
    }
}
