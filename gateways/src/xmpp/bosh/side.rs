//! How a session over BOSH negotiates: as on any stream, but that there is no TLS to start.

use std::io;
use std::sync::Arc;

use klatsch_actors::session::{Peer, Sink};
use klatsch_protocol::sasl::ChannelBindings;
use klatsch_protocol::stream::{TlsState, Transport as Carrier};

use super::table::Entry;
use crate::http::Requester;
use crate::xmpp::ClientGateway;
use crate::xmpp::negotiation::{Negotiation, Transport};
use crate::xmpp::outbox::Outbox;

/// The side of a negotiation that writes into answers.
pub(super) struct Side {
    pub(super) outbox: Arc<Outbox>,
    pub(super) entry: Arc<Entry>,
}

impl Transport for Side {
    fn write(&mut self, bytes: &[u8]) {
        self.outbox.push(bytes);
    }

    async fn start_tls(&mut self) -> io::Result<Option<ChannelBindings>> {
        // XEP-0206 §2: never offered, so never asked for.
        Err(io::ErrorKind::Unsupported.into())
    }

    fn logged_in(&mut self, _is_restarted: bool) {
        self.entry.logged_in();
    }

    fn sink(&self) -> Arc<dyn Sink> {
        Arc::clone(&self.outbox) as Arc<dyn Sink>
    }
}

/// The negotiation of a session that begins.
pub(super) fn negotiation(
    clients: &Arc<ClientGateway>,
    from: Requester,
    side: Side,
) -> Negotiation<Side> {
    // As for a WebSocket: what is not encrypted comes from this very machine, and a password
    // is not sent in the clear there either (row A05).
    let tls = match from.encrypted {
        true => TlsState::Active,
        false => TlsState::Off,
    };
    let settings = clients.stream_settings(Carrier::Bosh, tls, from.secure);
    let peer = Peer {
        address: from.address,
        is_secure: from.secure,
        proved: std::time::Instant::now(),
    };
    Negotiation::new(Arc::clone(clients), settings, side, peer)
}
