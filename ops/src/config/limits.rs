//! The budgets of untrusted input, connections and load.

use super::settings::settings;
use klatsch_actors::{derivation, strangers};
use klatsch_gateways::listener::{self, Network};
use std::time::Duration;

settings! {
    /// Budgets. Rates and connection counts spare the trusted; sizes, memory, time and queues spare nobody.
    pub struct Limits {
        /// Addresses that no rate and no count of connections applies to.
        #[serde(deserialize_with = "super::one_or_many")]
        trusted: Vec<Network> = loopback();
        /// Open files kept for the store and the logs; the rest may be connections.
        reserved_descriptors: usize = 128;
        /// Connections at once; 0 takes what the limit of open files allows.
        connections_max: usize = 0;
        /// Connections at once from one address (IPv6: one /64).
        connections_per_address: u32 = 50;
        /// New connections a second from one address (IPv6: one /64).
        connection_rate_per_address: u32 = 10;
        /// New connections a second in all, the rest waits in the kernel; 0 takes 200 for each core.
        accept_rate: u32 = 0;
        /// Seconds until a connection must have bound a resource, whatever it sends.
        negotiation_timeout: u64 = 30;
        /// Seconds that a TLS handshake may take.
        tls_handshake_timeout: u64 = 10;
        /// Seconds that a closing connection waits for its peer to close, too.
        close_timeout: u64 = 5;
        /// Seconds after which unacknowledged bytes end a connection (TCP_USER_TIMEOUT).
        tcp_user_timeout: u64 = 60;
        /// Seconds of silence after which TCP asks whether the client is still there.
        tcp_keepalive: u64 = 60;
        /// Bytes of one stanza after login. Before login it is 8 KiB.
        stanza_bytes_max: usize = 256 * 1024;
        /// Bytes waiting for a slow client above which its session waits with what is kept in its log.
        send_queue_soft_bytes: usize = 64 * 1024;
        /// Bytes waiting for a slow client at which its connection is closed.
        send_queue_bytes_max: usize = 1024 * 1024;
        /// Bytes a second that are read from a bound client; who sends more waits. 0: no limit.
        session_byte_rate: u32 = 64 * 1024;
        /// Bytes that a bound client may send at once before that rate holds.
        session_byte_burst: u32 = 512 * 1024;
        /// Stanzas a second that are taken from a bound client; who sends more waits. 0: no limit.
        session_stanza_rate: u32 = 50;
        /// Stanzas that a bound client may send at once before that rate holds.
        session_stanza_burst: u32 = 200;
        /// Searches a second that an account may go on with in archives; 0: no limit.
        search_rate: u32 = 2;
        /// Searches that an account may make at once before that rate holds.
        search_burst: u32 = 40;
        /// Messages a second that an account may go on with to people who do not know it; 0: no limit.
        stranger_message_rate: u32 = 1;
        /// Messages that an account may send to such people at once before that rate holds.
        stranger_message_burst: u32 = 300;
        /// People who do not know it that an account may write to for the first time, an hour; 0: no limit.
        stranger_rate: u32 = 60;
        /// Such people that an account may write to at once before that rate holds.
        stranger_burst: u32 = 200;
        /// Bytes of the head of a request over HTTP.
        http_header_bytes_max: usize = 16 * 1024;
        /// Seconds that the head of a request over HTTP may take.
        http_header_timeout: u64 = 10;
        /// WebSocket control frames a second.
        websocket_control_rate: u32 = 10;
        /// Logins a minute from one address (IPv6: one /64) before more are refused.
        login_rate_per_address: u32 = 60;
        /// Accounts an hour that one address (IPv6: one /64) may make without an invitation.
        registrations_per_address: u32 = 3;
        /// Failed logins from one address after which it is banned.
        login_failures_max: u32 = 100;
        /// Seconds that a ban lasts.
        login_ban: u64 = 3600;
        /// Logins that wait for a password check; the next is told to come back later.
        password_queue_max: usize = 256;
        /// Seconds that a password check may wait and run.
        password_timeout: u64 = 2;
        /// Sessions of one account at once.
        sessions_per_account_max: usize = 10;
        /// Stanzas that wait for a client that is away or in the background, other than messages.
        held_stanzas_max: usize = 256;
        /// Bytes of memory that the server may use: from 70 % on connections trickle in, from 80 % on new
        /// sessions are refused, from 90 % on the heaviest clients are let go. 0: what its control group
        /// or the machine has.
        memory_bytes_max: u64 = 0;
        /// Bytes that may wait in all queues together, with the same steps; 0: a quarter of the memory.
        queued_bytes_max: u64 = 0;
        /// Seconds between two looks whether a session has missed an entry of its log.
        tail_check_seconds: u64 = 30;
    }
}

impl Limits {
    /// The budgets of password checks, as the actors take them.
    pub fn of_derivations(&self) -> derivation::Settings {
        derivation::Settings {
            waiting_max: self.password_queue_max,
            timeout_seconds: self.password_timeout,
        }
    }

    /// The budgets of messages to strangers, as the actors take them.
    pub fn of_strangers(&self) -> strangers::Settings {
        strangers::Settings {
            message_rate: self.stranger_message_rate,
            message_burst: self.stranger_message_burst,
            new_rate: self.stranger_rate,
            new_burst: self.stranger_burst,
        }
    }

    /// The budgets of connections, as the gateways take them.
    pub fn of_connections(&self) -> listener::Limits {
        listener::Limits {
            trusted: self.trusted.clone(),
            reserved_descriptors: self.reserved_descriptors,
            connections_max: self.connections_max,
            connections_per_address: self.connections_per_address,
            connection_rate_per_address: self.connection_rate_per_address,
            accept_rate: self.accept_rate,
            negotiation_timeout: Duration::from_secs(self.negotiation_timeout),
            tls_handshake_timeout: Duration::from_secs(self.tls_handshake_timeout),
            close_timeout: Duration::from_secs(self.close_timeout),
            tcp_user_timeout: Duration::from_secs(self.tcp_user_timeout),
            tcp_keepalive: Duration::from_secs(self.tcp_keepalive),
            send_queue_soft_bytes: self.send_queue_soft_bytes,
            send_queue_bytes_max: self.send_queue_bytes_max,
            stanza_bytes_max: self.stanza_bytes_max,
            session_byte_rate: self.session_byte_rate,
            session_byte_burst: self.session_byte_burst,
            session_stanza_rate: self.session_stanza_rate,
            session_stanza_burst: self.session_stanza_burst,
            http_header_bytes_max: self.http_header_bytes_max,
            http_header_timeout: Duration::from_secs(self.http_header_timeout),
            websocket_control_rate: self.websocket_control_rate,
            login_rate_per_address: self.login_rate_per_address,
            registrations_per_address: self.registrations_per_address,
            login_failures_max: self.login_failures_max,
            login_ban: Duration::from_secs(self.login_ban),
        }
    }
}

fn loopback() -> Vec<Network> {
    vec![Network::V4_LOOPBACK, Network::V6_LOOPBACK]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_gateways() {
        assert_eq!(
            Limits::default().of_connections(),
            listener::Limits::default()
        );
    }
}
