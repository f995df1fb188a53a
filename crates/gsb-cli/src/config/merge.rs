//! What is given, laid over what is there.

use serde_json::{Map, Value};

/// Lays what is given over a configuration.
pub fn overlay(value: &mut Value, over: Value) {
    match (value, over) {
        (Value::Object(fields), Value::Object(over)) if !is_choice(&over) => {
            for (key, over) in over {
                overlay(fields.entry(key).or_insert(Value::Null), over);
            }
        }
        (value, over) => *value = over,
    }
}

/// Whether it is one of several alternatives, which replaces another instead of completing it: a
/// variant with a capital letter, or one of a kind. A group of settings has therefore no field `kind`.
fn is_choice(fields: &Map<String, Value>) -> bool {
    fields.contains_key("kind")
        || (fields.len() == 1
            && fields
                .keys()
                .all(|key| key.starts_with(|first: char| first.is_uppercase())))
}
