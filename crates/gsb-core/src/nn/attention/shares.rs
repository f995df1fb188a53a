//! How full the groups of the superpositions are.

use serde::{Deserialize, Serialize};

/// The share of the elements that each group of an attention's superpositions holds, first group first.
///
/// The groups are nested: an element of the third is one of the second as well. The first holds the elements whose
/// level is not zero.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct GroupShares {
    /// Of the attention matrix.
    pub attention: Vec<f32>,
    /// Of the value.
    pub value: Vec<f32>,
}
