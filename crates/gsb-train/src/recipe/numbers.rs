//! Numbers within their bounds.

use crate::error::Error;

/// Refuses what is not a number from 0 on.
pub(super) fn not_negative(option: &str, value: f64) -> Result<(), Error> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    let reason = format!("must be at least 0 and finite, got {value}");
    Err(Error::option(option, reason))
}

/// Whether a weight is that of recipes from before it could be chosen, which say nothing of it.
pub(super) fn is_zero(weight: &f64) -> bool {
    *weight == 0.0
}
