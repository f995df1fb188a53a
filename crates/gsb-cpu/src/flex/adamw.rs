//! AdamW in one pass over weight, gradient and moments.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::elementwise::{CHUNK, pays};
use crate::adamw::AdamWStep;

/// A step in place. Each operation rounds as in the primitive ones: the results are the same bits.
pub(super) fn step(
    weights: &mut [f32],
    grads: &[f32],
    [first, second]: [&mut [f32]; 2],
    step: AdamWStep,
) {
    let arch = Arch::new();
    let run = |(((weights, grads), first), second): Task<'_>| {
        arch.dispatch(Step {
            weights,
            grads,
            first,
            second,
            step,
        });
    };
    if pays(weights.len()) {
        let tasks = weights
            .par_chunks_mut(CHUNK)
            .zip(grads.par_chunks(CHUNK))
            .zip(first.par_chunks_mut(CHUNK))
            .zip(second.par_chunks_mut(CHUNK));
        tasks.for_each(run);
    } else {
        run((((weights, grads), first), second));
    }
}

/// Weights, gradients and both moments of the same parameters.
type Task<'a> = (((&'a mut [f32], &'a [f32]), &'a mut [f32]), &'a mut [f32]);

struct Step<'a> {
    weights: &'a mut [f32],
    grads: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    step: AdamWStep,
}

impl WithSimd for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let AdamWStep {
            mix_1,
            keep_2,
            mix_2,
            root_correction,
            epsilon,
            rate,
            keep,
        } = self.step;
        let [mix_1, keep_2, mix_2, root_correction, epsilon, rate, keep] =
            [mix_1, keep_2, mix_2, root_correction, epsilon, rate, keep].map(|x| x as f32);
        let moments = self.first.iter_mut().zip(self.second);
        let pairs = self.weights.iter_mut().zip(self.grads);
        for ((weight, &grad), (first, second)) in pairs.zip(moments) {
            let moment_1 = *first + (grad - *first) * mix_1;
            let moment_2 = *second * keep_2 + grad * grad * mix_2;
            let root = moment_2.sqrt() / root_correction + epsilon;
            *weight = *weight * keep - moment_1 / root * rate;
            *first = moment_1;
            *second = moment_2;
        }
    }
}
