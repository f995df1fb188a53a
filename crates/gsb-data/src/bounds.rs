//! Which values of options are possible.

use crate::Error;

pub(crate) fn refuse<T>(option: &'static str, problem: String) -> Result<T, Error> {
    Err(Error::Option { option, problem })
}

/// From 0 to 1.
pub(crate) fn probability(option: &'static str, value: f64) -> Result<(), Error> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    refuse(option, format!("must be between 0 and 1, got {value}"))
}

/// At least 0 and finite.
pub(crate) fn not_negative(option: &'static str, value: f64) -> Result<(), Error> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    refuse(
        option,
        format!("must be at least 0 and finite, got {value}"),
    )
}

/// Two numbers above 0, the first not above the second.
pub(crate) fn interval(option: &'static str, [low, high]: [f64; 2]) -> Result<(), Error> {
    if low > 0.0 && low <= high && high.is_finite() {
        return Ok(());
    }
    let problem = format!("must be two numbers above 0, the larger one last, got {low} and {high}");
    refuse(option, problem)
}
