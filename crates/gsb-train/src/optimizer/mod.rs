//! The optimizer: AdamW with parameters that do not decay, its learning rate, and what happens to gradients before a
//! step and to weights after it.

mod adamw;
mod clip;
mod ema;
mod schedule;
mod scheduler;

pub use self::adamw::AdamW;
pub use self::clip::clip_by_norm;
pub use self::ema::{ema_start, ema_update};
pub use self::schedule::CosineScheduleConfig;
pub use self::scheduler::EpochScheduler;

use burn::config::Config;
use burn::module::{ParamGroup, ParamId};
use burn::optim::ModuleOptimizer;
use gsb_core::binarize::SCALE_GUARD;
use gsb_vit::Model;

/// Configuration of the optimizer: [`AdamW`] of which some parameters do not decay.
///
/// Weights decay. Biases and shifts, vectors, learned scales, tokens and positions do not, as the model
/// [declares](gsb_vit::WeightDecay).
///
/// Source: the recipe of GSB (arXiv 2305.07931).
#[derive(Config, Debug)]
pub struct OptimizerConfig {
    /// How much a weight decays, relative to the learning rate.
    #[config(default = 0.05)]
    pub weight_decay: f64,
    /// Whether scales that are one number each decay as well, as in the published runs: the library
    /// they used exempts vectors and forgets numbers.
    #[config(default = false)]
    pub decay_scales: bool,
    /// The learning rate of [scales](gsb_vit::Decay::Scale), relative to that of the rest.
    #[config(default = 1.0)]
    pub scale_rate: f64,
    /// The learning rate of shifts and scales of attention matrices, relative to that of the rest; of those
    /// scales, instead of `scale_rate`.
    #[config(default = 1.0)]
    pub attention_rate: f64,
    /// Whether scales stay positive: a step that takes one below [`SCALE_GUARD`] ends there, `a = max(a, 1e-5)`.
    /// A scale below the guard acts as the guard, so its group is lost until as many steps have led back.
    #[config(default = false)]
    pub positive_scales: bool,
}

impl OptimizerConfig {
    /// The optimizer of a model.
    pub fn init<M: Model>(&self, model: &M) -> ModuleOptimizer {
        let undecayed = self.undecayed(model);
        let mut optimizer = ModuleOptimizer::from(AdamW::new(self.weight_decay)).with_group(
            ParamGroup::from_ids(undecayed.clone()),
            AdamW::new(0.0),
            None,
        );
        let scales = model.weight_decay().scales();
        let of_attention = model.attention_matrix_parameters();
        let (scales_of_attention, shifts_of_attention) = of_attention
            .into_iter()
            .partition::<Vec<_>, _>(|id| scales.contains(id));
        // Of the groups that a parameter is in, the last counts.
        for (ids, rate, are_scales) in [
            (scales, self.scale_rate, true),
            (scales_of_attention, self.attention_rate, true),
            (shifts_of_attention, self.attention_rate, false),
        ] {
            let (still, decaying): (Vec<_>, Vec<_>) =
                ids.into_iter().partition(|id| undecayed.contains(id));
            for (ids, decay) in [(still, 0.0), (decaying, self.weight_decay)] {
                let mut adamw = AdamW::new(decay).with_rate(rate);
                if are_scales && self.positive_scales {
                    adamw = adamw.with_least(SCALE_GUARD);
                }
                optimizer = optimizer.with_group(ParamGroup::from_ids(ids), adamw, None);
            }
        }
        optimizer
    }

    /// The parameters of a model that do not decay.
    pub fn undecayed<M: Model>(&self, model: &M) -> Vec<ParamId> {
        model.weight_decay().undecayed(self.decay_scales)
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
        let undecayed = OptimizerConfig::new().undecayed(&model);
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
