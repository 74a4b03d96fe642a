//! Which addresses are somebody's on the Internet: those that IANA has set aside for
//! organisations, links, machines and the like are none (RFC 6890 and its followers).
//!
//! IPv4 inside IPv6 is refused whatever it stands for: no push service is reached so, and each
//! form has let somebody in somewhere (row H07).

use std::net::IpAddr;

/// IPv4 that is nobody's: address and prefix length.
const NOT_PUBLIC: [([u8; 4], u32); 15] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

/// RFC 4291 §2.4: 2000::/3 is what is given out, and of that these are not to be reached, or
/// hold IPv4: Teredo and its neighbours, documentation, 6to4.
const IPV6_NOT_PUBLIC: [(u128, u32); 4] = [
    (0x2001_0000 << 96, 23),
    (0x2001_0db8 << 96, 32),
    (0x2002_0000 << 96, 16),
    (0x3fff_0000 << 96, 20),
];

/// Tells whether this is an address on the Internet.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let bits = address.to_bits();
            let is_in = |(network, prefix): &([u8; 4], u32)| {
                (bits ^ u32::from_be_bytes(*network)).leading_zeros() >= *prefix
            };
            !NOT_PUBLIC.iter().any(is_in)
        }
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            let is_in =
                |(network, prefix): &(u128, u32)| (bits ^ *network).leading_zeros() >= *prefix;
            bits >> 125 == 0b001 && !IPV6_NOT_PUBLIC.iter().any(is_in)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h07_only_addresses_on_the_internet_are_public() {
        for address in ["142.250.74.10", "9.255.255.255", "2a00:1450:4001:80b::200a"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.168.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:142.250.74.10",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "2001::1",
            "2001:db8::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }
}
