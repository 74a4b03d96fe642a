//! The STUN and TURN server that is built in.

use super::settings::settings;
use super::{Config, Listen};
use klatsch_gateways::listener::Network;
use klatsch_gateways::turn::Settings;
use klatsch_protocol::features::external_services::Secret;
use std::net::IpAddr;
use std::time::Duration;

settings! {
    /// STUN and TURN built in, for calls whose two ends cannot reach each other. `listen.stun` says where; "off" there, or servers named in calls.services, and it does not run.
    pub struct Turn {
        /// The addresses of this machine as others see it, one IPv4 and one IPv6 at most: behind a router, the router's. None named: those by which it reaches the Internet.
        #[serde(deserialize_with = "super::one_or_many")]
        addresses: Vec<IpAddr> = Vec::new();
        /// The first UDP port of relays. As many calls at once as there are ports, or half as many.
        port_min: u16 = 49_160;
        /// The last one.
        port_max: u16 = 49_200;
        /// Networks that relays may send to although they are private, as for offices that are connected. All else that is not of the Internet is refused, and this machine with it.
        #[serde(deserialize_with = "super::one_or_many")]
        allow_peers: Vec<Network> = Vec::new();
        /// Seconds that a client may use what it was told to begin a call.
        credentials_seconds: u64 = 3600;
        /// Seconds that a relay lasts at most: the longest call.
        call_seconds_max: u64 = 43_200;
        /// Relays of one account at once. A call needs one to six.
        relays_per_account: usize = 12;
        /// Bytes a second of one relay in one direction; what is more is lost. A picture of 1080 lines takes half of it.
        bytes_per_second: u32 = 1_000_000;
        /// Requests a second from one address (IPv6: one /64), and four times as many at once. It spares nobody: senders can be forged.
        requests_per_address: u32 = 50;
    }
}

impl Config {
    /// Tells whether the built-in server is to run.
    pub fn has_own_turn(&self) -> bool {
        self.listen.stun != Listen::Off && self.calls.services.is_empty()
    }

    /// The settings as the gateway takes them.
    pub fn own_turn(&self, key: [u8; 32]) -> Settings {
        let turn = &self.turn;
        let ports = turn.port_min..=turn.port_max;
        Settings {
            // There is always one.
            realm: self.domains().swap_remove(0),
            secret: Secret(key.into()),
            credentials: Duration::from_secs(turn.credentials_seconds),
            addresses: turn.addresses.clone(),
            allocations_max: ports.len(),
            ports,
            allow_peers: turn.allow_peers.clone(),
            allocations_per_account: turn.relays_per_account,
            allocation_max: Duration::from_secs(turn.call_seconds_max),
            bytes_per_second: turn.bytes_per_second,
            requests_per_second: turn.requests_per_address,
        }
    }
}

impl Turn {
    /// What is wrong with it, a line each.
    pub(super) fn complaints(&self) -> Vec<String> {
        let mut found = Vec::new();
        // Below are the ports of services.
        if self.port_min < 1024 || self.port_min > self.port_max {
            found.push(format!(
                "turn.port_min = {}: must be at least 1024 and not above turn.port_max = {}",
                self.port_min, self.port_max
            ));
        }
        for is_ipv6 in [false, true] {
            let same = |it: &&IpAddr| it.is_ipv6() == is_ipv6;
            if self.addresses.iter().filter(same).count() > 1 {
                let text = "turn.addresses: one IPv4 and one IPv6 address at most";
                found.push(text.to_owned());
            }
        }
        let nowhere = |it: &&IpAddr| it.is_unspecified() || it.is_multicast();
        let bad = self.addresses.iter().filter(nowhere);
        found.extend(bad.map(|it| format!("turn.addresses: {it} is no address of a machine")));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(toml: &str) -> Config {
        toml::from_str(toml).unwrap()
    }

    #[test]
    fn built_in_server_runs_unless_it_is_off_or_others_are_named() {
        assert!(config("").has_own_turn());
        assert!(!config("[listen]\nstun = \"off\"").has_own_turn());
        assert!(!config("[calls]\nservices = [\"turn:t.example\"]").has_own_turn());
    }

    #[test]
    fn it_is_for_the_main_domain_and_has_as_many_relays_as_ports() {
        let config = config("domains = [\"A.example\", \"b.example\"]");
        let settings = config.own_turn([1; 32]);
        assert_eq!(settings.realm, "a.example");
        assert_eq!(settings.allocations_max, 41);
    }

    #[test]
    fn bad_ports_and_addresses_are_named() {
        assert!(Turn::default().complaints().is_empty());
        let complaints = |toml: &str| config(&format!("[turn]\n{toml}")).turn.complaints();
        assert!(complaints("addresses = [\"9.9.9.9\", \"2600::1\"]").is_empty());
        assert!(complaints("port_min = 500")[0].contains("turn.port_min"));
        assert_eq!(complaints("port_min = 5001\nport_max = 5000").len(), 1);
        assert_eq!(
            complaints("addresses = [\"9.9.9.9\", \"1.1.1.1\"]").len(),
            1
        );
        assert!(complaints("addresses = \"0.0.0.0\"")[0].contains("0.0.0.0"));
    }
}
