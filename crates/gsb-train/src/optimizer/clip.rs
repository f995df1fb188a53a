//! Clipping of the gradient by its norm.

use burn::Tensor;
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;

/// Scales all gradients of a module by `min(1, highest / (norm + 1e-6))`, the norm being that of all
/// of them together.
///
/// Source: Pascanu, Mikolov and Bengio, 2013 (arXiv 1211.5063); the 1e-6 is PyTorch's.
pub fn clip_by_norm<M: Module>(
    module: &M,
    mut gradients: GradientsParams,
    highest: f64,
) -> GradientsParams {
    let mut squares = Squares {
        gradients: &gradients,
        sum: None,
    };
    module.visit(&mut squares);
    let Some(sum) = squares.sum else {
        return gradients;
    };
    // Stays on the device: clipping waits for nothing.
    let norm = sum.sqrt().add_scalar(1e-6);
    let factor = norm.recip().mul_scalar(highest).clamp_max(1.0);
    module.visit(&mut Scaled {
        gradients: &mut gradients,
        factor,
    });
    gradients
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let square = gradient.square().sum();
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + square,
                None => square,
            });
        }
    }
}

struct Scaled<'a> {
    gradients: &'a mut GradientsParams,
    factor: Tensor<1>,
}

impl ModuleVisitor for Scaled<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            let factor = self.factor.clone().reshape([1; D]);
            self.gradients.register(param.id, gradient * factor);
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    fn gradients(model: &Linear) -> GradientsParams {
        let x = Tensor::<2>::from_floats([[3.0, 4.0]], &model.weight.device());
        GradientsParams::from_grads(model.forward(x).sum().backward(), model)
    }

    fn values(model: &Linear, gradients: &GradientsParams) -> Vec<f32> {
        let weight = gradients.get::<2>(model.weight.id).unwrap();
        let bias = gradients.get::<1>(model.bias.as_ref().unwrap().id).unwrap();
        let read = |data: burn::tensor::TensorData| data.try_to_vec::<f32>().unwrap();
        [read(weight.into_data()), read(bias.into_data())].concat()
    }

    #[test]
    fn the_norm_runs_over_all_parameters() {
        let model = LinearConfig::new(2, 1).init(&Device::flex().autodiff());
        assert_eq!(values(&model, &gradients(&model)), [3.0, 4.0, 1.0]);
        let clipped = clip_by_norm(&model, gradients(&model), 1.0);
        let root = 26.0f32.sqrt();
        for (value, expected) in
            values(&model, &clipped)
                .into_iter()
                .zip([3.0 / root, 4.0 / root, 1.0 / root])
        {
            // 1e-6 in the divisor, and single precision.
            assert!((value - expected).abs() < 1e-6, "{value} {expected}");
        }
    }

    #[test]
    fn a_short_gradient_stays_as_it_is() {
        let model = LinearConfig::new(2, 1).init(&Device::flex().autodiff());
        let clipped = clip_by_norm(&model, gradients(&model), 6.0);
        assert_eq!(values(&model, &clipped), [3.0, 4.0, 1.0]);
    }
}
