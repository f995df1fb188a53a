//! Which parameters decay.

use burn::Tensor;
use burn::module::{Module, ModuleVisitor, Param, ParamId};

/// The parameters of a model that do not decay: biases and shifts, vectors, tokens and positions, and scales
/// unless they are to.
pub(super) fn undecayed<M: Module>(model: &M, decay_scales: bool) -> Vec<ParamId> {
    let mut collector = Undecayed {
        ids: Vec::new(),
        path: Vec::new(),
        decay_scales,
    };
    model.visit(&mut collector);
    collector.ids
}

struct Undecayed {
    ids: Vec<ParamId>,
    path: Vec<String>,
    decay_scales: bool,
}

impl Undecayed {
    /// Whether the current parameter is a scale for a whole tensor, or some for its groups. The
    /// scales of the patch embedding are a vector, one for each channel.
    fn at_scale(&self) -> bool {
        let name = self.path.last().map_or("", String::as_str);
        let first = self.path.first().map_or("", String::as_str);
        ["scale", "scales"].contains(&name) && first != "patch_embedding"
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
        let decays = if self.at_scale() {
            self.decay_scales
        } else {
            D > 1 && !names.contains(&name)
        };
        if !decays {
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
        let undecayed = undecayed(&model, false);
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
