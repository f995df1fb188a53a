//! Files that are part of the program.

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// A file of a page: its path, such as `/app.js`, its type and its bytes.
pub type PageFile = (&'static str, &'static str, &'static [u8]);

/// The description of the service in OpenAPI 3.1, JSON.
pub const OPENAPI: &str = include_str!("openapi.json");

/// The page where there is no other.
pub const INDEX: &[PageFile] = &[(
    "/",
    "text/html; charset=utf-8",
    include_bytes!("index.html"),
)];

/// The file of a path; `/` is also the one of `/index.html`.
pub fn find(page: &[PageFile], path: &str) -> Option<Response> {
    let named = |name: &str| {
        page.iter()
            .find(|file| file.0.trim_start_matches('/') == name)
    };
    let path = path.trim_start_matches('/');
    let file = named(path).or_else(|| {
        if path.is_empty() {
            named("index.html")
        } else {
            None
        }
    });
    file.map(|&(_, kind, bytes)| {
        let headers = [
            (header::CONTENT_TYPE, kind),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        (headers, bytes).into_response()
    })
}
