//! Texts with a NUL, which PostgreSQL's have not. XML 1.0 has none either (§2.2), so no client
//! can send one; whoever asks with one all the same finds what is there, and no error.

use std::borrow::Cow;

/// Not allowed in XML either.
const ESCAPE: char = '\u{1}';

/// A text as it is bound.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    match text.contains(['\0', ESCAPE]) {
        true => Cow::Owned(text.replace(ESCAPE, "\u{1}1").replace('\0', "\u{1}0")),
        false => Cow::Borrowed(text),
    }
}

/// The text that was bound so.
pub(super) fn unescaped(text: String) -> String {
    match text.contains(ESCAPE) {
        true => text.replace("\u{1}0", "\0").replace("\u{1}1", "\u{1}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back() {
        for text in [
            "",
            "plain",
            "a\0b",
            "\u{1}",
            "\u{1}0",
            "\0\u{1}\0",
            "\u{1}\0",
        ] {
            let bound = escaped(text);
            assert!(!bound.contains('\0'));
            assert_eq!(unescaped(bound.into_owned()), text);
        }
    }
}
