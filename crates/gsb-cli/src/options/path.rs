//! Paths as people write them.

use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser};

/// The value of an option: `~` is the home folder. Shells expand it in `--option ~/x`, but not in
/// `--option=~/x`.
pub fn option() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().map(expanded)
}

/// An argument without an option. Shells expand `~` there: one that is left is taken for the home
/// folder only if there is nothing of that name.
pub fn argument() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().map(|path| match path.exists() {
        true => path,
        false => expanded(path),
    })
}

/// A path with the home folder in place of a `~` at its beginning.
fn expanded(path: PathBuf) -> PathBuf {
    match path.strip_prefix("~") {
        Ok(rest) => Path::new(&*shellexpand::tilde("~")).join(rest),
        Err(_) => path,
    }
}

/// As [`option`], of an entry in a configuration file.
pub fn expanded_text(path: &str) -> String {
    shellexpand::tilde(path).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_is_the_home_folder_at_the_beginning_alone() {
        let home = shellexpand::tilde("~").into_owned();
        assert_ne!(home, "~");
        let path = |text: &str| expanded(text.into());
        assert_eq!(path("~/x/y"), Path::new(&home).join("x/y"));
        assert_eq!(path("~"), Path::new(&home));
        for other in ["x/~", "./~/x", "~somebody/x", "x~"] {
            assert_eq!(path(other), Path::new(other));
        }
    }
}
