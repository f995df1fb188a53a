//! Configuration files.

use std::path::Path;

use gsb_data::read_text;
use gsb_train::entries;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::merge::overlay;
use crate::error::Error;
use crate::options::path::expanded_text;

/// The entries that are paths.
const PATHS: [&str; 5] = [
    "/data/path",
    "/start/teacher",
    "/start/finetune",
    "/start/stage1",
    "/start/init",
];

/// A file of TOML or JSON, by its extension. `~` at the beginning of a path in it is the home folder.
pub fn read(path: &Path) -> Result<Value, Error> {
    let mut value = value(path)?;
    for entry in PATHS {
        if let Some(Value::String(path)) = value.pointer_mut(entry) {
            *path = expanded_text(path);
        }
    }
    Ok(value)
}

fn value(path: &Path) -> Result<Value, Error> {
    let text = read_text(path, "a configuration in TOML or JSON")?;
    let extension = path.extension().unwrap_or_default();
    if !extension.eq_ignore_ascii_case("toml") {
        return serde_json::from_str(&text).map_err(|error| {
            let hint = match extension.eq_ignore_ascii_case("json") {
                true => "",
                false => " (read as JSON: the name of a file in TOML ends in .toml)",
            };
            Error::file(path, format!("{error}{hint}"))
        });
    }
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().map_or(0, |span| span.start);
        let line = 1 + text
            .bytes()
            .take(before)
            .filter(|&byte| byte == b'\n')
            .count();
        Error::file(path, format!("line {line}: {}", error.message()))
    })?;
    if let Some(key) = table.iter().find_map(|(key, value)| not_finite(key, value)) {
        let reason = format!("{key}: expected a finite number");
        return Err(Error::file(path, reason));
    }
    serde_json::to_value(table).map_err(|error| Error::file(path, error))
}

/// The key of a number that JSON does not have.
fn not_finite(key: &str, value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::Float(number) if !number.is_finite() => Some(key.into()),
        toml::Value::Table(table) => table
            .iter()
            .find_map(|(inner, value)| not_finite(&format!("{key}.{inner}"), value)),
        toml::Value::Array(values) => values.iter().find_map(|value| not_finite(key, value)),
        _ => None,
    }
}

/// What a file says, or at which of its keys it does not; in a `part` of it, or in all for an empty one.
pub fn parsed<T: DeserializeOwned>(value: Value, path: &Path, part: &str) -> Result<T, Error> {
    entries::deserialize(value).map_err(|wrong| Error::file(path, wrong.within(part)))
}

/// A configuration with what a file, or a `part` of it, says in place of its own.
pub fn merged<T>(config: &T, file: Value, path: &Path, part: &str) -> Result<T, Error>
where
    T: Serialize + DeserializeOwned,
{
    let mut value = serde_json::to_value(config).map_err(|error| Error::file(path, error))?;
    overlay(&mut value, file);
    parsed(value, path, part)
}
