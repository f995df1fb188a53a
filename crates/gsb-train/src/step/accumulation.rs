//! Gradients of several batches in one step.

/// The batches whose gradients are summed in a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GradientAccumulation {
    /// Batches of a device in a step.
    pub batches_per_step: usize,
    /// Images of a batch, of all devices together.
    pub images_per_batch: usize,
    /// Images of an epoch, which ends with a batch and a step of those that are left.
    pub images_per_epoch: usize,
    /// Devices whose gradients are summed.
    pub devices: usize,
}

impl GradientAccumulation {
    /// The factor of the gradient of a batch, the first of an epoch being 1: its share of the images of the step, so that
    /// each image counts as much as the others.
    pub fn weight(self, batch: usize) -> f64 {
        let images = |first_batch: usize, batches: usize| {
            let before = first_batch * self.images_per_batch;
            let left = self.images_per_epoch.saturating_sub(before);
            left.min(batches * self.images_per_batch)
        };
        let batch = batch.saturating_sub(1);
        let step = batch / self.batches_per_step * self.batches_per_step;
        let together = images(step, self.batches_per_step) * self.devices;
        images(batch, 1) as f64 / together as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_counts_as_much_as_the_others_of_its_step() {
        let weight = |images_per_epoch, batch| {
            let accumulation = GradientAccumulation {
                batches_per_step: 4,
                images_per_batch: 6,
                images_per_epoch,
                devices: 2,
            };
            accumulation.weight(batch)
        };
        for (images, batch, expected) in [
            // Whole batches.
            (48, 1, 1.0 / 4.0),
            (48, 8, 1.0 / 4.0),
            (60, 8, 1.0 / 4.0),
            (60, 9, 1.0 / 2.0),
            (60, 10, 1.0 / 2.0),
            (18, 1, 1.0 / 3.0),
            (30, 5, 1.0),
            // One with two images.
            (20, 1, 6.0 / 20.0),
            (20, 4, 2.0 / 20.0),
            (50, 8, 1.0 / 4.0),
            (50, 9, 1.0),
            (56, 9, 6.0 / 8.0),
            (56, 10, 2.0 / 8.0),
        ] {
            assert_eq!(
                weight(images, batch),
                expected / 2.0,
                "{images} images, batch {batch}"
            );
        }
    }
}
