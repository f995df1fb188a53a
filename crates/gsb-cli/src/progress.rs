//! Progress on stderr, where that is a terminal.

use std::collections::HashMap;

use gsb_train::burn_train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use gsb_train::burn_train::metric::{MetricDefinition, MetricId};
use gsb_train::burn_train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining,
};
use gsb_vit::Phase;
use indicatif::{ProgressBar, ProgressStyle};

/// A bar that counts the images of a phase. It draws nothing unless stderr is a terminal.
pub struct Bars {
    bar: ProgressBar,
    /// Number of epochs.
    epochs: usize,
    /// The epoch, counted from 1.
    epoch: usize,
    /// Images of the epochs before.
    before: u64,
    training: bool,
    loss: String,
    accuracy: String,
    names: HashMap<MetricId, String>,
}

impl Bars {
    /// A bar for a phase.
    pub fn new(phase: Phase) -> Self {
        let bar = ProgressBar::new(0).with_prefix(phase.name());
        let template = "{prefix:8} {bar:30} {percent:>3}% {elapsed} (left {eta}) {msg}";
        let bar = match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        Self {
            bar,
            epochs: 0,
            epoch: 1,
            before: 0,
            training: true,
            loss: String::new(),
            accuracy: String::new(),
            names: HashMap::new(),
        }
    }
}

impl TrainingProgressLogger for Bars {
    fn start(&mut self, epochs: usize, first: usize, _: Option<usize>, _: Option<&str>) {
        self.epochs = epochs;
        self.epoch = first;
    }

    fn start_split(&mut self, split: &str, total_items: usize) {
        self.training = split.eq_ignore_ascii_case("train");
        if self.training {
            let left = (self.epochs + 1).saturating_sub(self.epoch) as u64;
            self.bar.set_length(self.before + left * total_items as u64);
        }
    }

    fn update_split(&mut self, items: usize) {
        if self.training {
            self.bar.set_position(self.before + items as u64);
        }
    }

    fn end_split(&mut self) {
        if self.training {
            self.before = self.bar.position();
        }
    }

    fn update_epoch(&mut self, epoch: usize) {
        let (epochs, loss, accuracy) = (self.epochs, &self.loss, &self.accuracy);
        let message = format!("epoch {epoch}/{epochs}, loss {loss}, top-1 {accuracy} %");
        self.bar.set_message(message);
        self.epoch = epoch + 1;
    }

    fn end(&mut self) {
        self.bar.finish_and_clear();
    }

    fn log_event_training(&mut self, _event: String) {}
}

impl MetricsRendererTraining for Bars {
    fn update_train(&mut self, state: MetricState) {
        self.keep(state, true);
    }

    fn update_valid(&mut self, state: MetricState) {
        self.keep(state, false);
    }
}

impl Bars {
    fn keep(&mut self, state: MetricState, training: bool) {
        if let MetricState::Numeric(entry, _) = state {
            let text = &entry.serialized_entry.formatted;
            // "epoch 0.12 - batch 0.34": the mean so far.
            let mean = text.split(" - ").next().unwrap_or(text);
            let mean = mean.trim_start_matches("epoch ").to_string();
            match (
                self.names.get(&entry.metric_id).map(String::as_str),
                training,
            ) {
                (Some("Loss"), true) => self.loss = mean,
                (Some("Accuracy"), false) => self.accuracy = mean,
                _ => {}
            }
        }
    }
}

impl MetricsRendererEvaluation for Bars {
    fn update_test(&mut self, _name: EvaluationName, _state: MetricState) {}
}

impl EvaluationProgressLogger for Bars {
    fn start_global_progress(&mut self, _total_tests: usize) {}

    fn start_test(&mut self, _name: &str, _total_items: usize) {}

    fn update_test_progress(&mut self, _items_processed: usize) {}

    fn end_test(&mut self) {}

    fn end_global_progress(&mut self) {}

    fn log_event_evaluation(&mut self, _event: String) {}
}

impl MetricsRenderer for Bars {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, definition: MetricDefinition) {
        let name = definition.name.to_string();
        self.names.insert(definition.metric_id, name);
    }
}
