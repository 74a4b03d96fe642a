//! The budgets of untrusted input, connections and load.

use super::network::Network;
use super::settings::settings;

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
        /// Bytes of the head of a request over HTTP.
        http_header_bytes_max: usize = 16 * 1024;
        /// Seconds that the head of a request over HTTP may take.
        http_header_timeout: u64 = 10;
        /// Bytes of a form sent over HTTP.
        http_form_bytes_max: usize = 16 * 1024;
        /// WebSocket control frames a second.
        websocket_control_rate: u32 = 10;
        /// Logins a minute from one address (IPv6: one /64) before more are refused.
        login_rate_per_address: u32 = 60;
        /// Failed logins from one address after which it is banned.
        login_failures_max: u32 = 100;
        /// Seconds that a ban lasts.
        login_ban: u64 = 3600;
        /// Logins that wait for a password check; the next is told to come back later.
        password_queue_max: usize = 256;
        /// Seconds that a password check may wait and run.
        password_timeout: u64 = 2;
        /// Sessions of one account at once.
        sessions_per_account_max: u32 = 10;
        /// Stanzas that one session may have on the way to a client that does not acknowledge them.
        session_queue_stanzas: usize = 1000;
        /// Items of one roster.
        roster_items_max: u32 = 2000;
        /// Entries of one page of an archive.
        archive_page_max: u32 = 250;
    }
}

fn loopback() -> Vec<Network> {
    let parse = |text: &str| text.parse().expect("a literal address range");
    vec![parse("127.0.0.0/8"), parse("::1")]
}
