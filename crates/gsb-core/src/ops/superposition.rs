//! What a superposition operation is parametrised by.

use gsb_numerics::{GROUP_THRESHOLDS, ThresholdScope};
use serde::{Deserialize, Serialize};

/// Which of the two superpositions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Superposed {
    /// Of a non-negative tensor: groups near the maximum, each adding its scale.
    Attention,
    /// Of a signed tensor: groups near both extrema, each adding its scale times the sign.
    Value,
}

/// Where the superposition of a value lets the gradient of its input pass, and how many times.
///
/// The gradients of the scales do not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueGradient {
    /// As the published code does: once for each group whose part of the element is in its range, which is that of every
    /// group that the element is not in. Of three groups, most elements get two or three times the gradient, and next to
    /// none gets nothing.
    #[default]
    Published,
    /// Once, where the element is in the range of the first group, as in the plain binarizer. For a single group there is
    /// no difference.
    Plain,
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
    /// Where a value lets the gradient pass; an attention matrix has one way.
    pub value_gradient: ValueGradient,
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
            value_gradient: ValueGradient::Published,
        }
    }

    /// Number of groups, and so of scales.
    pub fn groups(&self) -> usize {
        self.thresholds.len() + 1
    }
}
