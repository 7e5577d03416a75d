//! Text of files in messages.

use std::borrow::Cow;
use std::fmt::Write;

/// `text` with its control characters written as escapes (`\u{1b}`), but for the ends of lines: what a damaged or hostile file holds
/// must not move the cursor of a terminal or rename its window.
pub fn printable(text: &str) -> Cow<'_, str> {
    let is_hidden = |c: char| c.is_control() && c != '\n';
    if !text.contains(is_hidden) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_hidden(c) {
            // Writing to a string does not fail.
            let _ = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert!(matches!(
            printable("C\u{e4}\nb"),
            Cow::Borrowed("C\u{e4}\nb")
        ));
        assert_eq!(
            printable("a\u{1b}]0;x\u{7}\r\0\u{9b}2J"),
            "a\\u{1b}]0;x\\u{7}\\r\\u{0}\\u{9b}2J"
        );
    }
}
