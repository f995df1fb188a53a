//! Commands that a message asks to be copied.

use std::path::Path;

/// A path as a shell takes it.
pub fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    // A NUL, which no path has, is all that cannot be quoted.
    match shlex::try_quote(&path) {
        Ok(quoted) => quoted.into_owned(),
        Err(_) => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_copied() {
        let quoted = |path: &str| quoted(Path::new(path));
        assert_eq!(quoted("runs/digits-1/a.bpk"), "runs/digits-1/a.bpk");
        for path in ["my run/$a", "it's", "~/x", "a\"b`c`", "Größe"] {
            let quoted = quoted(path);
            assert_ne!(quoted, path);
            assert_eq!(shlex::split(&quoted), Some(vec![path.to_string()]));
        }
    }
}
