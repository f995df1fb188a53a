//! AdamW, its bias corrections in double precision.

use burn::Tensor;
use burn::optim::LearningRate;
use burn::optim::{AdaptiveMomentumState, Optimizer};
use burn::tensor::Device;
use gsb_cpu::{AdamWStep, adamw};

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// AdamW (arXiv 1711.05101) with `beta = (0.9, 0.999)` and `epsilon = 1e-8`:
///
/// `w = w (1 - lr decay) - lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + epsilon)`.
///
/// Burn's own computes `1 - beta2` and `1 - beta2^t` in single precision, with relative errors of
/// 1e-5. That is enough for a run of ten steps to leave the published one, as a sign flips.
#[derive(Debug, Clone)]
pub struct AdamW {
    weight_decay: f64,
    rate: f64,
    least: Option<f32>,
}

impl AdamW {
    /// An optimizer with a decay relative to the learning rate.
    pub fn new(weight_decay: f64) -> Self {
        Self {
            weight_decay,
            rate: 1.0,
            least: None,
        }
    }

    /// Multiplies the learning rate.
    pub fn with_rate(mut self, rate: f64) -> Self {
        self.rate = rate;
        self
    }

    /// Puts parameters that a step takes below a number back to it.
    pub fn with_least(mut self, least: f32) -> Self {
        self.least = Some(least);
        self
    }
}

impl Optimizer for AdamW {
    type State<const D: usize> = AdaptiveMomentumState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let mut state = state
            .unwrap_or_else(|| AdaptiveMomentumState::new(0, grad.zeros_like(), grad.zeros_like()));
        let lr = lr * self.rate;
        state.time += 1;
        let correction = |beta: f64| 1.0 - beta.powf(state.time as f64);
        let (correction_1, correction_2) = (correction(BETA_1), correction(BETA_2));

        let step = AdamWStep {
            mix_1: 1.0 - BETA_1,
            keep_2: BETA_2,
            mix_2: 1.0 - BETA_2,
            root_correction: correction_2.sqrt(),
            epsilon: EPSILON,
            rate: lr / correction_1,
            keep: 1.0 - lr * self.weight_decay,
        };
        let (tensor, moments) = adamw(tensor, grad, [state.moment_1, state.moment_2], step);
        [state.moment_1, state.moment_2] = moments;
        let tensor = match self.least {
            Some(least) => tensor.clamp_min(least),
            None => tensor,
        };
        (tensor, Some(state))
    }

    fn to_device<const D: usize>(mut state: Self::State<D>, device: &Device) -> Self::State<D> {
        state.moment_1 = state.moment_1.to_device(device);
        state.moment_2 = state.moment_2.to_device(device);
        state
    }
}
