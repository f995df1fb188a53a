//! How full the groups of the superpositions are.

use serde::{Deserialize, Serialize};

/// The share of the elements that each group of an attention's superpositions holds, first group first.
///
/// The groups are nested: an element of the third is one of the second as well. The first holds the elements whose
/// level is not zero.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct GroupShares {
    /// Of the attention matrix.
    #[serde(deserialize_with = "numbers")]
    pub attention: Vec<f32>,
    /// Of the value.
    #[serde(deserialize_with = "numbers")]
    pub value: Vec<f32>,
}

/// Numbers, or what JSON has instead of those that are not finite.
#[doc(hidden)]
pub fn numbers<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
    let numbers = Vec::<Option<f32>>::deserialize(deserializer)?;
    Ok(numbers.into_iter().map(|x| x.unwrap_or(f32::NAN)).collect())
}
