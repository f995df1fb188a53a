//! A layer's share of the costs.

use serde::{Deserialize, Serialize};

use super::amount::Amount;

/// What a layer costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerCost {
    /// The path of the module in the model, and for the products of an attention
    /// `attention.scores` (query and key, with the scales of their binarizers) and
    /// `attention.attended` (attention matrix and value, likewise).
    pub name: String,
    /// What it costs, with the elementwise steps up to the next layer.
    pub amount: Amount,
}

impl LayerCost {
    pub(super) fn new(name: impl Into<String>, amount: Amount) -> Self {
        Self {
            name: name.into(),
            amount,
        }
    }
}
