//! The moving average of the weights.

use std::collections::VecDeque;

use burn::Tensor;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Int, TensorData};

/// Moves an average of weights towards a model: `average = decay average + (1 - decay) model`, for
/// parameters and running statistics alike. States of calibration are taken over. The average begins as [`ema_start`].
///
/// # Panics
/// If the average is of another structure than the model.
pub fn ema_update<M: Module>(average: M, model: &M, decay: f64) -> M {
    // Running statistics lag behind by an update until a copy for evaluation is made.
    drop(model.valid());
    let mut collected = Collected::default();
    model.visit(&mut collected);
    average.map(&mut Moved {
        values: collected.values,
        decay,
    })
}

/// A copy of a model to start an average with: without gradients, and with running statistics of its own, which a clone shares with
/// the model.
pub fn ema_start<M: Module>(model: &M) -> M {
    // A clone would share its running statistics with the model: a copy for evaluation has its own.
    model.valid().train().map(&mut Detached)
}

/// Parameters made on first use are made here: freezing one that is not made yet would freeze all
/// of its copies.
struct Detached;

impl ModuleMapper for Detached {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(Tensor::detach).set_require_grad(false)
    }
}

/// The tensors of a module in its order, whatever their rank.
#[derive(Default)]
struct Collected {
    values: VecDeque<Value>,
}

enum Value {
    /// Flat: modules hold tensors of all ranks.
    Float(Tensor<1>),
    Int(TensorData),
}

impl ModuleVisitor for Collected {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().detach();
        let length = value.shape().num_elements();
        self.values.push_back(Value::Float(value.reshape([length])));
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.values.push_back(Value::Int(param.val().into_data()));
    }
}

struct Moved {
    values: VecDeque<Value>,
    decay: f64,
}

impl ModuleMapper for Moved {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(Value::Float(target)) = self.values.pop_front() else {
            panic!("an average has the structure of its model");
        };
        let decay = self.decay;
        param.map(|average| {
            // What all devices have in common may be on any of them.
            let target = target.to_device(&average.device());
            let target = target.reshape(average.shape());
            (average.mul_scalar(decay) + target.mul_scalar(1.0 - decay)).detach()
        })
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        let Some(Value::Int(data)) = self.values.pop_front() else {
            panic!("an average has the structure of its model");
        };
        param.map(|old| Tensor::from_data(data, &old.device()))
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::nn::{BatchNormConfig, Linear, LinearConfig};
    use burn::tensor::Device;

    fn filled(value: f64) -> Linear {
        LinearConfig::new(2, 3)
            .with_initializer(burn::nn::Initializer::Constant { value })
            .init(&Device::flex().autodiff())
    }

    #[test]
    fn an_average_moves_by_a_share_and_takes_no_gradient() {
        let model = filled(1.0);
        let average = ema_update(ema_start(&model), &filled(2.0), 0.75);
        assert!(model.weight.is_require_grad());
        assert!(!average.weight.is_require_grad());
        for data in [
            average.weight.val().into_data(),
            average.bias.unwrap().val().into_data(),
        ] {
            assert!(data.iter::<f32>().all(|value| value == 1.25));
        }
    }
    #[test]
    fn running_statistics_are_averaged_and_not_shared() {
        let device = Device::flex().autodiff();
        let model = BatchNormConfig::new(2).with_momentum(1.0).init(&device);
        let average = ema_start(&model);
        let mean = |running: Tensor<1>| running.into_data().iter::<f32>().collect::<Vec<_>>();
        // The mean of these images takes the place of the running mean, which was 0.
        let images = Tensor::<4>::from_floats([[[[1.0]], [[4.0]]], [[[3.0]], [[8.0]]]], &device);
        model.forward(images);
        let average = ema_update(average, &model, 0.75);
        assert_eq!(mean(model.running_mean.value()), [2.0, 6.0]);
        assert_eq!(mean(average.running_mean.value()), [0.5, 1.5]);
    }
}
