//! JID escaping: XEP-0106 version 1.1.1, <https://xmpp.org/extensions/xep-0106.html>
//!
//! Mail addresses and user names of directories may have characters that a localpart must not
//! have: `o'brien@example.org` is `o\27brien@example.org` here. Nothing else is escaped, so that
//! two spellings of one name are one address.

use std::borrow::Cow;

/// What a localpart must not have (RFC 7622 §3.3.1), and the space.
const ESCAPED: [(char, &str); 9] = [
    (' ', "\\20"),
    ('"', "\\22"),
    ('&', "\\26"),
    ('\'', "\\27"),
    ('/', "\\2f"),
    (':', "\\3a"),
    ('<', "\\3c"),
    ('>', "\\3e"),
    ('@', "\\40"),
];

/// The backslash is escaped where it would otherwise begin an escape (§4.2).
const BACKSLASH: &str = "\\5c";

/// Escapes a name. `None` for one that begins or ends with a space, which is nobody's (§4.2).
pub fn escape(name: &str) -> Option<Cow<'_, str>> {
    if name.starts_with(' ') || name.ends_with(' ') {
        return None;
    }
    let is_plain = |c: char| c != '\\' && ESCAPED.iter().all(|(escaped, _)| *escaped != c);
    if name.chars().all(is_plain) {
        return Some(Cow::Borrowed(name));
    }
    let mut out = String::with_capacity(name.len() + 8);
    for (at, c) in name.char_indices() {
        match ESCAPED.iter().find(|(escaped, _)| *escaped == c) {
            Some((_, escape)) => out.push_str(escape),
            None if c == '\\' && begins_escape(&name[at..]) => out.push_str(BACKSLASH),
            None => out.push(c),
        }
    }
    Some(Cow::Owned(out))
}

/// The name that a localpart stands for.
pub fn unescape(localpart: &str) -> Cow<'_, str> {
    if !localpart.contains('\\') {
        return Cow::Borrowed(localpart);
    }
    let mut out = String::with_capacity(localpart.len());
    let mut rest = localpart;
    while let Some(c) = rest.chars().next() {
        let known = ESCAPED
            .iter()
            .map(|(escaped, escape)| (*escaped, *escape))
            .chain([('\\', BACKSLASH)])
            .find(|(_, escape)| starts_with_escape(rest, escape));
        match known {
            Some((escaped, escape)) => {
                out.push(escaped);
                rest = &rest[escape.len()..];
            }
            None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    Cow::Owned(out)
}

fn begins_escape(text: &str) -> bool {
    starts_with_escape(text, BACKSLASH)
        || ESCAPED
            .iter()
            .any(|(_, escape)| starts_with_escape(text, escape))
}

/// Preparation lowers the digits, names as typed may have them in either case.
fn starts_with_escape(text: &str, escape: &str) -> bool {
    text.get(..escape.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(escape))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_specification_become_localparts_and_names_again() {
        // §5, without the examples that only its client side has.
        for (name, localpart) in [
            ("space cadet", "space\\20cadet"),
            ("call me \"ishmael\"", "call\\20me\\20\\22ishmael\\22"),
            ("at&t guy", "at\\26t\\20guy"),
            ("d'artagnan", "d\\27artagnan"),
            ("/.fanboy", "\\2f.fanboy"),
            ("::foo::", "\\3a\\3afoo\\3a\\3a"),
            ("<foo>", "\\3cfoo\\3e"),
            ("user@host", "user\\40host"),
            ("c:\\net", "c\\3a\\net"),
            ("c:\\5commas", "c\\3a\\5c5commas"),
            ("c:\\cool stuff", "c\\3a\\cool\\20stuff"),
            ("müller", "müller"),
        ] {
            assert_eq!(escape(name).as_deref(), Some(localpart), "{name}");
            assert_eq!(unescape(localpart), name);
        }
    }

    #[test]
    fn l09_space_around_a_name_is_nobody() {
        assert_eq!(escape(" doe"), None);
        assert_eq!(escape("doe "), None);
    }

    #[test]
    fn what_is_no_escape_stays() {
        for same in ["a\\b", "a\\2", "\\", "\\zz", "ä\\ö"] {
            assert_eq!(unescape(same), same);
            assert_eq!(escape(same).as_deref(), Some(same));
        }
    }
}
