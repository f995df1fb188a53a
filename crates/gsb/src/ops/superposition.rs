//! What the two superposition operations are parametrised by.

use super::ThresholdScope;

/// Thresholds, clipping range and scope of a superposition of binary groups.
///
/// There is one group more than there are thresholds: the first group is the whole tensor, group
/// `k + 1` holds the elements beyond `thresholds[k]` times the largest (or, for signed values,
/// smallest) element of their scope.
#[derive(Debug, Clone, PartialEq)]
pub struct Superposition {
    /// Fraction of the extremum that an element must exceed to be in group 2, 3, ...
    pub thresholds: Vec<f32>,
    /// `(Qn, Qp)`: quotients `x / scale` in this closed range pass the gradient, and `Qp` enters
    /// the gradient scale `1 / sqrt(n Qp)`.
    pub range: (f32, f32),
    /// Elements that share one extremum.
    pub scope: ThresholdScope,
}

impl Superposition {
    /// Number of groups, and so of scales.
    pub fn groups(&self) -> usize {
        self.thresholds.len() + 1
    }
}
