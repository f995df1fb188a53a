//! Numbers within their bounds.

use clap::builder::RangedU64ValueParser;

/// A count from 1 on.
pub fn positive() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=1_000_000_000)
}

/// A count that memory is taken for.
pub fn few() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=1024)
}

/// A count of what is done again and again.
pub fn rounds(least: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(least..=1_000_000)
}

/// A learning rate.
pub fn learning_rate(text: &str) -> Result<f64, String> {
    number(
        text,
        |rate| rate > 0.0 && rate <= 1.0,
        "above 0 and at most 1",
    )
}

/// A share of a whole.
pub fn fraction(text: &str) -> Result<f64, String> {
    number(
        text,
        |share| (0.0..=1.0).contains(&share),
        "between 0 and 1",
    )
}

/// A share of a whole that is something and leaves something.
pub fn part(text: &str) -> Result<f64, String> {
    number(
        text,
        |share| share > 0.0 && share < 1.0,
        "above 0 and below 1",
    )
}

/// A share of a whole that leaves something.
pub fn below_one(text: &str) -> Result<f64, String> {
    number(
        text,
        |share| (0.0..1.0).contains(&share),
        "at least 0 and below 1",
    )
}

/// A number that is not negative.
pub fn not_negative(text: &str) -> Result<f64, String> {
    number(text, |x| x >= 0.0 && x.is_finite(), "at least 0 and finite")
}

/// A number above zero.
pub fn above_zero(text: &str) -> Result<f64, String> {
    number(text, |x| x > 0.0 && x.is_finite(), "above 0 and finite")
}

fn number(text: &str, allowed: impl Fn(f64) -> bool, expected: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if allowed(value) => Ok(value),
        Ok(_) => Err(format!("expected a number {expected}")),
        Err(error) => Err(error.to_string()),
    }
}
