//! Who asks, and whether nobody listens in between, also behind a proxy.

use std::net::IpAddr;

use http::HeaderMap;

use super::server::Scheme;
use crate::listener::Network;

/// The other end of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requester {
    /// The client's address, as far as trusted proxies tell it.
    pub address: IpAddr,
    /// The request came by TLS, here or at a trusted proxy.
    pub encrypted: bool,
    /// Encrypted, or from this very machine: a password may be sent.
    pub secure: bool,
}

impl Requester {
    /// Judges a request. What a proxy says counts only if the configuration trusts the proxy;
    /// from anybody else the headers are decoration.
    pub(crate) fn of(
        peer: IpAddr,
        scheme: Scheme,
        headers: &HeaderMap,
        proxies: &[Network],
    ) -> Self {
        let peer = peer.to_canonical();
        let is_proxy = |address: IpAddr| proxies.iter().any(|proxy| proxy.contains(address));
        if !is_proxy(peer) {
            let encrypted = scheme == Scheme::Https;
            // A proxy on this machine that nobody told us about speaks for strangers.
            let is_local = peer.is_loopback() && !is_forwarded(headers);
            return Self {
                address: peer,
                encrypted,
                secure: encrypted || is_local,
            };
        }
        // The nearest address that is no proxy of ours: what stands left of it, anybody can
        // have written. Proxies append, so several header lines are one list.
        let forwarded = headers.get_all("x-forwarded-for").iter();
        let address = forwarded
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .rev()
            .map(|text| text.trim().parse::<IpAddr>().ok())
            .find(|address| !address.is_some_and(is_proxy))
            .flatten()
            // What our proxy wrote cannot be read: its own address is at least true.
            .unwrap_or(peer);
        let says_https = last(headers, "x-forwarded-proto")
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
        // A proxy that does not say https may have been asked by plain HTTP from afar: being on
        // this machine proves nothing about the client.
        Self {
            address: address.to_canonical(),
            encrypted: says_https,
            secure: says_https,
        }
    }
}

/// Tells whether a proxy has left its traces.
fn is_forwarded(headers: &HeaderMap) -> bool {
    const TRACES: [&str; 5] = [
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-real-ip",
        "via",
    ];
    TRACES.iter().any(|name| headers.contains_key(*name))
}

/// The last value of a list header, which the nearest proxy wrote.
fn last<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let line = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    line.rsplit(',').next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requester(peer: &str, scheme: Scheme, headers: &[(&'static str, &str)]) -> Requester {
        let proxies: Vec<Network> =
            vec!["10.0.0.0/8".parse().unwrap(), "127.0.0.1".parse().unwrap()];
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        Requester::of(peer.parse().unwrap(), scheme, &map, &proxies)
    }

    #[test]
    fn w10_strangers_are_not_believed() {
        let forged = [
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-proto", "https"),
        ];
        let seen = requester("192.0.2.1", Scheme::Http, &forged);
        assert_eq!(seen.address, "192.0.2.1".parse::<IpAddr>().unwrap());
        assert!(!seen.encrypted && !seen.secure);
    }

    #[test]
    fn proxy_tells_client_and_scheme() {
        let told = [
            ("x-forwarded-for", "203.0.113.5"),
            ("x-forwarded-proto", "https"),
        ];
        let seen = requester("10.0.0.1", Scheme::Http, &told);
        assert_eq!(seen.address, "203.0.113.5".parse::<IpAddr>().unwrap());
        assert!(seen.secure);
    }

    #[test]
    fn w10_only_the_part_a_proxy_wrote_is_believed() {
        let told = [
            ("x-forwarded-for", "127.0.0.1, 198.51.100.7, 10.1.1.1"),
            ("x-forwarded-proto", "https, http"),
        ];
        let seen = requester("10.0.0.1", Scheme::Http, &told);
        assert_eq!(seen.address, "198.51.100.7".parse::<IpAddr>().unwrap());
        assert!(!seen.encrypted);
    }

    #[test]
    fn w10_unreadable_address_does_not_give_way_to_a_forged_one() {
        let told = [("x-forwarded-for", "127.0.0.9, unknown")];
        let seen = requester("10.0.0.1", Scheme::Http, &told);
        assert_eq!(seen.address, "10.0.0.1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn proxy_on_this_machine_does_not_make_its_clients_local() {
        assert!(!requester("127.0.0.1", Scheme::Http, &[]).secure);
        let seen = requester(
            "127.0.0.1",
            Scheme::Http,
            &[("x-forwarded-for", "203.0.113.5")],
        );
        assert!(!seen.secure);
    }

    #[test]
    fn unknown_proxy_on_this_machine_is_not_secure() {
        assert!(requester("127.0.0.2", Scheme::Http, &[]).secure);
        assert!(!requester("127.0.0.2", Scheme::Http, &[("via", "1.1 proxy")]).secure);
    }

    #[test]
    fn plain_request_from_this_machine_is_secure_without_being_encrypted() {
        let seen = requester("::1", Scheme::Http, &[]);
        assert!(seen.secure && !seen.encrypted);
        assert!(requester("192.0.2.1", Scheme::Https, &[]).encrypted);
    }
}
