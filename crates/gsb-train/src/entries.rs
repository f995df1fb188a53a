//! What is wrong with an entry of a configuration, in words that need no Rust.

use serde_json::Value;
use serde_path_to_error::Error;

/// How Rust calls numbers, and how others do.
const NUMBERS: [(&str, &str); 5] = [
    ("expected usize", "expected a whole number, not below 0"),
    ("expected u64", "expected a whole number, not below 0"),
    ("expected u8", "expected a whole number from 0 to 255"),
    ("expected f64", "expected a number"),
    ("expected f32", "expected a number"),
];

/// What a value is to be.
///
/// # Errors
/// If it is not, at which entry.
pub fn deserialize<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Wrong> {
    serde_path_to_error::deserialize(value).map_err(Wrong::from)
}

/// What is wrong with an entry.
#[derive(Debug)]
pub struct Wrong {
    /// Its keys, with dots between them; nothing for the whole.
    pub entry: String,
    /// What was found and what was expected.
    pub reason: String,
}

impl Wrong {
    /// The same of an entry that lies in a part of a larger configuration, or in the whole for an empty one.
    pub fn within(self, part: &str) -> Self {
        let entry = [part, &self.entry].join(".");
        Self {
            entry: entry.trim_matches('.').into(),
            reason: self.reason,
        }
    }
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.entry.as_str() {
            "" => f.write_str(&self.reason),
            entry => write!(f, "{entry}: {}", self.reason),
        }
    }
}

impl std::error::Error for Wrong {}

impl From<Error<serde_json::Error>> for Wrong {
    fn from(error: Error<serde_json::Error>) -> Self {
        let entry = error.path().to_string();
        let mut reason = error.into_inner().to_string();
        for (of_rust, plain) in NUMBERS {
            if let Some(before) = reason.strip_suffix(of_rust) {
                reason = [before, plain].concat();
            }
        }
        Self { entry, reason }.within("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_called_by_what_they_are() {
        let text = |result: Result<(), Wrong>| result.unwrap_err().to_string();
        let count = deserialize::<Vec<usize>>(json!([1, -1])).map(drop);
        assert_eq!(
            text(count),
            "[1]: invalid value: integer `-1`, expected a whole number, not below 0"
        );
        let number = deserialize::<f64>(json!("x")).map(drop);
        assert_eq!(
            text(number),
            "invalid type: string \"x\", expected a number"
        );
        let text = deserialize::<std::collections::BTreeMap<String, f64>>(json!({"a": null}));
        let wrong = text.unwrap_err().within("recipe.model");
        assert_eq!(wrong.entry, "recipe.model.a");
    }
}
