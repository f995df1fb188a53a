//! What the training loop reports of an epoch, on its way to the log.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use burn_train::checkpoint::{CheckpointingAction, CheckpointingStrategy};
use burn_train::metric::store::{Aggregate, EventStoreClient, Split};
use burn_train::{EarlyStoppingStrategy, Interrupter};
use gsb_vit::Phase;

use super::epoch_log::{Epoch, EpochLog};
use super::inspection_log::{InspectedEpoch, InspectionLog};
use crate::error::Error;
use crate::step::Inspector;

/// Writes the log, and says which checkpoints stay and when enough is enough.
///
/// The training loop asks it twice at the end of an epoch: what to do with checkpoints, then whether
/// to stop.
#[derive(Clone)]
pub(crate) struct EpochLogger {
    pub phase: Phase,
    pub epochs: usize,
    /// Epochs from one checkpoint to the next.
    pub every: usize,
    /// Epochs without a better one that end the phase.
    pub patience: Option<usize>,
    /// Epochs in which binarization sets in, which patience does not count: until then, another model is trained than is
    /// evaluated.
    pub unsettled: usize,
    pub log: Arc<Mutex<EpochLog>>,
    pub inspector: Arc<Inspector>,
    pub inspections: Arc<Mutex<InspectionLog>>,
    pub names: [String; 3],
    /// The learning rate of an epoch, counted from 1.
    pub rate: Arc<dyn Fn(usize) -> f64 + Send + Sync>,
    pub interrupter: Interrupter,
    pub failure: Arc<Mutex<Option<Error>>>,
    /// The epochs whose checkpoints are there.
    pub saved: Vec<usize>,
    pub started: Instant,
}

impl EpochLogger {
    fn record(&mut self, epoch: usize, store: &EventStoreClient) -> Result<(), Error> {
        let [loss, top1, top5] = &self.names;
        // Asked of the store, which answers once it has seen the whole epoch.
        let value = |split: Split, name: &str| {
            let found = store.find_metric(name, epoch, Aggregate::Mean, &split);
            found.unwrap_or(f64::NAN)
        };
        let seconds = self.started.elapsed().as_secs_f64();
        self.started = Instant::now();
        let line = Epoch {
            phase: self.phase,
            epoch,
            lr: (self.rate)(epoch),
            train_loss: value(Split::Train, loss),
            train_top1: value(Split::Train, top1),
            loss: value(Split::Valid, loss),
            top1: value(Split::Valid, top1),
            top5: value(Split::Valid, top5),
            seconds,
        };
        if let Some(inspection) = self.inspector.take() {
            let line = InspectedEpoch {
                phase: self.phase,
                epoch,
                inspection,
            };
            let mut inspections = self.inspections.lock().expect("nobody panics with it");
            inspections.push(line)?;
        }
        // The line that says that there was this epoch comes last.
        self.log.lock().expect("nobody panics with it").push(line)
    }

    /// Why the log could not be written, if it could not.
    pub fn take_failure(&self) -> Option<Error> {
        self.failure.lock().expect("nobody panics with it").take()
    }

    fn best(&self) -> usize {
        let log = self.log.lock().expect("nobody panics with it");
        log.best(self.phase).map_or(0, |best| best.epoch)
    }

    /// Whether the patience with a phase has run out after an epoch.
    pub fn is_exhausted(&self, epoch: usize) -> bool {
        let since = || self.best().max(self.unsettled).min(epoch);
        self.patience
            .is_some_and(|patience| epoch - since() >= patience)
    }
}

impl CheckpointingStrategy for EpochLogger {
    fn checkpointing(
        &mut self,
        epoch: usize,
        store: &EventStoreClient,
    ) -> Vec<CheckpointingAction> {
        if let Err(error) = self.record(epoch, store) {
            *self.failure.lock().expect("nobody panics with it") = Some(error);
            self.interrupter.stop(Some("the log cannot be written"));
            return Vec::new();
        }
        let best = self.best();
        let last = epoch == self.epochs || self.is_exhausted(epoch);
        if !(epoch.is_multiple_of(self.every) || last || best == epoch) {
            return Vec::new();
        }
        let mut actions = vec![CheckpointingAction::Save];
        // The one before stays until this one is there: a run can be cut off while it is written.
        let previous = self.saved.last().copied();
        self.saved.retain(|&old| {
            let kept = Some(old) == previous || old == best;
            if !kept {
                actions.push(CheckpointingAction::Delete(old));
            }
            kept
        });
        self.saved.push(epoch);
        actions
    }
}

impl EarlyStoppingStrategy for EpochLogger {
    fn should_stop(&mut self, epoch: usize, _: &EventStoreClient) -> bool {
        self.is_exhausted(epoch)
    }
}
