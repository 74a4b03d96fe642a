//! Mail on its way to sessions, here and on other nodes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use klatsch_cluster::codec;
use klatsch_cluster::node_id::NodeId;
use klatsch_protocol::facts::Resource;
use klatsch_protocol::jid::FullJid;
use klatsch_protocol::routing::{self, Share};

use super::{Directory, Place, Published};
use crate::mail::{Address, Committed, Mail, RoomMail};
use crate::metrics;
use crate::session::SessionMsg;
use crate::slot::Slot;

/// How mail travels between the addresses of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wire {
    /// By reference.
    #[default]
    Direct,
    /// Through encode and decode, as between nodes: what does not survive that does not arrive.
    Encoded,
    /// Encoded, and of the hints one in this many is lost.
    Lossy(u64),
}

impl Directory {
    /// Sends mail; tells whether anybody was there to get it.
    pub fn send(&self, to: &Address, mail: Mail) -> bool {
        let Some(mail) = self.travel(mail) else {
            return true;
        };
        match to {
            Address::Session(jid) => match self.place(jid) {
                Some(Place::Here(slot)) => self.deliver_to_slot(slot, mail),
                Some(Place::There(node)) => self.send_there(&[node], to, &mail),
                None => false,
            },
            Address::Account(_) => {
                let Some(published) = self.published(to.account()) else {
                    return false;
                };
                if self.peers.is_some() {
                    self.send_there(&published.nodes(), to, &mail);
                }
                self.deliver_to_account(mail, &published);
                true
            }
        }
    }

    /// Hands mail of another node to the sessions it is for here. It goes no further: the other
    /// nodes have got their own.
    pub(crate) fn deliver_here(&self, to: &Address, mail: Mail) -> bool {
        let Some(published) = self.published(to.account()) else {
            return false;
        };
        match to {
            Address::Session(jid) => match published.place(jid) {
                Some(Place::Here(slot)) => self.deliver_to_slot(slot, mail),
                _ => false,
            },
            Address::Account(_) => {
                self.deliver_to_account(mail, &published);
                true
            }
        }
    }

    fn send_there(&self, nodes: &[NodeId], to: &Address, mail: &Mail) -> bool {
        let Some(peers) = self.peers.as_ref().filter(|_| !nodes.is_empty()) else {
            return false;
        };
        let is_from_here = matches!(mail, Mail::Deliver(stanza) if self.has_sender(stanza));
        peers.mail(nodes, to, mail, is_from_here)
    }

    /// What arrives of mail that is sent; `None` when it is lost on the way.
    pub(super) fn travel(&self, mail: Mail) -> Option<Mail> {
        if let Wire::Lossy(one_in) = self.wire
            && is_hint(&mail)
        {
            // A multiplicative hash of the counter: spread like chance, the same in every run.
            let count = self.hints.fetch_add(1, Ordering::Relaxed);
            if (count.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).is_multiple_of(one_in) {
                return None;
            }
        }
        if self.wire == Wire::Direct {
            return Some(mail);
        }
        let decoded = codec::encode(&mail).and_then(|bytes| codec::decode(&bytes));
        match decoded {
            Ok(mail) => Some(mail),
            Err(error) => {
                tracing::error!(%error, "mail does not survive the wire");
                None
            }
        }
    }

    fn deliver_to_slot(&self, slot: Slot, mail: Mail) -> bool {
        self.slots.send(slot, SessionMsg::Mail(Box::new(mail)))
    }

    /// To the sessions of the account that are here.
    fn deliver_to_account(&self, mail: Mail, published: &Published) {
        match mail {
            Mail::Committed(committed) => self.hint(Arc::new(committed), published),
            mail => self.spread(&mail, published),
        }
    }

    /// Hands a committed entry to every session here with its share of it. Also those that
    /// get nothing hear of it: their cursors move on.
    fn hint(&self, committed: Arc<Committed>, published: &Published) {
        for (resource, slot) in published.here() {
            let share = routing::share(
                &committed.message,
                committed.direction,
                resource,
                &published.view,
            );
            if !self
                .slots
                .send(slot, SessionMsg::Committed(committed.clone(), share))
            {
                metrics::hint_without_session();
            }
        }
    }

    fn spread(&self, mail: &Mail, published: &Published) {
        for (resource, slot) in published.here() {
            if wants(mail, resource) {
                self.slots
                    .send(slot, SessionMsg::Mail(Box::new(mail.clone())));
            }
        }
    }

    /// What this session gets of an entry it has read from the log itself.
    pub fn share_of(&self, committed: &Committed, me: &FullJid) -> Share {
        let Some(published) = self.published(me.bare_str()) else {
            return Share::Nothing;
        };
        let view = &published.view;
        let Some(resource) = view.resource(me) else {
            return Share::Nothing;
        };
        routing::share(&committed.message, committed.direction, resource, view)
    }
}

/// What may be lost, since the log has it.
fn is_hint(mail: &Mail) -> bool {
    match mail {
        Mail::Committed(_) => true,
        Mail::Room(RoomMail::Heard(heard)) => heard.entry.is_some(),
        _ => false,
    }
}

fn wants(mail: &Mail, resource: &Resource) -> bool {
    match mail {
        Mail::RosterPush(_) => resource.roster_interest,
        Mail::BlocklistPush(_) => resource.blocklist_interest,
        Mail::Avatar(_) | Mail::Wish(_) => resource.presence.is_some(),
        Mail::Deliver(_) | Mail::End(_) | Mail::Committed(_) | Mail::Room(_) => true,
    }
}
