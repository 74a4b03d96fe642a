//! Where a directory is: `ldap://HOST[:PORT]` or `ldaps://HOST[:PORT]`.
//!
//! Leaves out `ldapi://`, and whatever else RFC 4516 lets a URL say: bases and filters have
//! settings of their own.

use std::fmt;
use std::str::FromStr;

/// A server of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdapServer {
    /// Its name or address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// TLS from the first byte.
    pub has_tls: bool,
}

/// A text that names no server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no address as in ldaps://ldap.example.org or ldap://localhost:389")]
pub struct NoServer(String);

impl FromStr for LdapServer {
    type Err = NoServer;

    fn from_str(text: &str) -> Result<Self, NoServer> {
        parse(text).ok_or_else(|| NoServer(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<LdapServer> {
    let (scheme, place) = text.split_once("://")?;
    let (has_tls, default) = match scheme.to_ascii_lowercase().as_str() {
        "ldap" => (false, 389),
        "ldaps" => (true, 636),
        _ => return None,
    };
    let place = place.strip_suffix('/').unwrap_or(place);
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (
                host,
                rest.strip_prefix(':').or(rest.is_empty().then_some("")),
            )
        }
        None => {
            let (host, port) = place.split_once(':').unwrap_or((place, ""));
            (host, Some(port))
        }
    };
    let port = match port? {
        "" => default,
        port => port.parse().ok()?,
    };
    let is_host =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte) || !byte.is_ascii();
    (!host.is_empty() && host.bytes().all(is_host)).then(|| LdapServer {
        host: host.to_owned(),
        port,
        has_tls,
    })
}

impl fmt::Display for LdapServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.has_tls { "ldaps" } else { "ldap" };
        match self.host.contains(':') {
            true => write!(formatter, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(formatter, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_their_ports() {
        for (text, shown) in [
            ("ldap://localhost", "ldap://localhost:389"),
            ("ldaps://ldap.example.org/", "ldaps://ldap.example.org:636"),
            ("LDAP://127.0.0.1:13890", "ldap://127.0.0.1:13890"),
            ("ldaps://[::1]:6360", "ldaps://[::1]:6360"),
            ("ldap://[::1]", "ldap://[::1]:389"),
        ] {
            let server: LdapServer = text.parse().unwrap();
            assert_eq!(server.to_string(), shown);
        }
        for bad in [
            "",
            "localhost",
            "http://localhost",
            "ldapi:///run/ldapi",
            "ldap://",
            "ldap://a:b",
            "ldap://a/dc=x",
            "ldap://a b",
            "ldap://[::1",
            "ldap://[::1]x",
            "ldap://u@h",
        ] {
            assert!(bad.parse::<LdapServer>().is_err(), "{bad}");
        }
    }
}
