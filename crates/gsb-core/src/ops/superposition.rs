//! What a superposition operation is parametrised by.

use gsb_numerics::{GROUP_THRESHOLDS, ThresholdScope};

/// Which of the two superpositions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Superposed {
    /// Of a non-negative tensor: groups near the maximum, each adding its scale.
    Attention,
    /// Of a signed tensor: groups near both extrema, each adding its scale times the sign.
    Value,
}

/// A superposition of binary groups.
///
/// There is one group more than there are thresholds: the first group is the whole tensor, group
/// `k + 1` holds the elements beyond `thresholds[k]` times the largest (or, for signed values,
/// smallest) element of their scope.
#[derive(Debug, Clone, PartialEq)]
pub struct Superposition {
    /// Which of the two.
    pub kind: Superposed,
    /// Fraction of the extremum that an element must exceed to be in group 2, 3, ...
    pub thresholds: Vec<f32>,
    /// `(Qn, Qp)`: quotients `x / scale` in this closed range pass the gradient, and `Qp` enters
    /// the gradient scale `1 / sqrt(n Qp)`.
    pub range: (f32, f32),
    /// Elements that share one extremum.
    pub scope: ThresholdScope,
}

impl Superposition {
    /// The paper's superposition of three one-bit groups, thresholds 0.7 and 0.9.
    pub fn paper(kind: Superposed, scope: ThresholdScope) -> Self {
        let lowest = match kind {
            Superposed::Attention => 0.0,
            Superposed::Value => -1.0,
        };
        Self {
            kind,
            thresholds: GROUP_THRESHOLDS.to_vec(),
            range: (lowest, 1.0),
            scope,
        }
    }

    /// Number of groups, and so of scales.
    pub fn groups(&self) -> usize {
        self.thresholds.len() + 1
    }
}
