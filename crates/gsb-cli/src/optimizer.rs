//! The optimizer and its schedule.

use burn::Tensor;
use burn::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::{AdamWConfig, ModuleOptimizer};

use crate::error::Error;

const WEIGHT_DECAY: f32 = 0.05;
const LOWEST_RATE: f64 = 1e-6;

/// AdamW that decays weights, but not what [`Undecayed`] collects.
pub fn adamw<M: Module>(model: &M) -> ModuleOptimizer {
    let config = AdamWConfig::new().with_epsilon(1e-8);
    let undecayed = ParamGroup::from_ids(Undecayed::of(model));
    config
        .clone()
        .with_weight_decay(WEIGHT_DECAY)
        .init()
        .with_group(undecayed, config.with_weight_decay(0.0).build(), None)
}

/// Half a cosine from `highest` down, over all steps.
///
/// # Errors
/// [`Error::Schedule`] if the rate is not in `(0, 1]` or there are no steps.
pub fn cosine(highest: f64, steps: usize) -> Result<ModuleLrScheduler, Error> {
    CosineAnnealingLrSchedulerConfig::new(highest, steps)
        .with_min_lr(LOWEST_RATE.min(highest))
        .init()
        .map_err(Error::Schedule)
}

/// Collects the parameters without weight decay: vectors and scales, biases and shifts of any rank,
/// tokens and positions.
#[derive(Default)]
struct Undecayed {
    ids: Vec<ParamId>,
    path: Vec<String>,
}

impl Undecayed {
    fn of<M: Module>(model: &M) -> Vec<ParamId> {
        let mut collector = Self::default();
        model.visit(&mut collector);
        collector.ids
    }
}

impl ModuleVisitor for Undecayed {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let names = ["bias", "class_token", "distillation_token", "position"];
        let name = self.path.last().map_or("", String::as_str);
        if D <= 1 || names.contains(&name) {
            self.ids.push(param.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use gsb_vit::VitConfig;

    #[test]
    fn weights_decay_and_nothing_else() {
        let model = VitConfig::micro().init_stage2(&Device::default()).unwrap();
        let undecayed = Undecayed::of(&model);
        let block = &model.blocks[0];
        for id in [
            model.tokens.position.id,
            model.tokens.class_token.id,
            block.norm1.gamma.id,
            block.attention.shifts.query.bias.id,
            block.attention.attention_shift.bias.id,
            block.attention.attention.scales.id,
        ] {
            assert!(undecayed.contains(&id));
        }
        for id in [
            model.patch_embedding.weight.id,
            block.attention.qkv.weight.id,
            block.mlp.fc1.weight.id,
            model.class_head.weight.id,
        ] {
            assert!(!undecayed.contains(&id));
        }
    }
}
