//! Paths in configurations, as those of a run have them: JSON holds UTF-8 alone, file names any bytes.
//!
//! ```
//! use std::path::PathBuf;
//!
//! #[derive(serde::Deserialize, serde::Serialize)]
//! struct Options {
//!     #[serde(with = "gsb_train::path_text", default)]
//!     teacher: Option<PathBuf>,
//! }
//!
//! let options: Options = serde_json::from_str(r#"{"teacher": "runs/1/teacher.bpk"}"#)?;
//! assert_eq!(options.teacher, Some("runs/1/teacher.bpk".into()));
//! # Ok::<(), serde_json::Error>(())
//! ```

use std::ffi::OsString;
use std::path::PathBuf;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

/// A path as text, or as the list of its bytes where it is not UTF-8.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a path")]
enum Text {
    Text(String),
    Bytes(Vec<u8>),
}

/// Writes a path as text, or as the list of its bytes where it is not UTF-8.
///
/// # Errors
/// Those of the format.
pub fn serialize<S: Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
    let Some(path) = path else {
        return to.serialize_none();
    };
    match path.to_str() {
        Some(text) => to.serialize_some(text),
        None => to.collect_seq(path.as_os_str().as_encoded_bytes()),
    }
}

/// Reads what [`serialize`] writes.
///
/// # Errors
/// If it is neither text nor bytes, or bytes that are no path on this system.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
    let path = match Option::<Text>::deserialize(from)? {
        None => return Ok(None),
        Some(Text::Text(text)) => text.into(),
        Some(Text::Bytes(bytes)) => name(bytes).map_err(D::Error::custom)?,
    };
    Ok(Some(PathBuf::from(path)))
}

#[cfg(unix)]
fn name(bytes: Vec<u8>) -> Result<OsString, std::convert::Infallible> {
    Ok(std::os::unix::ffi::OsStringExt::from_vec(bytes))
}

#[cfg(not(unix))]
fn name(bytes: Vec<u8>) -> Result<OsString, std::string::FromUtf8Error> {
    String::from_utf8(bytes).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Entry {
        #[serde(with = "super", default)]
        path: Option<PathBuf>,
    }

    #[cfg(unix)]
    #[test]
    fn any_path_comes_back() {
        use std::os::unix::ffi::OsStringExt;

        for path in [&b"runs/1/teacher.bpk"[..], b"caf\xe9/teacher.bpk"] {
            let entry = Entry {
                path: Some(OsString::from_vec(path.into()).into()),
            };
            let json = serde_json::to_value(&entry).unwrap();
            assert_eq!(serde_json::from_value::<Entry>(json).unwrap(), entry);
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let wrong = serde_json::from_str::<Entry>(r#"{"path": 3}"#);
        assert_eq!(
            wrong.unwrap_err().to_string().split(" at ").next(),
            Some("expected a path")
        );
        assert_eq!(
            serde_json::from_str::<Entry>("{}").unwrap(),
            Entry { path: None }
        );
    }
}
