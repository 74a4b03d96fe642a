//! Addresses of push services: what of them is taken (row H07).
//!
//! A browser's address is given by whoever registers it, and the server connects to it. So it is
//! read narrowly, and only hosts that the operator allows are spoken to. Leaves out what a name
//! resolves to, which is looked at when it is connected to.

/// An address is a few hundred characters; those of Windows are the longest.
const BYTES_MAX: usize = 2048;

/// The port of https.
const HTTPS: u16 = 443;

/// An address of a push service, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint<'a> {
    /// The host, lower-case, with a port where it is not that of https.
    pub authority: &'a str,
    /// The host alone.
    pub host: &'a str,
    /// The port.
    pub port: u16,
    /// Path and query, from the first slash on.
    pub path: &'a str,
}

impl<'a> Endpoint<'a> {
    /// Takes an address apart; `None` for one that is none, and for whatever a parser could
    /// read otherwise than another: logins, brackets, backslashes, escapes in the host.
    pub fn parse(url: &'a str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\\\"<>^`{|}#".contains(&byte);
        if url.len() > BYTES_MAX || !url.bytes().all(is_plain) {
            return None;
        }
        let rest = url.strip_prefix("https://")?;
        let (written, path) = rest.split_at(rest.find('/')?);
        let (host, port) = match written.split_once(':') {
            Some((host, port)) => (host, parse_port(port)?),
            None => (written, HTTPS),
        };
        let authority = if port == HTTPS { host } else { written };
        is_host(host).then_some(Self {
            authority,
            host,
            port,
            path,
        })
    }

    /// Tells whether one of the rules names this host and port.
    pub fn is_allowed(&self, rules: &[String]) -> bool {
        rules.iter().any(|rule| {
            let (host, port) = match rule.split_once(':') {
                Some((host, port)) => (host, parse_port(port)),
                None => (rule.as_str(), Some(HTTPS)),
            };
            let is_host = match host.strip_prefix("*.") {
                Some(above) => {
                    let below = self.host.strip_suffix(above);
                    below.is_some_and(|below| below.len() > 1 && below.ends_with('.'))
                }
                None => self.host == host,
            };
            is_host && port == Some(self.port)
        })
    }
}

/// Tells whether this names a host, or with `*.` all hosts below one; with a port where it is
/// not that of https.
pub fn is_host_rule(rule: &str) -> bool {
    let (host, port) = match rule.split_once(':') {
        Some((host, port)) => (host, parse_port(port)),
        None => (rule, Some(HTTPS)),
    };
    is_host(host.strip_prefix("*.").unwrap_or(host)) && port.is_some()
}

/// No zeros in front, no sign: one way to write each.
fn parse_port(text: &str) -> Option<u16> {
    let port: u16 = text.parse().ok()?;
    (port > 0 && port.to_string() == text).then_some(port)
}

fn is_host(host: &str) -> bool {
    let is_plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    let is_label = |label: &str| !label.is_empty() && label.len() <= 63;
    host.len() <= 253 && host.bytes().all(is_plain) && host.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(url: &str) -> bool {
        let rules = super::super::Settings::default().hosts;
        Endpoint::parse(url).is_some_and(|it| it.is_allowed(&rules))
    }

    #[test]
    fn addresses_of_browsers_are_taken_apart() {
        let chromium = Endpoint::parse("https://fcm.googleapis.com/fcm/send/a:b_c?x=y").unwrap();
        assert_eq!((chromium.host, chromium.port), ("fcm.googleapis.com", 443));
        assert_eq!(chromium.path, "/fcm/send/a:b_c?x=y");
        let other = Endpoint::parse("https://localhost:8443/p").unwrap();
        assert_eq!((other.authority, other.port), ("localhost:8443", 8443));
        // RFC 6454 §4: the port of https is not written.
        let usual = Endpoint::parse("https://a.example:443/p").unwrap();
        assert_eq!(usual.authority, "a.example");
    }

    #[test]
    fn push_services_of_the_browsers_there_are_are_spoken_to() {
        for url in [
            "https://fcm.googleapis.com/fcm/send/x",
            "https://updates.push.services.mozilla.com/wpush/v2/x",
            "https://web.push.apple.com/x",
            "https://wns2-par02p.notify.windows.com/w/?token=x%3d",
        ] {
            assert!(allowed(url), "{url}");
        }
    }

    #[test]
    fn h07_nothing_else_is_spoken_to() {
        for url in [
            "http://fcm.googleapis.com/x",
            "gopher://fcm.googleapis.com/x",
            "https://fcm.googleapis.com",
            "https://fcm.googleapis.com:8443/x",
            "https://fcm.googleapis.com:0443/x",
            "https://fcm.googleapis.com:+443/x",
            "https://FCM.googleapis.com/x",
            "https://fcm.googleapis.com./x",
            "https://fcm.googleapis.com@127.0.0.1/x",
            "https://fcm.googleapis.com\\@127.0.0.1/x",
            "https://127.0.0.1#fcm.googleapis.com/x",
            "https://127.0.0.1/x?fcm.googleapis.com",
            "https://[::ffff:127.0.0.1]/x",
            "https://0x7f.1/x",
            "https://169.254.169.254/latest/meta-data/",
            "https://evilfcm.googleapis.com/x",
            "https://evil.push.services.mozilla.com.evil.example/x",
            "https://push.services.mozilla.com/x",
            "https://.push.services.mozilla.com/x",
            "https://fcm.googleapis.com%2f@evil.example/x",
            "https://fcm.googleapis.com/x\r\nHost: evil.example",
            "https://fcm.googleapis.com/a b",
            "",
        ] {
            assert!(!allowed(url), "{url}");
        }
        let long = format!("https://fcm.googleapis.com/{}", "x".repeat(BYTES_MAX));
        assert!(!allowed(&long));
    }

    #[test]
    fn rules_name_hosts() {
        for rule in ["a.example", "*.a.example", "localhost:8443"] {
            assert!(is_host_rule(rule), "{rule}");
        }
        for rule in [
            "*",
            "*.",
            "",
            "https://a.example",
            "a.*.example",
            "a:0",
            "A",
        ] {
            assert!(!is_host_rule(rule), "{rule}");
        }
    }
}
