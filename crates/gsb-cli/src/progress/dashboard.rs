//! The full-screen view of a training, which is that of burn-train.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};

use gsb_train::Interrupter;
use gsb_train::burn_train::LearnerSummary;
use gsb_train::burn_train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use gsb_train::burn_train::metric::MetricDefinition;
use gsb_train::burn_train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining, default_renderer,
};

/// Whether there has been a view.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// Ends the program, as SIGHUP would, if a view has lost its terminal. The view panics then, and once more
/// as it is dropped, which would abort.
pub fn exit_without_terminal() {
    const SIGHUP: i32 = 1;
    if SHOWN.load(Ordering::Relaxed) && !std::io::stdout().is_terminal() {
        std::process::exit(128 + SIGHUP);
    }
}

/// The view. As a training ends it takes back every stop and error of its interrupter, and the run would
/// not learn of them: so it has one of its own, and what is asked for there is passed on.
pub struct Dashboard {
    view: Box<dyn MetricsRenderer>,
    asked: Interrupter,
    run: Interrupter,
}

impl Dashboard {
    /// The view of a phase that somebody may stop.
    pub fn new(run: Interrupter) -> Self {
        SHOWN.store(true, Ordering::Relaxed);
        let asked = Interrupter::new();
        Self {
            view: default_renderer(asked.clone(), None),
            asked,
            run,
        }
    }
}

type Ended = Result<(), Box<dyn std::error::Error>>;

impl MetricsRendererTraining for Dashboard {
    fn update_train(&mut self, state: MetricState) {
        self.view.update_train(state);
    }

    fn update_valid(&mut self, state: MetricState) {
        self.view.update_valid(state);
    }

    fn on_train_end(&mut self, summary: Option<LearnerSummary>) -> Ended {
        self.view.on_train_end(summary)
    }
}

impl TrainingProgressLogger for Dashboard {
    fn start(
        &mut self,
        epochs: usize,
        first: usize,
        total_items: Option<usize>,
        label: Option<&str>,
    ) {
        self.view.start(epochs, first, total_items, label);
    }

    fn update_epoch(&mut self, epoch: usize) {
        self.view.update_epoch(epoch);
    }

    fn start_split(&mut self, split: &str, total_items: usize) {
        self.view.start_split(split, total_items);
    }

    fn update_split(&mut self, items: usize) {
        self.view.update_split(items);
        if self.asked.should_stop() {
            self.run.stop(Some("stopped by the user"));
        }
    }

    fn end_split(&mut self) {
        self.view.end_split();
    }

    fn end(&mut self) {
        self.view.end();
    }

    fn log_event_training(&mut self, event: String) {
        self.view.log_event_training(event);
    }
}

impl MetricsRendererEvaluation for Dashboard {
    fn update_test(&mut self, name: EvaluationName, state: MetricState) {
        self.view.update_test(name, state);
    }

    fn on_test_end(&mut self, summary: Option<LearnerSummary>) -> Ended {
        self.view.on_test_end(summary)
    }
}

impl EvaluationProgressLogger for Dashboard {
    fn start_global_progress(&mut self, total_tests: usize) {
        self.view.start_global_progress(total_tests);
    }

    fn start_test(&mut self, name: &str, total_items: usize) {
        self.view.start_test(name, total_items);
    }

    fn update_test_progress(&mut self, items: usize) {
        self.view.update_test_progress(items);
    }

    fn end_test(&mut self) {
        self.view.end_test();
    }

    fn end_global_progress(&mut self) {
        self.view.end_global_progress();
    }

    fn log_event_evaluation(&mut self, event: String) {
        self.view.log_event_evaluation(event);
    }
}

impl MetricsRenderer for Dashboard {
    fn manual_close(&mut self) {
        self.view.manual_close();
    }

    fn register_metric(&mut self, definition: MetricDefinition) {
        self.view.register_metric(definition);
    }
}
