//! Text that does to a terminal what it says: files of others name tensors, classes and themselves.

use std::borrow::Cow;

/// Text with control characters as escapes, but for line breaks and tabs.
pub fn plain(text: &str) -> Cow<'_, str> {
    without(text, |c| c.is_control() && !"\n\t".contains(c))
}

/// A name within a line, with all control characters as escapes.
pub fn name(name: &str) -> Cow<'_, str> {
    without(name, char::is_control)
}

fn without(text: &str, refused: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&refused) {
        return text.into();
    }
    let escaped = |c: char| match refused(c) {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(escaped).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_text_reaches_a_terminal() {
        assert_eq!(plain("größer\tals\n1 %\n"), "größer\tals\n1 %\n");
        assert_eq!(
            plain("\x1b[31mred\x07\u{9b}2J\rcat\n"),
            "\\u{1b}[31mred\\u{7}\\u{9b}2J\\rcat\n"
        );
        assert_eq!(
            name("cat\nfake.png  cat 99.9 %"),
            "cat\\nfake.png  cat 99.9 %"
        );
        assert_eq!(name("Kätzchen"), "Kätzchen");
    }
}
