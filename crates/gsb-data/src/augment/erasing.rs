//! Random erasing.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use crate::{Error, bounds};

/// Replaces a rectangle of the normalized picture by noise, each value from the standard normal
/// distribution (Zhong et al. 2020, timm's mode `pixel`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomErasing {
    /// Probability that a picture has a rectangle erased. 0.25 by default.
    pub probability: f64,
    /// The smallest and the largest share of the area. 0.02 to 1/3 by default.
    pub area: [f64; 2],
    /// The smallest height by width, and the inverse of the largest. 0.3 by default.
    pub min_aspect: f64,
}

impl Default for RandomErasing {
    fn default() -> Self {
        Self {
            probability: 0.25,
            area: [0.02, 1.0 / 3.0],
            min_aspect: 0.3,
        }
    }
}

impl RandomErasing {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        bounds::probability("probability", self.probability)?;
        bounds::interval("area", self.area)?;
        if self.min_aspect > 0.0 && self.min_aspect <= 1.0 {
            return Ok(());
        }
        let problem = format!("must be above 0 and at most 1, got {}", self.min_aspect);
        bounds::refuse("min_aspect", problem)
    }

    /// Erases in values of shape `[channels, height, width]`.
    pub(crate) fn apply(
        &self,
        values: &mut [f32],
        [_, height, width]: [usize; 3],
        rng: &mut ChaCha8Rng,
    ) {
        if rng.random::<f64>() >= self.probability {
            return;
        }
        let limit = self.min_aspect.ln();
        for _ in 0..10 {
            let mut even = |low: f64, high: f64| low + (high - low) * rng.random::<f64>();
            let target = even(self.area[0], self.area[1]) * (height * width) as f64;
            let aspect = even(limit, -limit).exp();
            let h = (target * aspect).sqrt().round_ties_even() as usize;
            let w = (target / aspect).sqrt().round_ties_even() as usize;
            if h >= height || w >= width {
                continue;
            }
            let top = rng.random_range(0..=height - h);
            let left = rng.random_range(0..=width - w);
            for plane in values.chunks_exact_mut(height * width) {
                for row in plane.chunks_exact_mut(width).skip(top).take(h) {
                    row[left..left + w].fill_with(|| rng.sample(StandardNormal));
                }
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::generator;

    #[test]
    fn it_erases_as_often_and_as_much_as_it_says() {
        let (mut erased, mut shares) = (0, Vec::new());
        let mut rng = generator(0);
        for _ in 0..2000 {
            let mut values = vec![9.0; 3 * 40 * 40];
            RandomErasing::default().apply(&mut values, [3, 40, 40], &mut rng);
            let changed = values.iter().filter(|&&v| v != 9.0).count();
            if changed > 0 {
                erased += 1;
                shares.push(changed as f64 / values.len() as f64);
            }
        }
        // Five standard deviations of 2000 draws with probability 1/4.
        assert!(
            (f64::from(erased) - 500.0).abs() < 5.0 * (2000.0 * 0.1875f64).sqrt(),
            "{erased}"
        );
        // Rounding the sides moves the area by a pixel and a half of the longest side at most.
        let slack = 0.5 * (40.0 + 40.0) / 1600.0;
        assert!(
            shares
                .iter()
                .all(|share| (0.02 - slack..1.0 / 3.0 + slack).contains(share))
        );
    }

    #[test]
    fn a_pixel_cannot_be_erased() {
        let always = RandomErasing {
            probability: 1.0,
            ..Default::default()
        };
        let mut values = vec![9.0];
        always.apply(&mut values, [1, 1, 1], &mut generator(0));
        assert!(values.len() == 1);
    }
}
