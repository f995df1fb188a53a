//! The tensors of a module, by path.

use burn::Tensor;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Int, TensorData};

/// A parameter, a running statistic or a state of calibration.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// The fields that lead to it, joined by dots.
    pub path: String,
    /// Its id, by which optimizers know it.
    pub id: ParamId,
    /// Its values.
    pub data: TensorData,
}

/// All parameters, running statistics and states of calibration, in the module's order.
///
/// ```
/// use burn::tensor::Device;
/// use gsb_vit::{VitConfig, parameters};
///
/// let student = VitConfig::micro().init_stage1(&Device::default())?;
/// let class_token = &parameters(&student.tokens)[0];
/// assert_eq!(class_token.path, "class_token");
/// # Ok::<(), gsb_vit::Error>(())
/// ```
pub fn parameters<M: Module>(module: &M) -> Vec<Parameter> {
    let mut found = Vec::new();
    module.visit(&mut Collector::new(|entry| {
        found.push(Parameter {
            path: entry.path,
            id: entry.id,
            data: (entry.data)(),
        });
    }));
    found
}

/// Whether a value of a tensor is infinite or no number.
pub(crate) fn not_finite(data: &TensorData) -> bool {
    data.dtype().is_float() && data.iter::<f32>().any(|value| !value.is_finite())
}

/// Path and id of every parameter and running statistic. Reads no data.
pub(crate) fn ids<M: Module>(module: &M) -> Vec<(String, ParamId)> {
    let mut found = Vec::new();
    module.visit(&mut Collector::new(|entry| {
        if entry.is_float {
            found.push((entry.path, entry.id));
        }
    }));
    found
}

/// The module with what `values` returns for a path and shape in the place of what it had. The data
/// must have that shape.
pub(crate) fn replaced<M: Module>(
    module: M,
    values: impl FnMut(&str, &[usize]) -> Option<TensorData>,
) -> M {
    module.map(&mut Replacer {
        path: Vec::new(),
        values,
    })
}

/// What a visit comes by.
struct Entry<'a> {
    path: String,
    id: ParamId,
    /// States of calibration are integers.
    is_float: bool,
    data: &'a dyn Fn() -> TensorData,
}

struct Collector<F> {
    path: Vec<String>,
    each: F,
}

impl<F: FnMut(Entry)> Collector<F> {
    fn new(each: F) -> Self {
        Self {
            path: Vec::new(),
            each,
        }
    }

    fn visit(&mut self, id: ParamId, is_float: bool, data: &dyn Fn() -> TensorData) {
        (self.each)(Entry {
            path: self.path.join("."),
            id,
            is_float,
            data,
        });
    }
}

impl<F: FnMut(Entry)> ModuleVisitor for Collector<F> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.visit(param.id, true, &|| {
            param.transform_for_save().val().into_data()
        });
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.visit(param.id, false, &|| {
            param.transform_for_save().val().into_data()
        });
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
