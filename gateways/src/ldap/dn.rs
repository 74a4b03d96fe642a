//! Distinguished names, compared by what they mean (RFC 4514, RFC 4517 §4.2.15).
//!
//! The same entry is written with another case, with spaces, and with other escapes where a group
//! names its members. Leaves out the names of attributes as numbers, and values in BER (`#04…`),
//! which are compared as they stand.

/// A name in the one form that all ways to write it have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dn {
    /// The entry's own part first.
    parts: Vec<String>,
}

/// No directory nests deeper.
const PARTS_MAX: usize = 64;

impl Dn {
    /// Reads a name; `None` for what is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        if text.trim().is_empty() {
            return Some(Self { parts });
        }
        // RFC 2253 §4: older ones are written with semicolons.
        for part in split(text, &[',', ';'])? {
            if parts.len() >= PARTS_MAX {
                return None;
            }
            let several = split(part, &['+'])?;
            let mut values: Vec<String> = several.into_iter().map(value).collect::<Option<_>>()?;
            values.sort_unstable();
            parts.push(values.join("+"));
        }
        Some(Self { parts })
    }

    /// Whether it is that entry, or one below it.
    pub fn is_within(&self, base: &Self) -> bool {
        self.parts.ends_with(&base.parts)
    }

    /// Whether it is below an entry with this part, as in `ou=special users`.
    pub fn has(&self, part: &str) -> bool {
        self.parts.iter().skip(1).any(|it| it == part)
    }

    /// Its own part, as in `cn=kolab-admin`, if it has one.
    pub fn own(&self) -> Option<&str> {
        self.parts.first().map(String::as_str)
    }
}

/// Cuts a text where one of these stands that is neither escaped nor in quotes.
fn split<'a>(text: &'a str, at: &[char]) -> Option<Vec<&'a str>> {
    let mut found = Vec::new();
    let (mut from, mut is_escaped, mut is_quoted) = (0, false, false);
    for (place, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ if !is_quoted && at.contains(&character) => {
                found.push(text.get(from..place)?);
                from = place + character.len_utf8();
            }
            _ => {}
        }
    }
    found.push(text.get(from..)?);
    (!is_escaped && !is_quoted).then_some(found)
}

/// One attribute with its value, as they are compared.
fn value(text: &str) -> Option<String> {
    let (name, value) = text.split_once('=')?;
    let name = name.trim().to_ascii_lowercase();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_name) {
        return None;
    }
    let value = prepared(&unescaped(value)?);
    // What separates is escaped again, so that no value looks like two.
    let value = value.replace('\\', "\\\\").replace('+', "\\+");
    Some(format!("{name}={value}"))
}

/// RFC 4514 §2.4: a backslash before a character or two hexadecimal digits; spaces around a value
/// are none of it unless they are escaped.
fn unescaped(text: &str) -> Option<String> {
    let text = text.trim_start();
    let quoted = text.trim_end().strip_prefix('"');
    if let Some(inner) = quoted.and_then(|it| it.strip_suffix('"')) {
        return unescaped_bytes(inner);
    }
    unescaped_bytes(without_end(text))
}

/// Without the spaces at its end, but for one that is escaped.
fn without_end(text: &str) -> &str {
    let trimmed = text.trim_end_matches(' ');
    let slashes = trimmed.len() - trimmed.trim_end_matches('\\').len();
    match slashes % 2 == 1 && trimmed.len() < text.len() {
        true => &text[..trimmed.len() + 1],
        false => trimmed,
    }
}

fn unescaped_bytes(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            bytes.push(*byte);
            continue;
        }
        let digits = rest.get(..2).and_then(|it| str::from_utf8(it).ok());
        match digits.and_then(|it| u8::from_str_radix(it, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = rest.get(2..)?;
            }
            None => {
                let (byte, after) = rest.split_first()?;
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

/// caseIgnoreMatch (RFC 4518 §2): no case, and one space for several.
fn prepared(value: &str) -> String {
    let words: Vec<&str> = value.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dn(text: &str) -> Dn {
        Dn::parse(text).unwrap()
    }

    #[test]
    fn one_entry_is_written_in_many_ways() {
        let doe = dn("uid=doe,ou=People,dc=example,dc=org");
        for same in [
            "UID=Doe, OU=people , DC=Example,dc=ORG",
            "uid = doe ;ou=\"People\";dc=example;dc=org",
            "uid=\\64oe,ou=Peopl\\65,dc=example,dc=org",
            "uid=d\\6fe,ou=People,dc=example,dc=org  ",
        ] {
            assert_eq!(dn(same), doe, "{same}");
        }
        assert_eq!(dn("uid=m\\C3\\BCller,dc=x"), dn("uid=Müller,dc=x"));
        assert_eq!(dn("cn=Poe\\, Jane,dc=x"), dn("cn=\"poe,  jane\",dc=x"));
        assert_eq!(dn("cn=a+uid=b,dc=x"), dn("uid=B + cn=A,dc=x"));
        assert_eq!(dn("cn=a\\ ,dc=x"), dn("cn=a,dc=x"), "spaces have no weight");
    }

    #[test]
    fn other_entries_are_others() {
        for (one, other) in [
            ("uid=doe,dc=x", "uid=doe,dc=y"),
            ("uid=doe,dc=x", "cn=doe,dc=x"),
            ("cn=a\\+uid=b,dc=x", "cn=a+uid=b,dc=x"),
            ("cn=a\\,dc=x", "cn=a,dc=x"),
            ("uid=muller,dc=x", "uid=müller,dc=x"),
        ] {
            assert_ne!(dn(one), dn(other), "{one}");
        }
    }

    #[test]
    fn what_is_below_a_base_is_told_by_parts() {
        let base = dn("ou=People,dc=example,dc=org");
        assert!(dn("uid=doe,OU=people,dc=example,dc=org").is_within(&base));
        assert!(base.is_within(&base));
        assert!(base.is_within(&dn("")));
        for outside in [
            "uid=doe,ou=Special Users,dc=example,dc=org",
            "dc=example,dc=org",
            "uid=doe\\,ou=People,dc=example,dc=org",
            "uid=x,xou=People,dc=example,dc=org",
        ] {
            assert!(!dn(outside).is_within(&base), "{outside}");
        }
        assert_eq!(dn("CN=Kolab-Admin,dc=x").own(), Some("cn=kolab-admin"));
    }

    #[test]
    fn what_is_no_name_is_none() {
        let long = "dc=x,".repeat(100) + "dc=x";
        for bad in [
            "doe", "=doe", "uid=doe,", "uid=doe\\", "uid=\"doe", "u d=x", "uid=\\ff,dc=x", ",",
            "uid=doe,,dc=x", &long,
        ] {
            assert_eq!(Dn::parse(bad), None, "{bad}");
        }
    }
}
