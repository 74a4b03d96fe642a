//! The budgets of untrusted input, connections and load.

use super::network::Network;
use super::settings::settings;

settings! {
    /// Budgets. Rates and connection counts spare the trusted; sizes, memory and queues spare nobody.
    pub struct Limits {
        /// Addresses whose connections and rates are not counted.
        #[serde(deserialize_with = "super::one_or_many")]
        trusted: Vec<Network> = loopback();
        /// Connections at once; 0 takes what the limit of open files allows.
        connections_max: u32 = 0;
        /// Connections at once from one address (IPv6: one /64).
        connections_per_address_max: u32 = 200;
        /// New connections a second from one address (IPv6: one /64).
        connections_per_address_rate: u32 = 10;
        /// New connections a second in all; the rest waits in the kernel's queue.
        accept_rate: u32 = 400;
        /// TLS handshakes at once; 0 takes two for each core.
        tls_handshakes_max: u32 = 0;
        /// Seconds until a connection must have bound a resource, whatever it sends.
        negotiation_seconds: u64 = 30;
        /// Bytes of one element before login.
        before_login_bytes: usize = 8 * 1024;
        /// Elements inside one element before login.
        before_login_elements: usize = 32;
        /// Bytes of one stanza after login.
        stanza_bytes: usize = 256 * 1024;
        /// Bytes of one stanza from another server.
        s2s_stanza_bytes: usize = 512 * 1024;
        /// Elements inside one stanza after login.
        stanza_elements: usize = 4096;
        /// How deep elements may nest.
        depth: usize = 32;
        /// Attributes of one tag.
        attributes: usize = 64;
        /// Namespace declarations of one tag.
        declarations: usize = 16;
        /// Failed logins on one connection until it is closed.
        login_attempts: u8 = 3;
        /// Failed logins a minute from one address (IPv6: one /64) until it has to wait.
        login_failures_per_address: u32 = 20;
        /// Failed logins a minute for one account until it answers slower.
        login_failures_per_account: u32 = 10;
        /// Password checks at once; 0 takes one for each core.
        password_checks_max: u32 = 0;
        /// Logins that wait for a password check; the next is told to come back later.
        password_queue_max: u32 = 256;
        /// Sessions of one account at once.
        sessions_per_account_max: u32 = 10;
        /// Bytes a second that one session may send for long.
        session_bytes_rate: u32 = 64 * 1024;
        /// Bytes that one session may send at once.
        session_bytes_burst: u32 = 512 * 1024;
        /// Stanzas a second that one session may send for long.
        session_stanzas_rate: u32 = 50;
        /// Stanzas that one session may send at once.
        session_stanzas_burst: u32 = 200;
        /// Bytes that wait for a slow client until it gets no more than its log's ids.
        session_queue_bytes: usize = 512 * 1024;
        /// Stanzas that wait for a client's acknowledgement.
        session_queue_stanzas: usize = 1000;
        /// Items of one roster.
        roster_items_max: u32 = 2000;
        /// Entries of one page of an archive.
        archive_page_max: u32 = 250;
        /// Bytes of one request over HTTP.
        http_body_bytes: usize = 64 * 1024;
    }
}

fn loopback() -> Vec<Network> {
    let parse = |text: &str| text.parse().expect("a literal address range");
    vec![parse("127.0.0.0/8"), parse("::1")]
}
