//! Where external components are (XEP-0114), and what they get.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use klatsch_protocol::jid::{BareJid, FullJid, Jid};
use klatsch_protocol::stanza::{Stanza, StreamError};

use super::Directory;
use crate::mail::{Mail, RoomMail};
use crate::metrics;
use crate::session::{Pressure, Sink};

/// Where an external component is found.
pub(crate) struct ComponentPlace {
    /// Its connection.
    pub(crate) sink: Arc<dyn Sink>,
    /// It has been told that it is one.
    pub(crate) is_open: AtomicBool,
}

/// What became of a stanza for a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarded {
    /// It is on its way.
    Taken,
    /// The component reads too slowly: as much waits for it as may.
    Full,
    /// The component is not connected.
    Away,
}

impl Directory {
    /// Lists a component; false: it is connected already. Called by [`crate::components`] alone,
    /// as what follows.
    pub(crate) fn list_component(&self, host: BareJid, place: Arc<ComponentPlace>) -> bool {
        let is_new = self
            .components
            .pin()
            .try_insert(host.clone(), place)
            .is_ok();
        if let (true, Some(replica)) = (is_new, self.replica()) {
            replica.show_component(&host, true);
        }
        is_new
    }

    pub(crate) fn unlist_component(&self, host: &BareJid) {
        self.components.pin().remove(host);
        if let Some(replica) = self.replica() {
            replica.show_component(host, false);
        }
    }

    /// Ends the streams of all components.
    pub(crate) fn close_components(&self, error: &StreamError) {
        for place in self.components.pin().values() {
            place.sink.close(Some(error.clone()));
        }
    }

    /// Hands a stanza to a component, wherever it is connected. Never waits.
    pub fn forward(&self, host: &str, stanza: &Stanza) -> Forwarded {
        match self.forward_here(host, stanza) {
            Forwarded::Away => self.forward_there(host, stanza),
            forwarded => forwarded,
        }
    }

    /// Hands a stanza to a component that is connected to another node.
    fn forward_there(&self, host: &str, stanza: &Stanza) -> Forwarded {
        let there = self.peers.as_ref().and_then(|peers| {
            let (host, node) = peers.replica.get()?.component(host)?;
            Some(peers.forward(node, &host, stanza))
        });
        match there {
            Some(true) => Forwarded::Taken,
            Some(false) | None => Forwarded::Away,
        }
    }

    /// Hands a stanza to a component that is connected here. Never waits.
    pub(crate) fn forward_here(&self, host: &str, stanza: &Stanza) -> Forwarded {
        let place = self.components.pin().get(host).cloned();
        let Some(place) = place.filter(|place| place.is_open.load(Ordering::Acquire)) else {
            return Forwarded::Away;
        };
        let Some(Mail::Deliver(stanza)) = self.travel(Mail::Deliver(stanza.clone())) else {
            return Forwarded::Away;
        };
        match place.sink.stanza(&stanza) {
            Pressure::Free | Pressure::Queued(_) => {
                metrics::stanza_sent(&stanza);
                Forwarded::Taken
            }
            Pressure::Full => {
                metrics::component_full();
                Forwarded::Full
            }
            Pressure::Closed => Forwarded::Away,
        }
    }

    /// Tells somebody at a component what a room has; false: they cannot be reached. What is too
    /// much for the component stands in the room's log.
    pub(super) fn tell_component(&self, to: &FullJid, mail: &RoomMail) -> bool {
        let host = Jid::from(to.clone());
        let RoomMail::Heard(heard) = mail else {
            let is_here = self.components.pin().contains_key(host.domain());
            return is_here
                || self
                    .replica()
                    .is_some_and(|it| it.component(host.domain()).is_some());
        };
        let mut stanza = heard.stanza.clone();
        stanza.head_mut().to = Some(host.clone());
        self.forward(host.domain(), &stanza) != Forwarded::Away
    }
}
