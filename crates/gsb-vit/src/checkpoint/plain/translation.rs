//! What the translation from the names of another library goes through.

use std::collections::BTreeMap;

use burn::tensor::TensorData;

/// Tensors by name.
pub(super) type Tensors = BTreeMap<String, TensorData>;

/// What was made of tensors with the names of another library.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::checkpoint) struct Translation {
    /// A sentence for each thing that was done.
    pub notes: Vec<String>,
    /// What was left out, by the names it had.
    pub ignored: Vec<String>,
    /// What the library's normalizations add to the variance, and the library.
    pub epsilon: Option<(f64, &'static str)>,
    /// Whether a model with rotary positions, which have no tensors, has the same names.
    pub rotary_alike: bool,
}
