//! Results for programs.

use serde::Serialize;

use crate::error::Error;

/// Results as JSON, to be printed.
///
/// # Errors
/// If they are not what JSON holds.
pub fn json(results: &impl Serialize) -> Result<String, Error> {
    let text = serde_json::to_string_pretty(results).map_err(std::io::Error::from)?;
    Ok(text + "\n")
}
