//! What the book says of the tree.

use std::path::Path;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What begins a path in these pages.
const TOP: [&str; 7] = [
    ".ci/",
    "benches/",
    "crates/",
    "docs/",
    "examples/",
    "tests/",
    "tools/",
];

/// The paths that a page names between backticks.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split('`').skip(1).step_by(2);
    code.filter(|code| TOP.iter().any(|top| code.starts_with(top)))
}

#[test]
fn paths_that_the_book_names_are_there() {
    for page in [
        "README.md",
        "docs/src/guide/architecture.md",
        "docs/src/guide/extending.md",
    ] {
        let text = std::fs::read_to_string(Path::new(ROOT).join(page)).unwrap();
        let mut named = 0;
        for path in paths(&text) {
            named += 1;
            assert!(
                Path::new(ROOT).join(path).exists(),
                "{page} names {path}, which is not there"
            );
        }
        assert!(named >= 5, "{page} names {named} paths: is it still read?");
    }
}

/// A crate that the map does not list is not found.
#[test]
fn every_crate_is_in_the_tables() {
    for page in ["README.md", "docs/src/guide/architecture.md"] {
        let text = std::fs::read_to_string(Path::new(ROOT).join(page)).unwrap();
        for folder in std::fs::read_dir(Path::new(ROOT).join("crates")).unwrap() {
            let name = folder.unwrap().file_name().into_string().unwrap();
            let row = format!("| `crates/{name}` |");
            assert!(text.contains(&row), "{page} lacks a row {row}");
        }
    }
}
