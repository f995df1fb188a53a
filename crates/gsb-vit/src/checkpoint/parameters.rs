//! The tensors of a module, by path.

use burn::Tensor;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Int, TensorData};

/// A parameter, a running statistic or a state of calibration.
pub(super) struct Parameter {
    pub path: String,
    /// Identifies the parameter for optimizers.
    pub id: u64,
    pub data: TensorData,
}

/// All of them, in the module's order.
pub(super) fn parameters<M: Module>(module: &M) -> Vec<Parameter> {
    let mut collector = Collector::default();
    module.visit(&mut collector);
    collector.found
}

/// The module with what `values` returns for a path and shape in the place of what it had. The data
/// must have that shape.
pub(super) fn replaced<M: Module>(
    module: M,
    values: impl FnMut(&str, &[usize]) -> Option<TensorData>,
) -> M {
    module.map(&mut Replacer {
        path: Vec::new(),
        values,
    })
}

#[derive(Default)]
struct Collector {
    path: Vec<String>,
    found: Vec<Parameter>,
}

impl Collector {
    fn add(&mut self, id: u64, data: TensorData) {
        let path = self.path.join(".");
        self.found.push(Parameter { path, id, data });
    }
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.add(param.id.val(), param.transform_for_save().val().into_data());
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.add(param.id.val(), param.transform_for_save().val().into_data());
    }
}

struct Replacer<F> {
    path: Vec<String>,
    values: F,
}

impl<F: FnMut(&str, &[usize]) -> Option<TensorData>> ModuleMapper for Replacer<F> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.lazy_shape();
        match (self.values)(&self.path.join("."), &shape.to_vec()) {
            Some(data) => {
                let (id, device) = (param.id, param.lazy_device());
                param.transform_for_load(Tensor::from_data(data, &device), id)
            }
            None => param,
        }
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        let shape = param.lazy_shape();
        match (self.values)(&self.path.join("."), &shape.to_vec()) {
            Some(data) => {
                let (id, device) = (param.id, param.lazy_device());
                param.transform_for_load(Tensor::from_data(data, &device), id)
            }
            None => param,
        }
    }
}
