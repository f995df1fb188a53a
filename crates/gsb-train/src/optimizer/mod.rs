//! The optimizer: AdamW with parameters that do not decay, its learning rate, and what happens to gradients before a
//! step and to weights after it.

mod adamw;
mod clip;
mod ema;
mod schedule;
mod scheduler;
mod weight_decay;

pub use self::adamw::AdamW;
pub use self::clip::clip_by_norm;
pub(crate) use self::ema::ema_start;
pub use self::ema::ema_update;
pub use self::schedule::CosineScheduleConfig;
pub use self::scheduler::EpochScheduler;

use burn::config::Config;
use burn::module::{Module, ParamGroup, ParamId};
use burn::optim::ModuleOptimizer;

use self::weight_decay::undecayed;

/// Configuration of the optimizer: [`AdamW`] of which some parameters do not decay.
///
/// Weights decay. Biases and shifts, vectors, learned scales, tokens and positions do not.
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
}

impl OptimizerConfig {
    /// The optimizer of a model.
    pub fn init<M: Module>(&self, model: &M) -> ModuleOptimizer {
        let undecayed = ParamGroup::from_ids(self.undecayed(model));
        ModuleOptimizer::from(AdamW::new(self.weight_decay)).with_group(
            undecayed,
            AdamW::new(0.0),
            None,
        )
    }

    /// The parameters of a model that do not decay.
    pub fn undecayed<M: Module>(&self, model: &M) -> Vec<ParamId> {
        undecayed(model, self.decay_scales)
    }
}
