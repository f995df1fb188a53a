//! What a pickle says.

use super::reader::Reader;
use super::value::Value;

/// An entry of a dictionary.
pub(super) struct Item {
    pub dict: u32,
    pub key: u32,
    pub value: Value,
}

/// What a pickle says, once run.
pub(crate) struct Pickle<'a> {
    pub(super) bytes: &'a [u8],
    /// The items of tuples and calls.
    pub(super) places: Vec<Value>,
    pub(super) wide: Vec<u64>,
    /// The entries of all dictionaries that have text for a key.
    pub(super) items: Vec<Item>,
    /// The items of a list that is everything.
    pub(super) listed: Vec<Value>,
    /// What data are referred to by, in order.
    pub(super) storages: Vec<Value>,
    pub(super) root: Value,
    pub(super) len: usize,
}

impl<'a> Pickle<'a> {
    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What was pickled.
    pub(crate) fn root(&self) -> Value {
        self.root
    }

    /// The entries of a dictionary in order, those with text for a key.
    pub(crate) fn items(&self, dict: u32) -> impl Iterator<Item = (&'a str, Value)> {
        self.keyed(dict).map(|(key, value)| (self.key(key), value))
    }

    /// The same with keys as [`key`](Self::key) knows them.
    pub(crate) fn keyed(&self, dict: u32) -> impl Iterator<Item = (u32, Value)> {
        let start = self.items.partition_point(|item| item.dict < dict);
        let items = self.items[start..]
            .iter()
            .take_while(move |item| item.dict == dict);
        items.map(|item| (item.key, item.value))
    }

    /// The text of a key.
    pub(crate) fn key(&self, key: u32) -> &'a str {
        text_at(self.bytes, key)
    }

    /// The number of dictionaries; they count from 1.
    pub(crate) fn dicts(&self) -> usize {
        self.items.last().map_or(0, |item| item.dict as usize)
    }

    /// What data are referred to by, in order and as often as they are.
    pub(crate) fn storages(&self) -> impl Iterator<Item = Value> {
        self.storages.iter().copied()
    }

    /// The items of a tuple, a storage or a list that is everything.
    pub(crate) fn sequence(&self, value: Value) -> Option<&[Value]> {
        match value {
            Value::List => Some(&self.listed),
            value => self.tuple(value),
        }
    }

    /// The items of a tuple or storage.
    pub(crate) fn tuple(&self, value: Value) -> Option<&[Value]> {
        match value {
            Value::Tuple { len, at } | Value::Storage { len, at } => {
                let at = at as usize;
                self.places.get(at..at + usize::from(len))
            }
            _ => None,
        }
    }

    /// The function and the arguments of a call.
    pub(crate) fn call(&self, value: Value) -> Option<(Value, Value)> {
        match value {
            Value::Call(at) => {
                let at = at as usize;
                Some((*self.places.get(at)?, *self.places.get(at + 1)?))
            }
            _ => None,
        }
    }

    pub(crate) fn size(&self, value: Value) -> Option<usize> {
        match value {
            Value::Int(value) => usize::try_from(value).ok(),
            Value::Wide(at) => usize::try_from(*self.wide.get(at as usize)?).ok(),
            _ => None,
        }
    }

    pub(crate) fn text(&self, value: Value) -> Option<&'a str> {
        match value {
            Value::Text(at) => Some(text_at(self.bytes, at)),
            _ => None,
        }
    }

    /// Whether a value is a tensor, maybe of a kind that is not read, such as a sparse one.
    pub(crate) fn is_tensor(&self, value: Value) -> bool {
        match value {
            Value::Call(_) => true,
            Value::Object(_) => self
                .foreign(value)
                .is_some_and(|name| name.starts_with("_rebuild")),
            _ => false,
        }
    }

    /// The name of a foreign function or class, or of the one that made an object.
    pub(crate) fn foreign(&self, value: Value) -> Option<&'a str> {
        match value {
            Value::Foreign(at) | Value::Object(at) => Some(text_at(self.bytes, at)),
            _ => None,
        }
    }
}

/// The text of the operation at a position: a string, or the name that a global ends with.
///
/// It was read before, when the operation was run.
fn text_at(bytes: &[u8], at: u32) -> &str {
    let mut reader = Reader {
        bytes,
        at: at as usize,
    };
    let text = match reader.byte() {
        Ok(b'c') => reader.global().map(|(_, name)| name),
        Ok(op) => reader.string(op),
        Err(problem) => Err(problem),
    };
    text.unwrap_or_default()
}
