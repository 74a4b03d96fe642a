//! Searches as URLs (RFC 4516), by which dynamic groups say who is in them (`memberURL`).
//!
//! A URL may name a server: nobody is asked there (row L05), and it is as if it named none.
//! Leaves out extensions; one that must be understood makes the URL none.

use ldap3_proto::proto::{LdapFilter, LdapSearchScope};

use super::dn::Dn;
use super::escapes::decoded;
use super::filter;

/// A text of more bytes is nobody's search.
const BYTES_MAX: usize = 4096;

/// What a URL searches for.
#[derive(Debug, Clone, PartialEq)]
pub struct LdapUrl {
    /// Where it begins.
    pub base: String,
    /// How far down it goes.
    pub scope: LdapSearchScope,
    /// What it looks for.
    pub filter: LdapFilter,
}

impl LdapUrl {
    /// Reads a URL; `None` for what is none.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > BYTES_MAX {
            return None;
        }
        let (scheme, rest) = text.trim().split_once("://")?;
        if !["ldap", "ldaps"].contains(&scheme.to_ascii_lowercase().as_str()) {
            return None;
        }
        let (_server, rest) = rest.split_once('/')?;
        let mut parts = rest.splitn(5, '?').map(|part| decoded(part, b'%'));
        let mut part = || parts.next().unwrap_or_else(|| Some(String::new()));
        let (base, _attributes, scope, wanted, extensions) =
            (part()?, part()?, part()?, part()?, part()?);
        // RFC 4516 §2: "!" before one that may not be passed over.
        if extensions.split(',').any(|it| it.starts_with('!')) {
            return None;
        }
        Dn::parse(&base)?;
        Some(Self {
            base,
            scope: match scope.to_ascii_lowercase().as_str() {
                "" | "base" => LdapSearchScope::Base,
                "one" => LdapSearchScope::OneLevel,
                "sub" => LdapSearchScope::Subtree,
                _ => return None,
            },
            filter: match wanted.as_str() {
                "" => LdapFilter::Present("objectClass".to_owned()),
                // 389-DS takes filters without their parentheses.
                text if !text.starts_with('(') => filter::parse(&format!("({text})")).ok()?,
                text => filter::parse(text).ok()?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_says_where_how_far_and_for_what() {
        let url = LdapUrl::parse(
            "ldap:///ou=People,dc=example,dc=org??sub?(&(objectClass=person)(ou=Sales%20A))",
        );
        let url = url.unwrap();
        assert_eq!(url.base, "ou=People,dc=example,dc=org");
        assert_eq!(url.scope, LdapSearchScope::Subtree);
        assert_eq!(
            filter::text(&url.filter),
            "(&(objectClass=person)(ou=Sales A))"
        );
        let elsewhere = LdapUrl::parse("LDAPS://evil.example:636/dc=x?cn,mail?one?ou=a?x=1");
        let elsewhere = elsewhere.unwrap();
        assert_eq!(elsewhere.base, "dc=x", "the server is not looked at");
        assert_eq!(elsewhere.scope, LdapSearchScope::OneLevel);
        assert_eq!(filter::text(&elsewhere.filter), "(ou=a)");
        let short = LdapUrl::parse("ldap:///dc=x").unwrap();
        assert_eq!(short.scope, LdapSearchScope::Base);
        assert_eq!(filter::text(&short.filter), "(objectClass=*)");
    }

    #[test]
    fn what_is_no_search_is_none() {
        let long = format!("ldap:///dc={}", "x".repeat(5000));
        for bad in [
            "",
            "http://x/dc=x",
            "ldap://host",
            "ldap:///dc=x??tree",
            "ldap:///dc=x??sub?(",
            "ldap:///dc=x??sub?(a=%f)",
            "ldap:///dc=x??sub?(a=%ff)",
            "ldap:///dc=x??sub?(a=b)?!needed=1",
            "ldap:///no name??sub",
            &long,
        ] {
            assert_eq!(LdapUrl::parse(bad), None, "{bad}");
        }
    }
}
