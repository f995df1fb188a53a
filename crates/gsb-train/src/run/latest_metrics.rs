//! The metrics that the training loop hands out.

use std::collections::HashMap;

use burn_train::logger::MetricLogger;
use burn_train::metric::store::{EpochSummary, MetricsUpdate, Split};
use burn_train::metric::{MetricDefinition, MetricId, NumericEntry};

/// The last value of every metric, by split and name: at the end of an epoch, its mean.
#[derive(Default)]
pub(crate) struct LatestMetrics {
    values: HashMap<(Split, String), f64>,
    names: HashMap<MetricId, String>,
}

impl MetricLogger for LatestMetrics {
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
