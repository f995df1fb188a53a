//! A page in a folder, to be served.

use std::path::Path;

use gsb_serve::PageFile;

use crate::error::Error;

/// What a page may weigh.
const MOST: u64 = 64 << 20;

/// The files of a page, which stay in memory as long as the program runs: those right in the folder.
///
/// # Errors
/// If the folder cannot be read, has no `index.html` or weighs more than 64 MiB.
pub fn page(folder: &Path) -> Result<&'static [PageFile], Error> {
    let failed = |error| Error::file(folder, error);
    let (mut page, mut bytes): (Vec<PageFile>, u64) = (Vec::new(), 0);
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let about = std::fs::metadata(&path).map_err(|error| Error::file(&path, error))?;
        if !about.is_file() {
            continue;
        }
        bytes += about.len();
        if bytes > MOST {
            return Err(Error::file(folder, "a page of more than 64 MiB"));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let contents = std::fs::read(&path).map_err(|error| Error::file(&path, error))?;
        page.push((name.into_owned().leak(), media_type(&path), contents.leak()));
    }
    if !page.iter().any(|file| file.0 == "index.html") {
        let reason =
            "no page: expected a folder with index.html, such as web/dist after `just web`";
        return Err(Error::file(folder, reason));
    }
    Ok(page.leak())
}

fn media_type(path: &Path) -> &'static str {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_an_index_and_types() {
        let folder = tempfile::tempdir().unwrap();
        let error = page(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("expected a folder with index.html"),
            "{error}"
        );
        assert!(page(&folder.path().join("none")).is_err());
        std::fs::write(folder.path().join("index.html"), "<p>").unwrap();
        std::fs::write(folder.path().join("page.js"), "1").unwrap();
        std::fs::create_dir(folder.path().join("more")).unwrap();
        let mut page = page(folder.path()).unwrap().to_vec();
        page.sort();
        let expected: [PageFile; 2] = [
            ("index.html", "text/html; charset=utf-8", b"<p>"),
            ("page.js", "text/javascript; charset=utf-8", b"1"),
        ];
        assert_eq!(page, expected);
    }
}
