//! XMPP to people: client streams over TCP ([`c2s`]), WebSocket ([`websocket`]) and plain
//! requests of HTTP ([`bosh`]); and to programs that serve hosts of their own ([`component`]).

pub mod bosh;
mod buffer;
pub mod c2s;
pub mod component;
mod negotiation;
mod outbox;
mod sink;
pub mod socket;
pub mod websocket;
mod wire;

use std::sync::Arc;

use klatsch_actors::sessions::Sessions;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::Mechanism;
use klatsch_protocol::stream::{StreamLimits, StreamSettings, TlsState, Transport};
use klatsch_protocol::xml::{Element, Limits as XmlLimits};
use serde::{Deserialize, Serialize};

use crate::auth::{Authenticator, Registrar};
use crate::listener::{Limits, Shutdown};
use crate::tls::{CertificateStore, HandshakeTurns};

/// `[c2s]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct C2sSettings {
    /// Whether a client must encrypt. False counts only for connections to a loopback
    /// address of this machine; from elsewhere everybody must.
    pub require_tls: bool,
}

impl Default for C2sSettings {
    fn default() -> Self {
        Self { require_tls: true }
    }
}

/// What all client connections share.
pub struct ClientGateway {
    /// Where clients are bound.
    pub sessions: Sessions,
    /// Who may log in.
    pub authenticator: Arc<Authenticator>,
    /// Who may make an account.
    pub registrar: Arc<Registrar>,
    /// What TLS presents; without, there is no TLS.
    pub certificates: Option<Arc<CertificateStore>>,
    /// Bounds.
    pub limits: Arc<Limits>,
    /// When to stop.
    pub shutdown: Shutdown,
    /// Turns at TLS handshakes.
    pub turns: Arc<HandshakeTurns>,
    /// The domains served; the first answers clients that name another.
    pub domains: Vec<BareJid>,
    /// The mechanisms the backends can serve, in the order they are announced.
    pub mechanisms: Vec<Mechanism>,
    /// The server's secret behind the keys of accounts that do not exist.
    pub fake_salt_key: [u8; 32],
    /// Features announced after login, such as entity capabilities (XEP-0115 §6.3).
    pub features: Vec<Element>,
    /// What the operator wants.
    pub settings: C2sSettings,
}

impl ClientGateway {
    /// The settings of one stream. `is_local`: the connection came to a loopback address of
    /// this machine, so that its bytes cross no network.
    fn stream_settings(
        &self,
        transport: Transport,
        tls: TlsState,
        is_local: bool,
    ) -> Arc<StreamSettings> {
        let limits = StreamLimits {
            bytes_before_login: XmlLimits::BEFORE_LOGIN.stanza_bytes,
            bytes_after_login: self.limits.stanza_bytes_max,
            idle_seconds: 0,
        };
        // RFC 7395 §3.9: a WebSocket cannot get TLS later, so its handshake has judged that;
        // nor can a request.
        let wants_tls = self.settings.require_tls && transport == Transport::Tcp;
        Arc::new(StreamSettings {
            require_tls: wants_tls || !is_local,
            tls,
            transport,
            mechanisms: self.mechanisms.clone(),
            limits,
            registration: self.registrar.offered(),
            extra_features: self.features.clone(),
            ..StreamSettings::new(self.domains.clone(), self.fake_salt_key)
        })
    }
}
