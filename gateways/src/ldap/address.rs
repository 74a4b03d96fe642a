//! Where a directory is: `ldap://HOST[:PORT]`, `ldaps://HOST[:PORT]`, or `ldapi://` with the
//! percent-encoded path of a Unix socket.
//!
//! Leaves out whatever else RFC 4516 lets a URL say: bases and filters have settings of their
//! own. A socket has no path by default, as each distribution has another.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A server of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LdapServer {
    /// Over the network.
    Host {
        /// Its name or address, without brackets.
        host: String,
        /// Its port.
        port: u16,
        /// TLS from the first byte.
        has_tls: bool,
    },
    /// A Unix socket of this machine.
    Socket(PathBuf),
}

/// A socket's path has so many bytes at most, on any Unix (`sun_path`, with a zero at its end).
const SOCKET_BYTES_MAX: usize = 103;

/// A text that names no server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no address as in ldaps://ldap.example.org, ldap://localhost:389 or \
     ldapi://%2Frun%2Fslapd%2Fldapi"
)]
pub struct NoServer(String);

impl FromStr for LdapServer {
    type Err = NoServer;

    fn from_str(text: &str) -> Result<Self, NoServer> {
        parse(text).ok_or_else(|| NoServer(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<LdapServer> {
    let (scheme, place) = text.split_once("://")?;
    let place = place.strip_suffix('/').unwrap_or(place);
    match scheme.to_ascii_lowercase().as_str() {
        "ldap" => parse_host(place, false),
        "ldaps" => parse_host(place, true),
        "ldapi" => parse_socket(place),
        _ => None,
    }
}

fn parse_host(place: &str, has_tls: bool) -> Option<LdapServer> {
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
    let port = match (port?, has_tls) {
        ("", false) => 389,
        ("", true) => 636,
        (port, _) => port.parse().ok()?,
    };
    let is_host =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte) || !byte.is_ascii();
    (!host.is_empty() && host.bytes().all(is_host)).then(|| LdapServer::Host {
        host: host.to_owned(),
        port,
        has_tls,
    })
}

/// The path stands where a host would (OpenLDAP's and 389-DS's `ldapi://`, which no RFC has), so
/// that its slashes are percent-encoded.
fn parse_socket(place: &str) -> Option<LdapServer> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let mut path = Vec::new();
    let mut bytes = place.bytes();
    while let Some(byte) = bytes.next() {
        path.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            plain if is_plain(plain) => plain,
            _ => return None,
        });
    }
    let is_path = path.first() == Some(&b'/') && !path.contains(&0);
    (is_path && path.len() <= SOCKET_BYTES_MAX)
        .then(|| LdapServer::Socket(OsString::from_vec(path).into()))
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

impl fmt::Display for LdapServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port, has_tls) = match self {
            Self::Host {
                host,
                port,
                has_tls,
            } => (host, port, has_tls),
            Self::Socket(path) => return write_socket(path, formatter),
        };
        let scheme = if *has_tls { "ldaps" } else { "ldap" };
        match host.contains(':') {
            true => write!(formatter, "{scheme}://[{host}]:{port}"),
            false => write!(formatter, "{scheme}://{host}:{port}"),
        }
    }
}

fn write_socket(path: &Path, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(formatter, "ldapi://")?;
    for byte in path.as_os_str().as_bytes() {
        match byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            true => write!(formatter, "{}", char::from(*byte))?,
            false => write!(formatter, "%{byte:02X}")?,
        }
    }
    Ok(())
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
            ("ldapi://%2frun%2Fa-b.c/", "ldapi://%2Frun%2Fa-b.c"),
            (
                "LDAPI://%2Frun%2Fm%C3%BCll%20er",
                "ldapi://%2Frun%2Fm%C3%BCll%20er",
            ),
        ] {
            let server: LdapServer = text.parse().unwrap();
            assert_eq!(server.to_string(), shown);
        }
        for bad in [
            "",
            "localhost",
            "http://localhost",
            "ldapi:///run/ldapi",
            "ldapi://",
            "ldapi:///",
            "ldapi://run%2Fldapi",
            "ldapi://%2Frun%2",
            "ldapi://%2Frun%zz",
            "ldapi://%2Frun%00",
            "ldapi://%2Frun:389",
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
    #[test]
    fn path_that_no_socket_can_have_is_refused() {
        let address = |length: usize| format!("ldapi://%2F{}", "a".repeat(length - 1));
        let longest: LdapServer = address(SOCKET_BYTES_MAX).parse().unwrap();
        assert!(matches!(longest, LdapServer::Socket(path) if path.as_os_str().len() == 103));
        assert!(address(SOCKET_BYTES_MAX + 1).parse::<LdapServer>().is_err());
    }
}
