//! Files that are part of the program.

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// A file of a page: its path, such as `/app.js`, its type and its bytes.
pub type PageFile = (&'static str, &'static str, &'static [u8]);

/// The description of the service in OpenAPI 3.1, JSON.
pub const OPENAPI: &str = include_str!("openapi.json");

const HTML: &str = "text/html; charset=utf-8";

/// The page where there is no other.
#[cfg(not(feature = "page"))]
pub const INDEX: &[PageFile] = &[("/", HTML, include_bytes!("index.html"))];

/// The page where there is no other: that of the repository's `web/`.
#[cfg(feature = "page")]
pub const INDEX: &[PageFile] = {
    // The feature `page` needs the page: `just page` makes it, and needs the repository.
    macro_rules! made_by_just_page {
        ($name:literal) => {
            include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../web/dist/",
                $name
            ))
        };
    }
    const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
    &[
        ("index.html", HTML, made_by_just_page!("index.html")),
        ("modern.js", JAVASCRIPT, made_by_just_page!("modern.js")),
        ("fallback.js", JAVASCRIPT, made_by_just_page!("fallback.js")),
        ("teacher.js", JAVASCRIPT, made_by_just_page!("teacher.js")),
        ("mnist.js", JAVASCRIPT, made_by_just_page!("mnist.js")),
        ("flowers.js", JAVASCRIPT, made_by_just_page!("flowers.js")),
        ("offline.js", JAVASCRIPT, made_by_just_page!("offline.js")),
    ]
};

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
