//! Search filters as data (RFC 4511 §4.5.1.7), and their text (RFC 4515).
//!
//! What people type goes into a filter as a value, and to the directory as a value: there is no
//! text in between that it could change (row L02). Text is read from settings, and written for
//! people who look for what is wrong.

use std::fmt::Write;

pub use ldap3_proto::proto::LdapFilter as Filter;
use ldap3_proto::proto::{LdapFilter, LdapMatchingRuleAssertion, LdapSubstringFilter};

use super::escapes::decoded;

/// An operator's filter is a line; the recursion ends here.
const DEPTH_MAX: usize = 16;

/// A filter that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no filter as in (&(objectClass=person)(mail=*)), from character {at}")]
pub struct FilterError {
    /// Where the text stops making sense, in characters.
    pub at: usize,
}

/// Any of these attributes has any of these values.
pub(crate) fn any_of(attributes: &[String], values: &[String]) -> LdapFilter {
    let equals =
        |attribute: &String, value: &String| LdapFilter::Equality(attribute.clone(), value.clone());
    let all = attributes
        .iter()
        .flat_map(|attribute| values.iter().map(move |value| equals(attribute, value)));
    LdapFilter::Or(all.collect())
}

/// Both.
pub(crate) fn both(one: LdapFilter, other: LdapFilter) -> LdapFilter {
    LdapFilter::And(vec![one, other])
}

/// Reads a filter.
///
/// # Errors
/// [`FilterError`] for what is none, or uses what nobody here needs: approximate matches,
/// matching rules, and values that are no UTF-8.
pub fn parse(text: &str) -> Result<LdapFilter, FilterError> {
    let mut reader = Reader { text, at: 0 };
    let filter = reader.filter(DEPTH_MAX);
    match filter.filter(|_| reader.rest().is_empty()) {
        Some(filter) => Ok(filter),
        None => Err(FilterError {
            at: text[..reader.at].chars().count(),
        }),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn take(&mut self, token: char) -> Option<()> {
        self.rest().starts_with(token).then(|| {
            self.at += token.len_utf8();
        })
    }

    fn filter(&mut self, depth: usize) -> Option<LdapFilter> {
        let depth = depth.checked_sub(1)?;
        self.take('(')?;
        let filter = match self.rest().chars().next()? {
            '&' => LdapFilter::And(self.list(depth)?),
            '|' => LdapFilter::Or(self.list(depth)?),
            '!' => {
                self.at += 1;
                LdapFilter::Not(Box::new(self.filter(depth)?))
            }
            _ => self.item()?,
        };
        self.take(')')?;
        Some(filter)
    }

    fn list(&mut self, depth: usize) -> Option<Vec<LdapFilter>> {
        self.at += 1;
        let mut list = vec![self.filter(depth)?];
        while self.rest().starts_with('(') {
            list.push(self.filter(depth)?);
        }
        Some(list)
    }

    fn item(&mut self) -> Option<LdapFilter> {
        let end = self.rest().find(['=', ')'])?;
        let (name, value) = self.rest().split_at(end);
        let value = value.strip_prefix('=')?;
        let value = &value[..value.find(['(', ')'])?];
        let length = end + 1 + value.len();
        let filter = item(name, value)?;
        self.at += length;
        Some(filter)
    }
}

fn item(name: &str, value: &str) -> Option<LdapFilter> {
    if let Some(attribute) = name.strip_suffix('>') {
        return Some(LdapFilter::GreaterOrEqual(
            attribute_of(attribute)?,
            decoded(value, b'\\')?,
        ));
    }
    if let Some(attribute) = name.strip_suffix('<') {
        return Some(LdapFilter::LessOrEqual(
            attribute_of(attribute)?,
            decoded(value, b'\\')?,
        ));
    }
    let attribute = attribute_of(name)?;
    if value == "*" {
        return Some(LdapFilter::Present(attribute));
    }
    let parts: Option<Vec<String>> = value.split('*').map(|part| decoded(part, b'\\')).collect();
    let mut parts = parts?;
    if parts.len() == 1 {
        return Some(LdapFilter::Equality(attribute, parts.pop()?));
    }
    let is_there = |part: &String| !part.is_empty();
    let last = parts.pop().filter(is_there);
    let mut parts = parts.into_iter();
    let substring = LdapSubstringFilter {
        initial: parts.next().filter(is_there),
        any: parts.filter(is_there).collect(),
        final_: last,
    };
    Some(LdapFilter::Substring(attribute, substring))
}

/// RFC 4512 §1.4: a name or numbers with dots, perhaps with options.
fn attribute_of(name: &str) -> Option<String> {
    let is_ours = |byte: u8| byte.is_ascii_alphanumeric() || b"-.;".contains(&byte);
    (!name.is_empty() && name.bytes().all(is_ours)).then(|| name.to_owned())
}

/// The text of a filter, with everything escaped that would mean something else (RFC 4515 §3).
pub fn text(filter: &LdapFilter) -> String {
    let mut out = String::new();
    write_filter(&mut out, filter);
    out
}

fn write_filter(out: &mut String, filter: &LdapFilter) {
    out.push('(');
    match filter {
        LdapFilter::And(list) => write_list(out, '&', list),
        LdapFilter::Or(list) => write_list(out, '|', list),
        LdapFilter::Not(inner) => {
            out.push('!');
            write_filter(out, inner);
        }
        LdapFilter::Equality(name, value) => write_item(out, name, "=", value),
        LdapFilter::GreaterOrEqual(name, value) => write_item(out, name, ">=", value),
        LdapFilter::LessOrEqual(name, value) => write_item(out, name, "<=", value),
        LdapFilter::Approx(name, value) => write_item(out, name, "~=", value),
        LdapFilter::Present(name) => {
            out.push_str(name);
            out.push_str("=*");
        }
        LdapFilter::Substring(name, parts) => {
            out.push_str(name);
            out.push('=');
            write_value(out, parts.initial.as_deref().unwrap_or_default());
            for part in &parts.any {
                out.push('*');
                write_value(out, part);
            }
            out.push('*');
            write_value(out, parts.final_.as_deref().unwrap_or_default());
        }
        LdapFilter::Extensible(LdapMatchingRuleAssertion { match_value, .. }) => {
            write_item(out, "", ":=", match_value);
        }
    }
    out.push(')');
}

fn write_list(out: &mut String, sign: char, list: &[LdapFilter]) {
    out.push(sign);
    for filter in list {
        write_filter(out, filter);
    }
}

fn write_item(out: &mut String, name: &str, sign: &str, value: &str) {
    out.push_str(name);
    out.push_str(sign);
    write_value(out, value);
}

fn write_value(out: &mut String, value: &str) {
    for byte in value.bytes() {
        match byte {
            b'*' | b'(' | b')' | b'\\' | 0..=0x1f | 0x7f.. => {
                // Writing to a String does not fail.
                let _ = write!(out, "\\{byte:02x}");
            }
            byte => out.push(char::from(byte)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: [&str; 8] = [
        "*",
        "*)(uid=*))(|(uid=*",
        "admin)(!(&(1=0",
        "doe)(objectClass=*",
        "\\2a",
        "a\0b",
        "müller",
        "\\",
    ];

    #[test]
    fn l02_what_people_type_stays_a_value() {
        let attributes = ["mail".to_owned(), "uid".to_owned()];
        for name in HOSTILE {
            let filter = any_of(&attributes, &[name.to_owned()]);
            let LdapFilter::Or(list) = &filter else {
                panic!("{filter:?}")
            };
            let is_value =
                |it: &LdapFilter| matches!(it, LdapFilter::Equality(_, value) if value == name);
            assert_eq!(list.len(), 2);
            assert!(list.iter().all(is_value), "{name}");
            assert_eq!(parse(&text(&filter)), Ok(filter), "{name}");
        }
        let text = text(&any_of(&attributes[..1], &[HOSTILE[1].to_owned()]));
        assert_eq!(
            text,
            "(|(mail=\\2a\\29\\28uid=\\2a\\29\\29\\28|\\28uid=\\2a))"
        );
    }

    #[test]
    fn filters_of_settings_are_read() {
        for same in [
            "(objectclass=kolabinetorgperson)",
            "(&(objectClass=person)(!(nsAccountLock=TRUE)))",
            "(|(mail=*)(cn=Jo*n*)(cn=*son)(cn=a*b*c))",
            "(createTimestamp>=20260101000000Z)",
            "(mail;lang-de=x)",
            "(2.5.4.3=a b)",
        ] {
            assert_eq!(parse(same).map(|it| text(&it)).as_deref(), Ok(same));
        }
    }

    #[test]
    fn what_is_no_filter_is_refused_with_its_place() {
        for (text, at) in [
            ("", 0),
            ("objectClass=*", 0),
            ("(objectClass=*", 1),
            ("(a=b)(c=d)", 5),
            ("(&)", 2),
            ("(a b=c)", 1),
            ("(a=\\2)", 1),
            ("(a=\\ff)", 1),
            ("(cn:=x)", 1),
        ] {
            assert_eq!(parse(text), Err(FilterError { at }), "{text}");
        }
        let deep = "(!".repeat(100) + "(a=b)" + &")".repeat(100);
        assert!(parse(&deep).is_err());
    }
}
