//! Address → session here, or the node that has it. Nothing else resolves an address.
//!
//! Presence shards publish into the directory who is bound (`Directory::publish`); everybody
//! reads without waiting. Mail goes out through [`Directory::send`] alone, so that a test can
//! put every piece of it through encode and decode, or lose hints at random.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use klatsch_cluster::codec;
use klatsch_protocol::facts::{AccountView, Resource, Views};
use klatsch_protocol::features::caps;
use klatsch_protocol::jid::{BareJid, FullJid, Jid};
use klatsch_protocol::routing::{self, Share};
use klatsch_protocol::stanza::{Stanza, StreamError};

use ractor::ActorRef;

use crate::capabilities::Known;
use crate::mail::{Address, Committed, Mail, RoomMail};
use crate::metrics;
use crate::room::RoomMsg;
use crate::session::{Pressure, SessionMsg, Sink};
use crate::slot::{Slot, Slots};

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

/// Who is bound where.
pub struct Directory {
    accounts: papaya::HashMap<BareJid, Arc<Published>>,
    /// Where the sessions of this node are.
    pub slots: Slots,
    rooms: papaya::HashMap<BareJid, RoomPlace>,
    components: papaya::HashMap<BareJid, Arc<ComponentPlace>>,
    wire: Wire,
    hints: AtomicU64,
    nobody: Arc<AccountView>,
    capabilities: Known,
}

/// What a shard has published of an account: its resources and, in the same order, their slots.
#[derive(Debug, Default)]
pub struct Published {
    /// What everybody may see.
    pub view: Arc<AccountView>,
    /// Where the sessions are.
    pub slots: Vec<Slot>,
}

impl Published {
    fn slot(&self, jid: &FullJid) -> Option<Slot> {
        let mut resources = self.view.resources.iter();
        let index = resources.position(|resource| resource.jid == *jid)?;
        self.slots.get(index).copied()
    }
}

/// Where a room is found.
#[derive(Clone)]
pub struct RoomPlace {
    /// Its actor.
    pub actor: ActorRef<RoomMsg>,
    /// How many sessions are inside.
    pub occupants: Arc<AtomicU32>,
}

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
    /// An empty directory.
    pub fn new(wire: Wire) -> Self {
        Self {
            accounts: papaya::HashMap::new(),
            slots: Slots::default(),
            rooms: papaya::HashMap::new(),
            components: papaya::HashMap::new(),
            wire,
            hints: AtomicU64::new(0),
            nobody: Arc::default(),
            capabilities: Known::default(),
        }
    }

    /// Remembers what software with this hash can do.
    pub fn learn(&self, key: caps::Key, capabilities: caps::Capabilities) {
        self.capabilities.learn(key, capabilities);
    }

    /// Publishes an account's bound resources. Called by the account's presence shard alone.
    pub(crate) fn publish(&self, account: BareJid, published: Published) {
        if published.slots.is_empty() {
            self.accounts.pin().remove(&account);
        } else {
            self.accounts.pin().insert(account, Arc::new(published));
        }
    }

    /// What is published of an account.
    pub fn published(&self, account: &str) -> Option<Arc<Published>> {
        self.accounts.pin().get(account).cloned()
    }

    /// Every account that is published and for which this holds, to start a shard again from.
    pub(crate) fn all(&self, wanted: impl Fn(&BareJid) -> bool) -> Vec<(BareJid, Arc<Published>)> {
        let accounts = self.accounts.pin();
        let chosen = accounts.iter().filter(|(account, _)| wanted(account));
        chosen
            .map(|(account, published)| (account.clone(), published.clone()))
            .collect()
    }

    /// Tells whether nobody is bound.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// The slot of a session here.
    pub fn slot(&self, jid: &FullJid) -> Option<Slot> {
        self.published(jid.bare_str())?.slot(jid)
    }

    /// Sends mail; tells whether anybody was there to get it.
    pub fn send(&self, to: &Address, mail: Mail) -> bool {
        let Some(mail) = self.travel(mail) else {
            return true;
        };
        let Some(published) = self.published(to.account()) else {
            return false;
        };
        match to {
            Address::Session(jid) => self.deliver_to_session(jid, mail, &published),
            Address::Account(_) => self.deliver_to_account(mail, &published),
        }
    }

    /// Where a room is found, if it is at hand.
    pub fn room(&self, room: &str) -> Option<RoomPlace> {
        self.rooms.pin().get(room).cloned()
    }

    /// All rooms at hand.
    pub fn rooms(&self) -> Vec<(BareJid, RoomPlace)> {
        let rooms = self.rooms.pin();
        let all = rooms.iter();
        all.map(|(room, place)| (room.clone(), place.clone()))
            .collect()
    }

    /// Lists a room. Called by the keeper of rooms alone, as what follows.
    pub(crate) fn list_room(&self, room: BareJid, place: RoomPlace) {
        self.rooms.pin().insert(room, place);
    }

    pub(crate) fn unlist_room(&self, room: &BareJid) {
        self.rooms.pin().remove(room);
    }

    /// Lists no room any more; tells whether any was.
    pub(crate) fn clear_rooms(&self) -> bool {
        let rooms = self.rooms.pin();
        let any = !rooms.is_empty();
        rooms.clear();
        any
    }

    /// Tells sessions what a room has for them. Never waits. Answers those that are not there.
    pub(crate) fn tell(&self, to: &[FullJid], mail: RoomMail) -> Vec<FullJid> {
        let Some(Mail::Room(mail)) = self.travel(Mail::Room(mail)) else {
            return Vec::new();
        };
        let mail = Arc::new(mail);
        let accounts = self.accounts.pin();
        let is_gone = |jid: &&FullJid| {
            let published = accounts.get(jid.bare_str());
            let slot = published.and_then(|published| published.slot(jid));
            let sent = slot.map(|slot| self.slots.send(slot, SessionMsg::Room(mail.clone())));
            !sent.unwrap_or_else(|| self.tell_component(jid, &mail))
        };
        to.iter().filter(is_gone).cloned().collect()
    }

    /// Lists a component; false: it is connected already. Called by [`crate::components`] alone,
    /// as what follows.
    pub(crate) fn list_component(&self, host: BareJid, place: Arc<ComponentPlace>) -> bool {
        self.components.pin().try_insert(host, place).is_ok()
    }

    pub(crate) fn unlist_component(&self, host: &BareJid) {
        self.components.pin().remove(host);
    }

    /// Ends the streams of all components.
    pub(crate) fn close_components(&self, error: &StreamError) {
        for place in self.components.pin().values() {
            place.sink.close(Some(error.clone()));
        }
    }

    /// Hands a stanza to a component. Never waits.
    pub fn forward(&self, host: &str, stanza: &Stanza) -> Forwarded {
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
    fn tell_component(&self, to: &FullJid, mail: &RoomMail) -> bool {
        let host = Jid::from(to.clone());
        let RoomMail::Heard(heard) = mail else {
            return self.components.pin().contains_key(host.domain());
        };
        let mut stanza = heard.stanza.clone();
        stanza.head_mut().to = Some(host.clone());
        self.forward(host.domain(), &stanza) != Forwarded::Away
    }

    /// What arrives of mail that is sent; `None` when it is lost on the way.
    fn travel(&self, mail: Mail) -> Option<Mail> {
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

    fn deliver_to_session(&self, jid: &FullJid, mail: Mail, published: &Published) -> bool {
        let resources = &published.view.resources;
        let Some(index) = resources.iter().position(|resource| resource.jid == *jid) else {
            return false;
        };
        self.slots
            .send(published.slots[index], SessionMsg::Mail(Box::new(mail)))
    }

    fn deliver_to_account(&self, mail: Mail, published: &Published) -> bool {
        match mail {
            Mail::Committed(committed) => self.hint(Arc::new(committed), published),
            mail => self.spread(&mail, published),
        }
        true
    }

    /// Hands a committed entry to every session here with its share of it. Also those that
    /// get nothing hear of it: their cursors move on.
    fn hint(&self, committed: Arc<Committed>, published: &Published) {
        for (resource, slot) in published.view.resources.iter().zip(&published.slots) {
            let share = routing::share(
                &committed.message,
                committed.direction,
                resource,
                &published.view,
            );
            if !self
                .slots
                .send(*slot, SessionMsg::Committed(committed.clone(), share))
            {
                metrics::hint_without_session();
            }
        }
    }

    fn spread(&self, mail: &Mail, published: &Published) {
        for (resource, slot) in published.view.resources.iter().zip(&published.slots) {
            if wants(mail, resource) {
                self.slots
                    .send(*slot, SessionMsg::Mail(Box::new(mail.clone())));
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
        Mail::Avatar(_) => resource.presence.is_some(),
        Mail::Deliver(_) | Mail::End(_) | Mail::Committed(_) | Mail::Room(_) => true,
    }
}

impl Views for Directory {
    fn view(&self, account: &BareJid) -> Arc<AccountView> {
        self.published(account.as_str())
            .map_or_else(|| self.nobody.clone(), |published| published.view.clone())
    }

    fn capabilities(&self, key: &caps::Key) -> Option<Arc<caps::Capabilities>> {
        self.capabilities.get(key)
    }
}
