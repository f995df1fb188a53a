//! The schedule of the recipe as the training loop asks for it: step by step.

use burn::lr_scheduler::{LrScheduler, LrSchedulerRecord};
use burn::optim::LearningRate;

use super::schedule::CosineScheduleConfig;

/// A schedule with one rate an epoch, asked for at every step.
#[derive(Debug, Clone)]
pub struct EpochScheduler {
    schedule: CosineScheduleConfig,
    steps_per_epoch: usize,
    published: bool,
    steps: usize,
}

impl EpochScheduler {
    /// A scheduler at the first step. `published` lets the first two epochs share a rate, see
    /// [`CosineScheduleConfig::published_rate`].
    ///
    /// # Panics
    /// If an epoch has no steps.
    pub fn new(schedule: CosineScheduleConfig, steps_per_epoch: usize, published: bool) -> Self {
        assert!(steps_per_epoch > 0, "an epoch has at least one step");
        Self {
            schedule,
            steps_per_epoch,
            published,
            steps: 0,
        }
    }

    /// The rate of an epoch, counted from 0.
    pub fn of(&self, epoch: usize) -> LearningRate {
        if self.published {
            self.schedule.published_rate(epoch, 0)
        } else {
            self.schedule.rate(epoch)
        }
    }
}

impl LrScheduler for EpochScheduler {
    fn step(&mut self) -> LearningRate {
        let epoch = self.steps / self.steps_per_epoch;
        self.steps += 1;
        self.of(epoch)
    }

    fn to_record(&self) -> LrSchedulerRecord {
        LrSchedulerRecord::new()
            .with_scalar("steps", self.steps)
            .with_scalar("steps_per_epoch", self.steps_per_epoch)
    }

    /// Goes on where the other was, in epochs: more devices may leave out the last images of an epoch, and its last step.
    fn load_record(&mut self, record: LrSchedulerRecord) {
        if let Some(steps) = record.scalar::<usize>("steps") {
            let of_epoch = record.scalar("steps_per_epoch");
            let of_epoch = of_epoch.unwrap_or(self.steps_per_epoch).max(1);
            let (epochs, rest) = (steps / of_epoch, steps % of_epoch);
            self.steps = epochs * self.steps_per_epoch + rest * self.steps_per_epoch / of_epoch;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_lasts_an_epoch_and_survives_a_record() {
        let schedule = CosineScheduleConfig::new(1.0, 2).with_lowest(0.0);
        let mut scheduler = EpochScheduler::new(schedule, 2, false);
        let rates: Vec<f64> = (0..3).map(|_| scheduler.step()).collect();
        assert_eq!(rates, [1.0, 1.0, 0.5]);
        let record = scheduler.to_record();
        let mut resumed = EpochScheduler::new(scheduler.schedule.clone(), 2, false);
        resumed.load_record(record);
        assert_eq!(resumed.step(), scheduler.step());
    }

    #[test]
    fn epochs_of_another_number_of_steps_keep_their_rates() {
        let schedule = CosineScheduleConfig::new(1.0, 4).with_lowest(0.0);
        let mut scheduler = EpochScheduler::new(schedule.clone(), 3, false);
        for _ in 0..6 {
            scheduler.step();
        }
        let mut resumed = EpochScheduler::new(schedule, 2, false);
        resumed.load_record(scheduler.to_record());
        assert_eq!(resumed.step(), resumed.of(2));
        assert_eq!(resumed.step(), resumed.of(2));
        assert_eq!(resumed.step(), resumed.of(3));
    }

    #[test]
    fn the_published_loop_repeats_the_first_rate() {
        let schedule = CosineScheduleConfig::new(1.0, 2).with_lowest(0.0);
        let mut scheduler = EpochScheduler::new(schedule, 1, true);
        assert_eq!(
            [scheduler.step(), scheduler.step(), scheduler.step()],
            [1.0, 1.0, 0.5]
        );
    }
}
