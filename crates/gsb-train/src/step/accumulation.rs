//! Gradients of several batches in one step.

/// The batches whose gradients are summed in a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GradientAccumulation {
    /// Batches of a device in a step.
    pub batches_per_step: usize,
    /// Batches of a device in an epoch, which ends with a step of those that are left.
    pub batches_per_epoch: usize,
    /// Devices whose gradients are summed.
    pub devices: usize,
}

impl GradientAccumulation {
    /// The factor of the gradient of a batch, the first of an epoch being 1: 1 over the number of those
    /// that it is summed with.
    pub fn weight(self, batch: usize) -> f64 {
        let left = self.batches_per_epoch % self.batches_per_step;
        let together = if batch > self.batches_per_epoch - left {
            left
        } else {
            self.batches_per_step
        };
        1.0 / (together * self.devices) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_an_epoch_counts_as_much_as_a_full_step() {
        let weight = |batches_per_epoch, batch| {
            let accumulation = GradientAccumulation {
                batches_per_step: 4,
                batches_per_epoch,
                devices: 2,
            };
            accumulation.weight(batch)
        };
        for (batches, batch, together) in [
            (8, 1, 4),
            (8, 8, 4),
            (10, 8, 4),
            (10, 9, 2),
            (10, 10, 2),
            (3, 1, 3),
            (5, 5, 1),
        ] {
            assert_eq!(weight(batches, batch), 1.0 / (2 * together) as f64);
        }
    }
}
