//! The learning rate of an epoch.

use burn::config::Config;

/// Configuration of half a cosine from the highest learning rate down, one value an epoch.
///
/// After a linear warm-up the rate of epoch `t` is
/// `min + (base - min) (1 + cos(pi t / epochs)) / 2`, and `min` after the last epoch. The warm-up
/// takes the place of the first epochs of the cosine: it does not delay it.
///
/// Source: the recipe of GSB (arXiv 2305.07931).
///
/// ```
/// use gsb_train::CosineScheduleConfig;
///
/// let schedule = CosineScheduleConfig::new(1e-3, 100).with_lowest(0.0);
/// assert_eq!(schedule.rate(0), 1e-3);
/// assert_eq!(schedule.rate(50), 5e-4);
/// // The published loop sets a rate after the epoch it is of.
/// assert_eq!(schedule.published_rate(51, 0), schedule.rate(50));
/// ```
#[derive(Config, Debug)]
pub struct CosineScheduleConfig {
    /// The highest rate.
    pub base: f64,
    /// Number of epochs.
    pub epochs: usize,
    /// The rate at the end.
    #[config(default = 1e-6)]
    pub lowest: f64,
    /// Number of epochs of the warm-up.
    #[config(default = 0)]
    pub warmup_epochs: usize,
    /// The rate that the warm-up starts from.
    #[config(default = 1e-6)]
    pub warmup: f64,
}

impl CosineScheduleConfig {
    /// The rate of an epoch, counted from 0.
    pub fn rate(&self, epoch: usize) -> f64 {
        if epoch < self.warmup_epochs {
            let step = (self.base - self.warmup) / self.warmup_epochs as f64;
            return self.warmup + step * epoch as f64;
        }
        if epoch >= self.epochs {
            return self.lowest;
        }
        let angle = std::f64::consts::PI * epoch as f64 / self.epochs as f64;
        self.lowest + 0.5 * (self.base - self.lowest) * (1.0 + angle.cos())
    }

    /// The rate that the published training loop uses in an epoch of a run that started, or was
    /// resumed, at epoch `start`: it sets the rate of an epoch once that epoch is over, so that the
    /// first two share one.
    pub fn published_rate(&self, epoch: usize, start: usize) -> f64 {
        self.rate(epoch.saturating_sub(1).max(start))
    }
}
