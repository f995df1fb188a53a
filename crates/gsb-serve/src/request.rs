//! What a request for predictions asks for.

use std::convert::Infallible;

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use futures_lite::stream;
use gsb_image::Orientation;
use multer::Multipart;
use serde::Deserialize;

use crate::refusal::Refusal;

/// The query of a request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// The name of the model; without it the first.
    pub model: Option<String>,
    /// How many classes to answer.
    #[serde(default = "five")]
    pub top_k: usize,
    /// What of the attention to answer.
    #[serde(default)]
    pub attention: Wanted,
    /// Whether pictures are turned as their camera noted.
    #[serde(default)]
    pub orientation: Turn,
}

fn five() -> usize {
    5
}

/// What of the attention is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// Nothing.
    #[default]
    None,
    /// Its rollout.
    Rollout,
    /// Each head of each layer.
    Heads,
}

/// How pictures are turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Turn {
    /// As their camera noted.
    #[default]
    Upright,
    /// Not at all.
    Stored,
}

impl From<Turn> for Orientation {
    fn from(turn: Turn) -> Self {
        match turn {
            Turn::Upright => Self::Upright,
            Turn::Stored => Self::Stored,
        }
    }
}

/// A file that should be a picture.
#[derive(Debug)]
pub struct Picture {
    /// What answers call it.
    pub name: String,
    /// Its bytes.
    pub bytes: Bytes,
}

/// What the body is, by its headers.
#[derive(Debug, PartialEq)]
pub enum Form {
    /// A picture.
    Picture,
    /// Several, with what lies between them.
    Multipart(String),
}

/// Types of pictures that are decoded; which one it is, its bytes tell.
const PICTURES: [&str; 11] = [
    "image/jpeg",
    "image/jpg",
    "image/png",
    "image/webp",
    "image/gif",
    "image/bmp",
    "image/tiff",
    "image/x-portable-bitmap",
    "image/x-portable-graymap",
    "image/x-portable-pixmap",
    "image/x-portable-anymap",
];

/// What bodies may be, for refusals.
const EXPECTED: &str = "expected a picture (Content-Type: image/jpeg, image/png, image/webp, image/gif, image/bmp, \
                        image/tiff or image/x-portable-anymap) or several as multipart/form-data";

impl Form {
    /// What the headers say.
    ///
    /// # Errors
    /// 415 if it is nothing with pictures, 400 if several have nothing between them.
    pub fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let encoding = headers.get(header::CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| encoding != "identity") {
            return Err(Refusal::media_type(
                "Content-Encoding: a body is taken as it is, not compressed",
            ));
        }
        let Some(value) = headers.get(header::CONTENT_TYPE) else {
            return Err(Refusal::media_type(format!("no Content-Type: {EXPECTED}")));
        };
        let value = String::from_utf8_lossy(value.as_bytes());
        let kind = essence(&value);
        if kind == "multipart/form-data" {
            let boundary = multer::parse_boundary(&*value);
            return boundary
                .map(Self::Multipart)
                .map_err(|error| Refusal::malformed(format!("Content-Type: {error}")));
        }
        if PICTURES.contains(&&*kind) {
            return Ok(Self::Picture);
        }
        Err(Refusal::media_type(format!(
            "Content-Type: {kind}: {EXPECTED}"
        )))
    }

    /// The pictures of a body, at least one.
    ///
    /// # Errors
    /// 400 if it is malformed or there is none, 413 if there are too many, 415 for a part that is no
    /// picture by its type.
    pub async fn pictures(self, body: Vec<u8>, most: usize) -> Result<Vec<Picture>, Refusal> {
        let body = Bytes::from(body);
        let boundary = match self {
            Self::Picture if body.is_empty() => {
                return Err(Refusal::malformed("the body is empty: expected a picture"));
            }
            Self::Picture => {
                return Ok(vec![Picture {
                    name: "picture".into(),
                    bytes: body,
                }]);
            }
            Self::Multipart(boundary) => boundary,
        };
        let malformed =
            |error: multer::Error| Refusal::malformed(format!("multipart/form-data: {error}"));
        let whole = stream::once(Ok::<_, Infallible>(body));
        let mut parts = Multipart::new(whole, boundary);
        let mut pictures = Vec::new();
        while let Some(part) = parts.next_field().await.map_err(malformed)? {
            let label = part.name().unwrap_or_default().to_string();
            let Some(name) = part.file_name().map(str::to_string) else {
                let reason =
                    format!("part {label:?} is no file: options stand in the query, as ?top_k=3");
                return Err(Refusal::malformed(reason));
            };
            let kind = part
                .content_type()
                .map(|kind| kind.essence_str().to_lowercase());
            if let Some(kind) = kind
                && kind != "application/octet-stream"
                && !PICTURES.contains(&&*kind)
            {
                return Err(Refusal::media_type(format!(
                    "{name}: Content-Type: {kind}: {EXPECTED}"
                )));
            }
            if pictures.len() == most {
                let reason = format!("more than {most} pictures, which is the limit of a request");
                return Err(Refusal::too_large(reason));
            }
            let bytes = part.bytes().await.map_err(malformed)?;
            pictures.push(Picture { name, bytes });
        }
        if pictures.is_empty() {
            return Err(Refusal::malformed("multipart/form-data: no picture in it"));
        }
        Ok(pictures)
    }
}

/// A type without its parameters.
fn essence(value: &str) -> String {
    let end = value.find(';').unwrap_or(value.len());
    value[..end].trim().to_lowercase()
}
