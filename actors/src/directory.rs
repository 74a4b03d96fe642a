//! Address → session here, or the node that has it. Nothing else resolves an address.
//!
//! Presence shards publish into the directory who is bound (`Directory::publish`); everybody
//! reads without waiting. Mail goes out through [`Directory::send`] alone, so that a test can
//! put every piece of it through encode and decode, or lose hints at random.

mod presumed;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use klatsch_cluster::codec;
use klatsch_cluster::node_id::NodeId;
use klatsch_protocol::colleagues::Book;
use klatsch_protocol::facts::{AccountView, Resource, Views};
use klatsch_protocol::features::caps;
use klatsch_protocol::jid::{BareJid, FullJid, Jid};
use klatsch_protocol::routing::{self, Share};
use klatsch_protocol::stanza::{Stanza, StreamError};

use ractor::ActorRef;
use smallvec::SmallVec;
use tokio::sync::watch;

use self::presumed::Presumed;
use crate::capabilities::Known;
use crate::mail::{Address, Committed, Mail, RoomMail};
use crate::metrics;
use crate::news::News;
use crate::peers::Peers;
use crate::replica::Replica;
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
    peers: Option<Arc<Peers>>,
    presumed: Presumed,
    /// What has become of sessions lately; kept where there are other nodes.
    pub(crate) news: News,
    nobody: Arc<AccountView>,
    capabilities: Known,
    book: watch::Sender<Arc<Book>>,
}

/// Where a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On this node, in this slot.
    Here(Slot),
    /// On another node.
    There(NodeId),
}

impl Place {
    /// The slot, if it is here.
    pub fn slot(self) -> Option<Slot> {
        match self {
            Self::Here(slot) => Some(slot),
            Self::There(_) => None,
        }
    }

    fn node(self) -> Option<NodeId> {
        match self {
            Self::Here(_) => None,
            Self::There(node) => Some(node),
        }
    }
}

/// What a shard has published of an account: its resources and, in the same order, where they
/// are.
#[derive(Debug, Default)]
pub struct Published {
    /// What everybody may see.
    pub view: Arc<AccountView>,
    /// Where the sessions are; of most accounts there is one.
    pub places: SmallVec<[Place; 1]>,
}

impl Published {
    fn place(&self, jid: &FullJid) -> Option<Place> {
        let mut resources = self.view.resources.iter();
        let index = resources.position(|resource| resource.jid == *jid)?;
        self.places.get(index).copied()
    }

    /// Tells whether the session in this slot is the account's.
    pub fn has(&self, slot: Slot) -> bool {
        self.places.contains(&Place::Here(slot))
    }

    /// The resources here, with their slots.
    pub fn here(&self) -> impl Iterator<Item = (&Resource, Slot)> {
        let all = self.view.resources.iter().zip(&self.places);
        all.filter_map(|(resource, place)| Some((resource, place.slot()?)))
    }

    /// The other nodes that have resources of the account, each once.
    pub(crate) fn nodes(&self) -> Vec<NodeId> {
        let mut nodes: Vec<NodeId> = self.places.iter().filter_map(|it| it.node()).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
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
    /// An empty directory of a node, with these others.
    pub fn new(wire: Wire, peers: Option<Arc<Peers>>) -> Self {
        Self {
            accounts: papaya::HashMap::new(),
            slots: Slots::default(),
            rooms: papaya::HashMap::new(),
            components: papaya::HashMap::new(),
            wire,
            hints: AtomicU64::new(0),
            peers,
            presumed: Presumed::default(),
            news: News::default(),
            nobody: Arc::default(),
            capabilities: Known::default(),
            book: watch::Sender::default(),
        }
    }

    /// The people and groups of the organisation, for whoever wants to hear of every new book.
    pub fn books(&self) -> watch::Receiver<Arc<Book>> {
        self.book.subscribe()
    }

    /// Everybody goes by this book from now on. Called by [`crate::colleagues`] alone.
    pub(crate) fn lay_open(&self, book: Arc<Book>) {
        self.book.send_replace(book);
    }

    /// The other nodes, if there may be any.
    pub fn peers(&self) -> Option<&Arc<Peers>> {
        self.peers.as_ref()
    }

    /// What the nodes show each other, if there may be others.
    pub(crate) fn replica(&self) -> Option<&Replica> {
        self.peers.as_ref()?.replica.get()
    }

    /// Remembers what software with this hash can do; other nodes hear of it.
    pub fn learn(&self, key: caps::Key, capabilities: caps::Capabilities) {
        let capabilities = Arc::new(capabilities);
        if self.capabilities.learn(key.clone(), capabilities.clone())
            && let Some(peers) = &self.peers
        {
            peers.learned(key, capabilities);
        }
    }

    /// Remembers what another node has learned.
    pub(crate) fn learn_from_peer(&self, key: caps::Key, capabilities: Arc<caps::Capabilities>) {
        self.capabilities.learn(key, capabilities);
    }

    /// Publishes an account's bound resources. Called by the account's presence shard alone.
    pub(crate) fn publish(&self, account: BareJid, published: Published) {
        let accounts = self.accounts.pin();
        if self.peers.is_some() {
            let before = accounts
                .get(&account)
                .map(|it| it.view.resources.as_slice());
            let changed = shown_anew(before.unwrap_or_default(), &published.view.resources);
            changed.for_each(|session| self.news.note(session));
        }
        if published.places.is_empty() {
            accounts.remove(&account);
        } else {
            accounts.insert(account, Arc::new(published));
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

    /// Tells whether nobody is bound here.
    pub fn is_empty(&self) -> bool {
        let accounts = self.accounts.pin();
        accounts.values().all(|it| it.here().next().is_none())
    }

    /// Where a session is.
    pub fn place(&self, jid: &FullJid) -> Option<Place> {
        let published = self.published(jid.bare_str());
        self.later(jid, published.and_then(|published| published.place(jid)))
    }

    /// What a session has done is later than what another node shows of it.
    fn later(&self, jid: &FullJid, shown: Option<Place>) -> Option<Place> {
        match shown {
            Some(Place::Here(_)) => shown,
            _ => self.presumed(jid).or(shown),
        }
    }

    /// Whether the sender of a stanza is a session here.
    pub(crate) fn has_sender(&self, stanza: &Stanza) -> bool {
        let sender = stanza.from().and_then(|from| from.to_full());
        sender.is_some_and(|sender| matches!(self.place(&sender), Some(Place::Here(_))))
    }

    fn presumed(&self, jid: &FullJid) -> Option<Place> {
        self.peers.as_ref()?;
        self.presumed.node(jid).map(Place::There)
    }

    /// A session that is not shown yet has said something by way of this node.
    pub(crate) fn presume(&self, jid: &FullJid, node: NodeId) {
        let published = self.published(jid.bare_str());
        let shown = published.and_then(|published| published.place(jid));
        // What is shown of it by the same node may be of a session before this one.
        if !matches!(shown, Some(Place::Here(_))) {
            self.presumed.note(jid, node);
        }
    }

    /// A node says that a session is not there, or another one has it.
    pub(crate) fn presume_nothing(&self, jid: &FullJid, node: NodeId) {
        self.presumed.forget_if(jid, |presumed| presumed == node);
    }

    /// A node shows a session: it is not on any other.
    pub(crate) fn presume_no_other(&self, jid: &FullJid, node: NodeId) {
        self.presumed.forget_if(jid, |presumed| presumed != node);
    }

    /// The sessions of a lost node that were never shown.
    pub(crate) fn take_presumed(&self, node: NodeId) -> Vec<FullJid> {
        self.presumed.take_of(node)
    }

    pub(crate) fn sweep_presumed(&self) {
        self.presumed.sweep(tokio::time::Instant::now());
    }

    /// The slot of a session here.
    pub fn slot(&self, jid: &FullJid) -> Option<Slot> {
        self.place(jid)?.slot()
    }

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

    /// Where a room is found, if it is at hand.
    pub fn room(&self, room: &str) -> Option<RoomPlace> {
        self.rooms.pin().get(room).cloned()
    }

    /// How many sessions are inside a room, on whichever node it lives.
    pub fn occupants(&self, room: &BareJid) -> u32 {
        match (self.room(room.as_str()), self.replica()) {
            (Some(place), _) => place.occupants.load(Ordering::Relaxed),
            (None, Some(replica)) => replica.count(room),
            (None, None) => 0,
        }
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
        let mut there: BTreeMap<NodeId, Vec<FullJid>> = BTreeMap::new();
        let gone = self.tell_near(to, &mail, |node, jid| {
            there.entry(node).or_default().push(jid.clone());
        });
        if let (false, Some(peers)) = (there.is_empty(), &self.peers)
            && let Some(encoded) = Peers::encode_room_mail(&mail)
        {
            for (node, to) in there {
                peers.tell(node, to, encoded.clone());
            }
        }
        gone
    }

    /// Tells sessions here what a room on another node has for them; answers those that are not
    /// here.
    pub(crate) fn tell_here(&self, to: &[FullJid], mail: Arc<RoomMail>) -> Vec<FullJid> {
        let mut elsewhere = Vec::new();
        let mut gone = self.tell_near(to, &mail, |_, jid| elsewhere.push(jid.clone()));
        gone.append(&mut elsewhere);
        gone
    }

    /// Tells those that are here, says who is on another node, and answers the others.
    fn tell_near(
        &self,
        to: &[FullJid],
        mail: &Arc<RoomMail>,
        mut there: impl FnMut(NodeId, &FullJid),
    ) -> Vec<FullJid> {
        let accounts = self.accounts.pin();
        let mut is_gone = |jid: &&FullJid| {
            let published = accounts.get(jid.bare_str());
            let shown = published.and_then(|published| published.place(jid));
            match self.later(jid, shown) {
                Some(Place::Here(slot)) => !self.slots.send(slot, SessionMsg::Room(mail.clone())),
                Some(Place::There(node)) => {
                    there(node, jid);
                    false
                }
                None => !self.tell_component(jid, mail),
            }
        };
        to.iter().filter(|jid| is_gone(jid)).cloned().collect()
    }

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
    fn tell_component(&self, to: &FullJid, mail: &RoomMail) -> bool {
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

impl Views for Directory {
    fn view(&self, account: &BareJid) -> Arc<AccountView> {
        self.published(account.as_str())
            .map_or_else(|| self.nobody.clone(), |published| published.view.clone())
    }

    fn capabilities(&self, key: &caps::Key) -> Option<Arc<caps::Capabilities>> {
        self.capabilities.get(key)
    }

    fn book(&self) -> Arc<Book> {
        self.book.borrow().clone()
    }

    fn is_there(&self, account: &BareJid) -> bool {
        self.accounts.pin().contains_key(account)
    }
}

/// The sessions whose presence is not what it was.
fn shown_anew<'a>(
    before: &'a [Resource],
    after: &'a [Resource],
) -> impl Iterator<Item = &'a FullJid> {
    let find = |all: &'a [Resource], jid: &FullJid| all.iter().find(|it| it.jid == *jid);
    let changed = after.iter().filter(move |now| {
        find(before, &now.jid).and_then(|it| it.presence.as_ref()) != now.presence.as_ref()
    });
    let gone = before
        .iter()
        .filter(move |then| then.presence.is_some() && find(after, &then.jid).is_none());
    changed.chain(gone).map(|resource| &resource.jid)
}
