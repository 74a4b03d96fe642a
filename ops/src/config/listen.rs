//! Where a service listens: `"ADDR:PORT"` or `"off"`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// A listener's setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Listen {
    /// Nobody listens.
    Off,
    /// An address and port; port 0 takes a free one.
    On(SocketAddr),
}

impl Listen {
    /// The address, unless off.
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::On(address) => Some(address),
        }
    }

    /// Tells whether only this machine can reach it: off counts, for nobody can.
    pub fn is_private(self) -> bool {
        self.address()
            .is_none_or(|address| address.ip().to_canonical().is_loopback())
    }

    /// What to try when the host has no IPv6: the same port on every IPv4 address.
    pub fn without_ipv6(address: SocketAddr) -> Option<SocketAddr> {
        let is_any = address.is_ipv6() && address.ip().is_unspecified();
        is_any.then(|| SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()))
    }

    /// Every address of the host, IPv4 and IPv6.
    pub(super) fn everywhere(port: u16) -> Self {
        Self::On(SocketAddr::from(([0u16; 8], port)))
    }

    /// This machine only.
    pub(super) fn loopback(port: u16) -> Self {
        Self::On(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("off") {
            return Ok(Self::Off);
        }
        let wrong = |_| format!("\"{text}\" is neither ADDR:PORT nor off");
        text.parse().map(Self::On).map_err(wrong)
    }
}

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Listen> for String {
    fn from(listen: Listen) -> Self {
        listen.to_string()
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => out.write_str("off"),
            Self::On(address) => address.fmt(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_or_off_is_accepted_and_nothing_else() {
        assert_eq!("off".parse(), Ok(Listen::Off));
        assert_eq!("[::]:5222".parse(), Ok(Listen::everywhere(5222)));
        assert_eq!("127.0.0.1:9464".parse(), Ok(Listen::loopback(9464)));
        for wrong in ["", "5222", "localhost:5222", "1.2.3.4", "on"] {
            assert!(wrong.parse::<Listen>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn private_is_loopback_or_off() {
        for private in [
            "off",
            "127.0.0.1:1",
            "127.9.9.9:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(private.parse::<Listen>().unwrap().is_private(), "{private}");
        }
        for public in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
            assert!(!public.parse::<Listen>().unwrap().is_private(), "{public}");
        }
    }
}
