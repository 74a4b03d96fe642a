//! A request on its way to its session, and what it brought.

use klatsch_actors::strain::{Charge, Queue};
use klatsch_protocol::stream::bosh::{Condition, Request};
use klatsch_protocol::xml::Fragment;

use super::line::Waiter;
use super::window::Place;
use crate::xmpp::ClientGateway;

/// A request that has come.
pub(super) struct Arrived {
    pub(super) load: Load,
    pub(super) waiter: Waiter,
}

/// What a request brought.
pub(super) struct Load {
    pub(super) request: Request,
    pub(super) payloads: Result<Vec<Fragment>, Condition>,
    pub(super) bytes: usize,
    _charge: Charge,
}

impl Arrived {
    pub(super) fn new(
        request: Request,
        payloads: Result<Vec<Fragment>, Condition>,
        bytes: usize,
        waiter: Waiter,
        clients: &ClientGateway,
    ) -> Self {
        let mut charge = Charge::new(clients.sessions.strain(), Queue::Inbound);
        charge.set(bytes);
        let load = Load {
            request,
            payloads,
            bytes,
            _charge: charge,
        };
        Self { load, waiter }
    }
}

impl Load {
    /// Where it belongs in the window.
    pub(super) fn place(&self) -> Place {
        let says_nothing = self.payloads.as_ref().is_ok_and(Vec::is_empty);
        let request = &self.request;
        let does_nothing = !request.restarts && !request.ends && request.pause.is_none();
        Place {
            rid: request.rid,
            ack: request.ack,
            pause: request.pause,
            ends: request.ends,
            is_empty: says_nothing && does_nothing,
        }
    }
}
