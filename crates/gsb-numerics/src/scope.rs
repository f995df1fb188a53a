//! Over which elements a maximum or minimum runs.

use serde::{Deserialize, Serialize};

/// The elements that share one maximum and minimum.
///
/// The thresholds of the superposition and the offset of an unsigned quantizer of several bits
/// are taken from the largest or smallest element of a scope.
///
/// ```
/// use gsb_numerics::ThresholdScope;
/// assert_eq!(ThresholdScope::default(), ThresholdScope::Sample);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum ThresholdScope {
    /// The whole tensor, the batch included, as the published code does: what an image gets
    /// depends on the other images of its batch.
    #[serde(alias = "batch")]
    Batch,
    /// Each entry of the first dimension on its own. Equal to [`Batch`](Self::Batch) for a batch
    /// of one, and independent of what else is in the batch.
    #[serde(alias = "sample")]
    #[default]
    Sample,
    /// Each row of the last dimension on its own: for an attention matrix, each query.
    #[serde(alias = "row")]
    Row,
}

impl ThresholdScope {
    /// Number of scopes in a tensor of these dimensions and the number of (contiguous) elements in
    /// each.
    pub fn split(self, dims: &[usize]) -> (usize, usize) {
        let n = dims.iter().product::<usize>();
        let groups = match self {
            Self::Batch => 1,
            Self::Sample => dims.first().copied().unwrap_or(1),
            Self::Row => dims.last().map_or(1, |&last| n / last.max(1)),
        }
        .max(1);
        (groups, n / groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_split_a_tensor_into_contiguous_runs() {
        let shape = [2, 3, 4, 5];
        assert_eq!(ThresholdScope::Batch.split(&shape), (1, 120));
        assert_eq!(ThresholdScope::Sample.split(&shape), (2, 60));
        assert_eq!(ThresholdScope::Row.split(&shape), (24, 5));
    }
}
