//! Parameters of the models that are built.

use super::*;
use burn::Tensor;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Device;
use std::collections::BTreeMap;

/// Counts the float parameters of each layer.
#[derive(Default)]
struct Layers {
    path: Vec<String>,
    parameters: BTreeMap<String, u64>,
}

impl ModuleVisitor for Layers {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        if !path.contains(".running_") {
            *self.parameters.entry(path).or_default() += param.lazy_shape().num_elements() as u64;
        }
    }
}

/// Parameters of each layer of the cost as the model has them, by the longest name that begins
/// a path.
fn parameters<M: Module>(model: &M, cost: &Cost) -> BTreeMap<String, u64> {
    let mut visited = Layers::default();
    model.visit(&mut visited);
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for (path, count) in visited.parameters {
        // The binarizers belong to the product of what they binarize.
        let path = path
            .replace(".attention.query.", ".attention.scores.")
            .replace(".attention.key.", ".attention.scores.")
            .replace(".attention.value.", ".attention.attended.")
            .replace(".attention.attention.", ".attention.attended.");
        let layer = cost
            .layers
            .iter()
            .filter(|layer| path.starts_with(&format!("{}.", layer.name)))
            .max_by_key(|layer| layer.name.len())
            .unwrap_or_else(|| panic!("no layer has {path}"));
        *found.entry(layer.name.clone()).or_default() += count;
    }
    found
}

fn check<M: Module>(model: &M, cost: &Cost, statistics: usize) {
    assert_eq!(
        model.num_params() as u64,
        cost.total.total_parameters() + statistics as u64,
        "{:?} {:?}",
        cost.phase,
        cost.config
    );
    let expected: BTreeMap<String, u64> = cost
        .layers
        .iter()
        .map(|layer| (layer.name.clone(), layer.amount.total_parameters()))
        .filter(|(_, count)| *count > 0)
        .collect();
    assert_eq!(parameters(model, cost), expected);
}

fn check_phases(config: &VitConfig) {
    let device = Device::flex();
    let cost = |phase| config.cost(phase).unwrap();
    check(
        &config.init_teacher(&device).unwrap(),
        &cost(Phase::Teacher),
        0,
    );
    // Burn counts the running mean and variance as well.
    let statistics = 2 * config.width;
    check(
        &config.init_stage1(&device).unwrap(),
        &cost(Phase::Stage1),
        statistics,
    );
    check(
        &config.init_stage2(&device).unwrap(),
        &cost(Phase::Stage2),
        0,
    );
}

#[test]
fn models_have_the_parameters() {
    check_phases(&tiny());
    check_phases(&VitConfig::micro());
    for name in VitConfig::presets().filter(|name| name.starts_with("deit_tiny")) {
        check_phases(&VitConfig::preset(&name, 10).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn odd_models_have_the_parameters(config in configs()) {
        check_phases(&config);
    }
}
