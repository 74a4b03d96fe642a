//! Where a service listens: `"ADDR:PORT"`, with `*` for every address, or `"off"`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// A listener's setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Listen {
    /// Nobody listens.
    Off,
    /// Every address of the host, IPv4 and IPv6: `*:PORT`.
    Everywhere(u16),
    /// An address and port; port 0 takes a free one.
    On(SocketAddr),
}

impl Listen {
    /// The addresses to bind. Of `*` the first may fail where the host lacks IPv6.
    pub fn addresses(self) -> Vec<SocketAddr> {
        match self {
            Self::Off => Vec::new(),
            Self::On(address) => vec![address],
            Self::Everywhere(port) => {
                vec![
                    (Ipv6Addr::UNSPECIFIED, port).into(),
                    (Ipv4Addr::UNSPECIFIED, port).into(),
                ]
            }
        }
    }

    /// Tells whether only this machine can reach it: off counts, for nobody can.
    pub fn is_private(self) -> bool {
        self.addresses()
            .iter()
            .all(|address| address.ip().to_canonical().is_loopback())
    }

    /// The port, unless off.
    pub fn port(self) -> Option<u16> {
        self.addresses().first().map(SocketAddr::port)
    }

    /// This machine only.
    pub(super) fn loopback(port: u16) -> Self {
        Self::On((Ipv4Addr::LOCALHOST, port).into())
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is neither ADDR:PORT (or *:PORT) nor off");
        if text.eq_ignore_ascii_case("off") {
            return Ok(Self::Off);
        }
        if let Some(port) = text.strip_prefix("*:") {
            return port.parse().map(Self::Everywhere).map_err(|_| wrong());
        }
        text.parse().map(Self::On).map_err(|_| wrong())
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
            Self::Everywhere(port) => write!(out, "*:{port}"),
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
        assert_eq!("*:5222".parse(), Ok(Listen::Everywhere(5222)));
        assert_eq!("127.0.0.1:9464".parse(), Ok(Listen::loopback(9464)));
        for wrong in [
            "",
            "5222",
            "localhost:5222",
            "1.2.3.4",
            "on",
            "*",
            "*:x",
            "*:65536",
        ] {
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
        for public in ["*:1", "0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
            assert!(!public.parse::<Listen>().unwrap().is_private(), "{public}");
        }
    }
}
