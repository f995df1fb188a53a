//! A step of AdamW.

/// The numbers of a step of [`adamw`](crate::adamw).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// Share of the gradient in the first moment, `1 - beta1`.
    pub mix_1: f64,
    /// What is kept of the second moment, `beta2`.
    pub keep_2: f64,
    /// Share of the squared gradient in the second moment, `1 - beta2`.
    pub mix_2: f64,
    /// Root of the second moment's bias correction, `sqrt(1 - beta2^t)`.
    pub root_correction: f64,
    /// What is added to the root.
    pub epsilon: f64,
    /// Learning rate over the first moment's bias correction, `lr / (1 - beta1^t)`.
    pub rate: f64,
    /// What is kept of the weight, `1 - lr * decay`.
    pub keep: f64,
}
