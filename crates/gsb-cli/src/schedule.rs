//! The learning rate of a step.

use burn::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;

use crate::error::Error;

const LOWEST_RATE: f64 = 1e-6;

/// Half a cosine from `highest` down, over all steps.
///
/// # Errors
/// [`Error::Schedule`] if the rate is not in `(0, 1]` or there are no steps.
pub fn cosine(highest: f64, steps: usize) -> Result<ModuleLrScheduler, Error> {
    CosineAnnealingLrSchedulerConfig::new(highest, steps)
        .with_min_lr(LOWEST_RATE.min(highest))
        .init()
        .map_err(Error::Schedule)
}
