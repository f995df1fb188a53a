//! Progress on stderr: a bar where that is a terminal, else a line for each epoch.

use std::time::Instant;

use gsb_train::Interrupter;
use gsb_train::burn_train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use gsb_train::burn_train::metric::store::Split;
use gsb_train::burn_train::metric::{
    AccuracyMetric, LossMetric, Metric, MetricDefinition, MetricId, MetricName,
};
use gsb_train::burn_train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining,
};
use gsb_vit::Phase;
use indicatif::{ProgressBar, ProgressStyle};

use crate::output::say;

/// The progress of a phase: a bar that counts images, or lines.
pub struct Progress {
    phase: Phase,
    /// Hidden unless stderr is a terminal.
    bar: ProgressBar,
    interrupter: Interrupter,
    /// Number of epochs.
    epochs: usize,
    /// The epoch, counted from 1.
    epoch: usize,
    /// Epochs that ended while this was watching.
    ended: usize,
    /// Images of the epochs before.
    before: u64,
    training: bool,
    /// Mean loss of the training images, once the epoch ends.
    loss: Shown,
    /// Top-1 of the test images in percent, once the epoch ends.
    accuracy: Shown,
    /// When the first epoch began, and this one.
    began: [Instant; 2],
}

/// A metric that is shown.
struct Shown {
    name: MetricName,
    /// What its values are told from others by, once it is registered.
    id: Option<MetricId>,
    /// The last one.
    value: f64,
}

impl Shown {
    fn new(name: MetricName) -> Self {
        Self {
            name,
            id: None,
            value: f64::NAN,
        }
    }

    fn register(&mut self, definition: &MetricDefinition) {
        if definition.name == self.name {
            self.id = Some(definition.metric_id.clone());
        }
    }

    fn update(&mut self, state: &MetricState) {
        if let MetricState::Numeric(entry, Some(value)) = state
            && self.id.as_ref() == Some(&entry.metric_id)
        {
            self.value = value.current();
        }
    }
}

impl Progress {
    /// The progress of a phase that somebody may stop.
    pub fn new(phase: Phase, interrupter: Interrupter) -> Self {
        let bar = ProgressBar::new(0).with_prefix(phase.name());
        let template = "{prefix:8} {bar:30} {percent:>3}% {elapsed} (left {eta}) {msg}";
        let bar = match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        Self {
            phase,
            bar,
            interrupter,
            epochs: 0,
            epoch: 1,
            ended: 0,
            before: 0,
            training: true,
            loss: Shown::new(LossMetric::new().name()),
            accuracy: Shown::new(AccuracyMetric::new().name()),
            began: [Instant::now(); 2],
        }
    }

    fn line(&mut self, epoch: usize) {
        self.ended += 1;
        let [first, this] = self.began.map(|began| began.elapsed().as_secs_f64());
        let left = first / self.ended as f64 * self.epochs.saturating_sub(epoch) as f64;
        let left = match epoch == self.epochs {
            true => String::new(),
            false => format!(", about {} left", duration(left)),
        };
        say(format_args!(
            "{} epoch {epoch}/{}: loss {:.3}, top-1 {:.1} %, {}{left}",
            self.phase,
            self.epochs,
            self.loss.value,
            self.accuracy.value,
            duration(this)
        ));
    }
}

/// A time in the unit that suits it.
pub fn duration(seconds: f64) -> String {
    match seconds {
        ..9.95 => format!("{seconds:.1} s"),
        ..119.5 => format!("{seconds:.0} s"),
        ..7170.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}

impl TrainingProgressLogger for Progress {
    fn start(&mut self, epochs: usize, first: usize, _: Option<usize>, _: Option<&str>) {
        self.epochs = epochs;
        self.epoch = first;
        self.began = [Instant::now(); 2];
    }

    fn start_split(&mut self, split: &str, total_items: usize) {
        self.training = split == <&str>::from(Split::Train);
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
        // An epoch that somebody stopped counts for nothing: it is done again.
        if self.interrupter.should_stop() {
            return;
        }
        self.bar.set_message(format!(
            "epoch {epoch}/{}, loss {:.3}, top-1 {:.1} %",
            self.epochs, self.loss.value, self.accuracy.value
        ));
        if self.bar.is_hidden() {
            self.line(epoch);
        }
        self.epoch = epoch + 1;
        self.began[1] = Instant::now();
    }

    fn end(&mut self) {
        self.bar.finish_and_clear();
    }

    fn log_event_training(&mut self, _event: String) {}
}

impl MetricsRendererTraining for Progress {
    fn update_train(&mut self, state: MetricState) {
        self.loss.update(&state);
    }

    fn update_valid(&mut self, state: MetricState) {
        self.accuracy.update(&state);
    }
}

impl MetricsRendererEvaluation for Progress {
    fn update_test(&mut self, _name: EvaluationName, _state: MetricState) {}
}

impl EvaluationProgressLogger for Progress {
    fn start_global_progress(&mut self, _total_tests: usize) {}

    fn start_test(&mut self, _name: &str, _total_items: usize) {}

    fn update_test_progress(&mut self, _items_processed: usize) {}

    fn end_test(&mut self) {}

    fn end_global_progress(&mut self) {}

    fn log_event_evaluation(&mut self, _event: String) {}
}

impl MetricsRenderer for Progress {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, definition: MetricDefinition) {
        self.loss.register(&definition);
        self.accuracy.register(&definition);
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn a_time_has_the_unit_that_suits_it() {
        let times = [0.04, 9.94, 9.96, 119.0, 119.6, 7100.0, 7200.0].map(duration);
        assert_eq!(
            times,
            [
                "0.0 s", "9.9 s", "10 s", "119 s", "2 min", "118 min", "2.0 h"
            ]
        );
    }
}
