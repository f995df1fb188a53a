//! Mixup and CutMix.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand_distr::Beta;
use serde::{Deserialize, Serialize};

use crate::{Batch, Error, bounds};

/// Mixes the pictures of a batch in pairs, and their targets with them.
///
/// Mixup (Zhang et al. 2018): `x = lambda a + (1 - lambda) b`. CutMix (Yun et al. 2019): a
/// rectangle of the share `1 - lambda` of `a` is replaced by that of `b`; lambda is corrected for
/// what falls outside. Both: `y = lambda y(a) + (1 - lambda) y(b)` of smoothed labels. One choice
/// and one lambda for a batch; the first picture is mixed with the last, as in timm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mixup {
    /// Lambda of Mixup is drawn from `Beta(alpha, alpha)`; 0 switches Mixup off. 0.8 by default.
    pub mixup_alpha: f64,
    /// Lambda of CutMix is drawn from `Beta(alpha, alpha)`; 0 switches CutMix off. 1 by default.
    pub cutmix_alpha: f64,
    /// Probability that a batch is mixed at all. 1 by default.
    pub prob: f64,
    /// Probability of CutMix where both are on. 0.5 by default.
    pub switch_prob: f64,
}

impl Default for Mixup {
    fn default() -> Self {
        Self {
            mixup_alpha: 0.8,
            cutmix_alpha: 1.0,
            prob: 1.0,
            switch_prob: 0.5,
        }
    }
}

/// Targets of a number of classes, part of which is spread evenly over all of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SmoothedTargets {
    pub classes: usize,
    pub smoothing: f32,
}

impl SmoothedTargets {
    /// Those of labels, of which the share `own` counts, and of others.
    fn mixed(self, labels: &[usize], others: &[usize], own: f32) -> Vec<f32> {
        let off = self.smoothing / self.classes as f32;
        let mut targets = vec![off; labels.len() * self.classes];
        let on = 1.0 - self.smoothing;
        for (row, (&a, &b)) in targets
            .chunks_exact_mut(self.classes.max(1))
            .zip(labels.iter().zip(others))
        {
            row[a] += on * own;
            row[b] += on * (1.0 - own);
        }
        targets
    }
}

/// How a batch is mixed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mix {
    Nothing,
    /// The weight of a picture's own values.
    Blend(f32),
    /// Rows from and to, columns from and to.
    Cut([usize; 4]),
}

impl Mixup {
    /// Checks that the numbers are possible.
    ///
    /// # Errors
    /// [`Error::Option`] for the first one that is not.
    pub fn validate(&self) -> Result<(), Error> {
        bounds::not_negative("mixup_alpha", self.mixup_alpha)?;
        bounds::not_negative("cutmix_alpha", self.cutmix_alpha)?;
        bounds::probability("prob", self.prob)?;
        bounds::probability("switch_prob", self.switch_prob)
    }

    /// Mixes a whole batch with itself, and sets its targets of shape `[batch, classes]`, of which the
    /// share `smoothing` is spread evenly over all classes.
    ///
    /// # Panics
    /// If a label is not below `classes`.
    pub fn apply(&self, batch: &mut Batch, classes: usize, smoothing: f32, rng: &mut ChaCha8Rng) {
        let size = batch.shape[1..].iter().product::<usize>().max(1);
        let images: Vec<f32> = batch.images.chunks(size).rev().flatten().copied().collect();
        let labels: Vec<usize> = batch.labels.iter().rev().copied().collect();
        let targets = SmoothedTargets { classes, smoothing };
        self.mix(batch, &images, &labels, targets, rng);
    }

    /// Mixes a batch with other pictures, one for each.
    pub(crate) fn mix(
        &self,
        batch: &mut Batch,
        images: &[f32],
        labels: &[usize],
        targets: SmoothedTargets,
        rng: &mut ChaCha8Rng,
    ) {
        let [_, channels, height, width] = batch.shape;
        let mix = self.draw(height, width, rng);
        let own = match mix {
            Mix::Nothing => 1.0,
            Mix::Blend(lambda) => {
                for (value, other) in batch.images.iter_mut().zip(images) {
                    *value = lambda * *value + (1.0 - lambda) * other;
                }
                lambda
            }
            Mix::Cut([top, bottom, left, right]) => {
                for plane in 0..batch.labels.len() * channels {
                    for y in top..bottom {
                        let row = (plane * height + y) * width;
                        batch.images[row + left..row + right]
                            .copy_from_slice(&images[row + left..row + right]);
                    }
                }
                1.0 - ((bottom - top) * (right - left)) as f32 / (height * width).max(1) as f32
            }
        };
        batch.targets = Some(targets.mixed(&batch.labels, labels, own));
    }

    fn draw(&self, height: usize, width: usize, rng: &mut ChaCha8Rng) -> Mix {
        let (mixup, cutmix) = (self.mixup_alpha > 0.0, self.cutmix_alpha > 0.0);
        if !(mixup || cutmix) || rng.random::<f64>() >= self.prob {
            return Mix::Nothing;
        }
        if !cutmix || (mixup && rng.random::<f64>() >= self.switch_prob) {
            return Mix::Blend(beta(self.mixup_alpha, rng) as f32);
        }
        let side = (1.0 - beta(self.cutmix_alpha, rng)).sqrt();
        let [top, bottom] = span(height, side, rng);
        let [left, right] = span(width, side, rng);
        Mix::Cut([top, bottom, left, right])
    }
}

/// A number of the symmetric beta distribution, in `0..=1`; 1/2 where there is none of this shape.
fn beta(alpha: f64, rng: &mut ChaCha8Rng) -> f64 {
    match Beta::new(alpha, alpha) {
        Ok(beta) if alpha.is_finite() => rng.sample(beta),
        _ => 0.5,
    }
}

/// A random stretch of this share of a length, cut off at its ends.
fn span(length: usize, share: f64, rng: &mut ChaCha8Rng) -> [usize; 2] {
    let half = (length as f64 * share) as usize / 2;
    let center = rng.random_range(0..length.max(1));
    [center.saturating_sub(half), (center + half).min(length)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::generator;

    const SMOOTHING: f32 = 0.1;

    fn batch() -> Batch {
        // Three pictures of 4x4 pixels, of the values 0, 1 and 2.
        Batch {
            images: (0..48).map(|i| (i / 16) as f32).collect(),
            shape: [3, 1, 4, 4],
            labels: vec![0, 1, 2],
            targets: None,
            indices: vec![0, 1, 2],
        }
    }

    fn mixed(mixup: Mixup, seed: u64) -> Batch {
        let mut batch = batch();
        mixup.apply(&mut batch, 4, SMOOTHING, &mut generator(seed));
        batch
    }

    #[test]
    fn targets_sum_to_one_and_follow_the_pixels() {
        for seed in 0..50 {
            let batch = mixed(Mixup::default(), seed);
            let targets = batch.targets.unwrap();
            for row in targets.chunks(4) {
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            }
            // The first picture is 0 and its partner 2: its mean is twice the partner's share.
            let mean = batch.images[..16].iter().sum::<f32>() / 16.0;
            assert!((targets[2] - (0.9 * mean / 2.0 + 0.025)).abs() < 1e-6);
            // The middle picture is its own partner.
            assert!(batch.images[16..32].iter().all(|&v| (v - 1.0).abs() < 1e-6));
        }
    }

    #[test]
    fn cutmix_keeps_whole_pixels_and_mixup_blends() {
        let cut = Mixup {
            mixup_alpha: 0.0,
            ..Default::default()
        };
        let blend = Mixup {
            cutmix_alpha: 0.0,
            ..Default::default()
        };
        for seed in 0..20 {
            let values = mixed(cut, seed).images;
            assert!(values.iter().all(|v| [0.0, 1.0, 2.0].contains(v)));
            let values = mixed(blend, seed).images;
            assert!(values[..16].iter().all(|&v| v == values[0]));
        }
    }

    #[test]
    fn it_can_be_switched_off() {
        let off = Mixup {
            mixup_alpha: 0.0,
            cutmix_alpha: 0.0,
            ..Default::default()
        };
        let never = Mixup {
            prob: 0.0,
            ..Default::default()
        };
        assert_eq!(mixed(off, 0).images, batch().images);
        let mut sharp = batch();
        never.apply(&mut sharp, 4, 0.0, &mut generator(0));
        assert_eq!(sharp.images, batch().images);
        assert_eq!(sharp.targets.unwrap()[..4], [1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn shares_have_the_moments_of_the_beta_distribution() {
        let n = 20_000;
        for alpha in [0.2, 0.8, 1.0, 3.0] {
            let mut rng = generator(1);
            let shares: Vec<f64> = (0..n).map(|_| beta(alpha, &mut rng)).collect();
            let n = f64::from(n);
            let mean = shares.iter().sum::<f64>() / n;
            let variance = shares.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
            // Five standard errors: deviation / sqrt(n) for the mean, and for the variance
            // sqrt((kurtosis - 1) / n) times it, the kurtosis being at most 3.
            let expected = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            assert!((mean - 0.5).abs() < 5.0 * (expected / n).sqrt(), "{mean}");
            let error = (variance / expected - 1.0).abs();
            assert!(error < 5.0 * (2.0 / n).sqrt(), "{variance}");
        }
    }

    #[test]
    fn extreme_shapes_give_shares() {
        for alpha in [1e-300, 1e-9, 1e300, f64::INFINITY] {
            for seed in 0..50 {
                let share = beta(alpha, &mut generator(seed));
                assert!((0.0..=1.0).contains(&share), "{alpha}: {share}");
            }
        }
    }
}
