//! What the operator and the listener decide about client streams.

use crate::jid::BareJid;
use crate::sasl::Mechanism;
use crate::stream::register::Registration;
use crate::xml::Element;

/// Settings shared by all streams of one listener.
#[derive(Clone)]
pub struct StreamSettings {
    /// The domains served; the first answers clients that name another.
    pub domains: Vec<BareJid>,
    /// Whether a login needs TLS.
    pub require_tls: bool,
    /// What the listener has of TLS.
    pub tls: TlsState,
    /// How the stream's elements are carried.
    pub transport: Transport,
    /// The mechanisms the account backends can serve, in the order they are announced.
    pub mechanisms: Vec<Mechanism>,
    /// So many failed logins close the stream (RFC 6120 §6.4.5 wants two to five).
    pub attempts_max: u8,
    /// So many times a stream may be opened anew on one connection (row X17).
    pub restarts_max: u8,
    /// The server's secret behind the credentials of absent accounts; the same on every
    /// node and after every start, or absent accounts would show by their changing salt.
    pub fake_salt_key: [u8; 32],
    /// Who may make an account.
    pub registration: Registration,
    /// What XEP-0478 announces.
    pub limits: StreamLimits,
    /// Further features to announce after login, such as entity capabilities (XEP-0115 §6.3).
    pub extra_features: Vec<Element>,
}

impl StreamSettings {
    /// The defaults: STARTTLS over TCP, required, with every mechanism.
    #[must_use]
    pub fn new(domains: Vec<BareJid>, fake_salt_key: [u8; 32]) -> Self {
        Self {
            domains,
            require_tls: true,
            tls: TlsState::Offered,
            transport: Transport::Tcp,
            mechanisms: Mechanism::ALL.to_vec(),
            attempts_max: 3,
            restarts_max: 5,
            fake_salt_key,
            registration: Registration::default(),
            limits: StreamLimits::default(),
            extra_features: Vec::new(),
        }
    }
}

/// Whether a connection has TLS or can have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsState {
    /// There is no certificate, or the transport has no STARTTLS.
    Off,
    /// STARTTLS is offered.
    Offered,
    /// It is there from the first byte: direct TLS (XEP-0368), `wss:`, or a trusted proxy
    /// that says so.
    Active,
}

/// How a stream's elements are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One long document (RFC 6120 §4.1).
    Tcp,
    /// A document a frame (RFC 7395).
    WebSocket,
    /// Elements in the bodies of HTTP requests and answers (XEP-0124, XEP-0206).
    Bosh,
}

/// What a client may send (XEP-0478); zero is not announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Bytes of a first-level element before login.
    pub bytes_before_login: usize,
    /// Bytes of a first-level element after login.
    pub bytes_after_login: usize,
    /// Seconds of silence after which the server asks or hangs up.
    pub idle_seconds: u32,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            bytes_before_login: 8 * 1024,
            bytes_after_login: 256 * 1024,
            idle_seconds: 0,
        }
    }
}
