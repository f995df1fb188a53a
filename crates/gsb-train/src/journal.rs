//! What the training loop reports of an epoch, on its way to the log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use burn_train::checkpoint::{CheckpointingAction, CheckpointingStrategy};
use burn_train::logger::MetricLogger;
use burn_train::metric::store::{Aggregate, EpochSummary, EventStoreClient, MetricsUpdate, Split};
use burn_train::metric::{MetricDefinition, MetricId, NumericEntry};
use burn_train::{EarlyStoppingStrategy, Interrupter};
use gsb_vit::Phase;

use crate::Error;
use crate::history::{Epoch, History};

/// The last value of every metric, by split and name: at the end of an epoch, its mean.
#[derive(Default)]
pub(crate) struct Latest {
    values: HashMap<(Split, String), f64>,
    names: HashMap<MetricId, String>,
}

impl MetricLogger for Latest {
    fn log(&mut self, update: MetricsUpdate, _epoch: usize, split: &Split) {
        for update in update.entries_numeric {
            let name = self.names.get(&update.entry.metric_id);
            if let (Some(name), Some(entry)) = (name, update.numeric_entry) {
                self.values
                    .insert((split.clone(), name.clone()), entry.current());
            }
        }
    }

    fn read_numeric(
        &mut self,
        name: &str,
        _epoch: usize,
        split: &Split,
    ) -> Result<Vec<NumericEntry>, String> {
        let value = self.values.get(&(split.clone(), name.into()));
        Ok(value
            .map(|&value| NumericEntry::Final(value))
            .into_iter()
            .collect())
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        self.names
            .insert(definition.metric_id, definition.name.to_string());
    }

    fn log_epoch_summary(&mut self, _summary: EpochSummary) {}
}

/// Writes the log, and says which checkpoints stay and when enough is enough.
///
/// The training loop asks it twice at the end of an epoch: what to do with checkpoints, then whether
/// to stop.
#[derive(Clone)]
pub(crate) struct Journal {
    pub phase: Phase,
    pub epochs: usize,
    /// Epochs from one checkpoint to the next.
    pub every: usize,
    /// Epochs without a better one that end the phase.
    pub patience: Option<usize>,
    pub history: Arc<Mutex<History>>,
    pub names: [String; 3],
    /// The learning rate of an epoch, counted from 1.
    pub rate: Arc<dyn Fn(usize) -> f64 + Send + Sync>,
    pub interrupter: Interrupter,
    pub failure: Arc<Mutex<Option<Error>>>,
    /// The epochs whose checkpoints are there.
    pub saved: Vec<usize>,
    pub started: Instant,
}

impl Journal {
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
        self.history
            .lock()
            .expect("nobody panics with it")
            .push(line)
    }

    fn best(&self) -> usize {
        let history = self.history.lock().expect("nobody panics with it");
        history.best(self.phase).map_or(0, |best| best.epoch)
    }

    pub fn enough(&self, epoch: usize) -> bool {
        self.patience
            .is_some_and(|patience| epoch - self.best().min(epoch) >= patience)
    }
}

impl CheckpointingStrategy for Journal {
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
        let last = epoch == self.epochs || self.enough(epoch);
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

impl EarlyStoppingStrategy for Journal {
    fn should_stop(&mut self, epoch: usize, _: &EventStoreClient) -> bool {
        self.enough(epoch)
    }
}
