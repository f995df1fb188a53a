//! How fresh models start where the layers would start otherwise.

use burn::Tensor;
use burn::module::{Module, ModuleMapper, Param};

/// Sets the biases of all linear layers to zero, as published. Those of the patch embedding keep
/// the uniform start of a convolution.
pub(crate) fn zero_linear_biases<M: Module>(model: M) -> M {
    model.map(&mut ZeroBiases::default())
}

#[derive(Default)]
struct ZeroBiases {
    path: Vec<String>,
}

impl ModuleMapper for ZeroBiases {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let is_bias = self.path.last().is_some_and(|name| name == "bias");
        if is_bias && !self.path.iter().any(|name| name == "patch_embedding") {
            param.map(|bias| {
                let tracked = bias.is_require_grad();
                bias.zeros_like().set_require_grad(tracked)
            })
        } else {
            param
        }
    }
}
