//! What changes from step to step of a phase beside the learning rate.

use gsb_core::binarize::Blend;

/// How binarization sets in and weights settle in the course of a phase.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    /// Steps of the phase.
    pub steps: usize,
    /// The share of the steps over which binarization sets in.
    pub gradual: f64,
    /// How much the pull of the weights counts in the end.
    pub weight_pull: f64,
}

impl Progress {
    /// The share of binarized values after a number of steps; none where it is always the whole.
    pub fn blend(self, step: usize) -> Option<Blend> {
        let over = self.gradual * self.steps as f64;
        (over > 0.0).then(|| Blend::new(step as f64 / over))
    }

    /// How much the pull of the weights counts after a number of steps.
    pub fn pull(self, step: usize) -> f64 {
        let half = self.steps as f64 / 2.0;
        self.weight_pull * ((step as f64 - half) / half).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binarization_sets_in_over_its_share_and_the_pull_over_the_second_half() {
        let progress = Progress {
            steps: 8,
            gradual: 0.5,
            weight_pull: 2.0,
        };
        let shares: Vec<f64> = (0..8)
            .map(|step| progress.blend(step).unwrap().share())
            .collect();
        assert_eq!(shares, [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0]);
        let pulls: Vec<f64> = (0..=8).map(|step| progress.pull(step)).collect();
        assert_eq!(pulls, [0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 1.5, 2.0]);
        let published = Progress {
            gradual: 0.0,
            ..progress
        };
        assert_eq!(published.blend(0), None);
    }
}
