//! What can go wrong that is not a programming mistake.

/// Errors of this crate. Mismatched shapes in a forward pass panic, as Burn's own do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The weight of the distillation is not a fraction.
    #[error("distillation alpha must be between 0 and 1, got {0}")]
    Alpha(f64),
    /// The temperature of the distillation does not divide.
    #[error("distillation temperature must be positive and finite, got {0}")]
    Temperature(f64),
    /// The label smoothing is not a fraction below one.
    #[error("label smoothing must be at least 0 and below 1, got {0}")]
    Smoothing(f64),
    /// Distillation was asked for without what it distils from or into.
    #[error("{kind} distillation needs {missing}, and none were given")]
    MissingLogits {
        /// The kind of distillation.
        kind: &'static str,
        /// Which logits are missing.
        missing: &'static str,
    },
    /// The targets are of the other kind.
    #[error("the {loss} loss takes {expected}, got {got}")]
    Targets {
        /// The base loss.
        loss: &'static str,
        /// The kind of targets it takes.
        expected: &'static str,
        /// The kind of targets given.
        got: &'static str,
    },
}
