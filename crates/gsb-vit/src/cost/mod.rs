//! What a model costs: parameters, bytes, operations.

mod amount;
mod breakdown;
mod layer;
mod layer_cost;
mod model;
mod summary;
mod table;
#[cfg(test)]
mod tests;

pub use amount::Amount;
pub use breakdown::Cost;
pub use layer_cost::LayerCost;
