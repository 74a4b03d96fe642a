//! To whom relays may send: rows T01 and its kin. A relay stands inside the operator's network,
//! and whoever has an account could reach through it what only insiders should.
//!
//! Addresses that stand for others (IPv4 inside IPv6) are refused whatever they stand for:
//! nobody's candidates are such, and every form of them has let somebody in somewhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::listener::Network;

/// Why an address is no peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// This machine, as it calls itself.
    Loopback,
    /// Networks of organisations: RFC 1918, RFC 4193, RFC 6598, site-local.
    Private,
    /// The same wire.
    LinkLocal,
    /// Everybody.
    Multicast,
    /// Nobody.
    Unspecified,
    /// IPv4 inside IPv6: mapped, compatible, NAT64, 6to4, Teredo.
    Embedded,
    /// Documentation, benchmarks, the future.
    Reserved,
    /// One of this machine's addresses.
    Own,
}

impl Refused {
    /// The label in metrics.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "peer_loopback",
            Self::Private => "peer_private",
            Self::LinkLocal => "peer_link_local",
            Self::Multicast => "peer_multicast",
            Self::Unspecified => "peer_unspecified",
            Self::Embedded => "peer_embedded",
            Self::Reserved => "peer_reserved",
            Self::Own => "peer_own",
        }
    }
}

/// IANA's registry of special addresses (RFC 6890 and its followers), IPv4.
const IPV4: &[(Ipv4Addr, u32, Refused)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, Refused::Unspecified),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Refused::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, Refused::Private),
    (Ipv4Addr::new(127, 0, 0, 0), 8, Refused::Loopback),
    (Ipv4Addr::new(169, 254, 0, 0), 16, Refused::LinkLocal),
    (Ipv4Addr::new(172, 16, 0, 0), 12, Refused::Private),
    (Ipv4Addr::new(192, 0, 0, 0), 24, Refused::Reserved),
    (Ipv4Addr::new(192, 0, 2, 0), 24, Refused::Reserved),
    (Ipv4Addr::new(192, 88, 99, 0), 24, Refused::Reserved),
    (Ipv4Addr::new(192, 168, 0, 0), 16, Refused::Private),
    (Ipv4Addr::new(198, 18, 0, 0), 15, Refused::Reserved),
    (Ipv4Addr::new(198, 51, 100, 0), 24, Refused::Reserved),
    (Ipv4Addr::new(203, 0, 113, 0), 24, Refused::Reserved),
    (Ipv4Addr::new(224, 0, 0, 0), 4, Refused::Multicast),
    (Ipv4Addr::new(240, 0, 0, 0), 4, Refused::Reserved),
];

/// The same for IPv6, the narrower first.
const IPV6: &[(Ipv6Addr, u32, Refused)] = &[
    (Ipv6Addr::UNSPECIFIED, 128, Refused::Unspecified),
    (Ipv6Addr::LOCALHOST, 128, Refused::Loopback),
    // RFC 4291 §2.5.5: compatible and mapped; SIIT (RFC 2765) lies between them.
    (Ipv6Addr::UNSPECIFIED, 64, Refused::Embedded),
    // RFC 6052 §2.1 and RFC 8215: NAT64.
    (ipv6(0x64, 0xff9b, 0), 48, Refused::Embedded),
    (ipv6(0x64, 0xff9b, 1), 48, Refused::Embedded),
    // RFC 3056: 6to4.
    (ipv6(0x2002, 0, 0), 16, Refused::Embedded),
    // RFC 4380: Teredo.
    (ipv6(0x2001, 0, 0), 32, Refused::Embedded),
    (ipv6(0x2001, 0, 0), 23, Refused::Reserved),
    (ipv6(0x2001, 0xdb8, 0), 32, Refused::Reserved),
    (ipv6(0x3fff, 0, 0), 20, Refused::Reserved),
    (ipv6(0xfc00, 0, 0), 7, Refused::Private),
    (ipv6(0xfec0, 0, 0), 10, Refused::Private),
    (ipv6(0xfe80, 0, 0), 10, Refused::LinkLocal),
    (ipv6(0xff00, 0, 0), 8, Refused::Multicast),
];

/// RFC 4291 §2.4: what is given out so far; all else of IPv6 is for the future.
const IPV6_GLOBAL: (Ipv6Addr, u32) = (ipv6(0x2000, 0, 0), 3);

const fn ipv6(first: u16, second: u16, third: u16) -> Ipv6Addr {
    Ipv6Addr::new(first, second, third, 0, 0, 0, 0, 0)
}

/// Says what an address is, if it is one that no relay sends to.
pub(super) fn judge(address: IpAddr) -> Option<Refused> {
    match address {
        IpAddr::V4(address) => {
            let within = |net: &&(Ipv4Addr, u32, Refused)| {
                (address.to_bits() ^ net.0.to_bits()).leading_zeros() >= net.1
            };
            IPV4.iter().find(within).map(|net| net.2)
        }
        IpAddr::V6(address) => {
            let is_in = |net: Ipv6Addr, prefix| {
                (address.to_bits() ^ net.to_bits()).leading_zeros() >= prefix
            };
            let found = IPV6.iter().find(|net| is_in(net.0, net.1));
            let is_global = is_in(IPV6_GLOBAL.0, IPV6_GLOBAL.1);
            let future = (!is_global).then_some(Refused::Reserved);
            found.map(|net| net.2).or(future)
        }
    }
}

/// Decides on a peer, relays of this server aside. `is_own` is asked last: it may cost a call
/// of the system.
pub(super) fn admit(
    address: IpAddr,
    allowed: &[Network],
    is_own: impl FnOnce(IpAddr) -> bool,
) -> Result<(), Refused> {
    let refused = judge(address);
    // Before what an operator allows: 127.0.0.0/8 is not meant to allow ::ffff:127.0.0.1.
    if refused == Some(Refused::Embedded) {
        return Err(Refused::Embedded);
    }
    if allowed.iter().any(|network| network.contains(address)) {
        return Ok(());
    }
    match refused {
        Some(refused) => Err(refused),
        None if is_own(address) => Err(Refused::Own),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> Option<Refused> {
        judge(text.parse().unwrap())
    }

    #[test]
    fn t01_every_form_of_an_inner_address_is_refused() {
        let rows: &[(Refused, &[&str])] = &[
            (Refused::Unspecified, &["0.0.0.0", "0.1.2.3", "::"]),
            (Refused::Loopback, &["127.0.0.1", "127.255.255.255", "::1"]),
            (
                Refused::Private,
                &[
                    "10.0.0.1",
                    "10.255.255.255",
                    "100.64.0.1",
                    "100.127.255.255",
                    "172.16.0.1",
                    "172.31.255.255",
                    "192.168.0.1",
                    "192.168.255.255",
                    "fc00::1",
                    "fdff::1",
                    "fec0::1",
                ],
            ),
            (
                Refused::LinkLocal,
                &["169.254.0.1", "169.254.169.254", "fe80::1", "febf::1"],
            ),
            (
                Refused::Multicast,
                &["224.0.0.1", "239.255.255.255", "ff02::1"],
            ),
            (
                Refused::Reserved,
                &[
                    "192.0.0.1",
                    "192.0.2.1",
                    "198.19.255.255",
                    "198.51.100.1",
                    "203.0.113.1",
                    "240.0.0.1",
                    "255.255.255.255",
                    "2001:db8::1",
                    "2001:20::1",
                    "3fff::1",
                    "4000::1",
                    "100::1",
                    "5f00::1",
                ],
            ),
            (
                Refused::Embedded,
                &[
                    "::ffff:127.0.0.1",
                    "::ffff:10.0.0.1",
                    "::ffff:93.184.216.34",
                    "::ffff:0:127.0.0.1",
                    "::127.0.0.1",
                    "64:ff9b::7f00:1",
                    "64:ff9b::a00:1",
                    "64:ff9b:1::a00:1",
                    "2002:7f00:1::1",
                    "2002:a00:1::",
                    "2002:c0a8:101::1",
                    "2001::1",
                ],
            ),
        ];
        for (refused, addresses) in rows {
            for address in *addresses {
                assert_eq!(judged(address), Some(*refused), "{address}");
            }
        }
    }

    #[test]
    fn addresses_of_the_internet_are_peers() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "223.255.255.255",
            "2600::1",
            "2a00:1450:4001::5",
        ] {
            assert_eq!(judged(address), None, "{address}");
        }
    }

    #[test]
    fn t01_own_addresses_are_refused_though_they_are_public() {
        let address = "1.1.1.1".parse().unwrap();
        assert_eq!(admit(address, &[], |_| true), Err(Refused::Own));
        assert_eq!(admit(address, &[], |_| false), Ok(()));
    }

    #[test]
    fn t01_what_an_operator_allows_is_a_peer_in_its_own_form_alone() {
        let allowed = ["127.0.0.0/8", "::1"].map(|it| it.parse().unwrap());
        let admitted = |text: &str| admit(text.parse().unwrap(), &allowed, |_| true);
        assert_eq!(admitted("127.0.0.9"), Ok(()));
        assert_eq!(admitted("::1"), Ok(()));
        assert_eq!(admitted("::ffff:127.0.0.9"), Err(Refused::Embedded));
        assert_eq!(admitted("10.0.0.1"), Err(Refused::Private));
    }
}
