//! Address → session here, or the node that has it. Nothing else resolves an address.
//!
//! Presence shards publish into the directory who is bound (`Directory::publish`); everybody
//! reads without waiting. Mail goes out through [`Directory::send`] alone, so that a test can
//! put every piece of it through encode and decode, or lose hints at random.

mod components;
mod delivery;
mod presumed;
mod rooms;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use klatsch_cluster::node_id::NodeId;
use klatsch_protocol::colleagues::Book;
use klatsch_protocol::facts::{AccountView, Resource, Views};
use klatsch_protocol::features::caps;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::Stanza;

use smallvec::SmallVec;
use tokio::sync::watch;

pub(crate) use self::components::ComponentPlace;
pub use self::components::Forwarded;
pub use self::delivery::Wire;
use self::presumed::Presumed;
pub use self::rooms::RoomPlace;
use crate::capabilities::Known;
use crate::news::News;
use crate::peers::Peers;
use crate::replica::Replica;
use crate::slot::{Slot, Slots};

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
