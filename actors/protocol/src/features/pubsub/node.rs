//! A node as the store knows it, and what can be asked of and done to one.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::config::Config;
use super::options::Options;
use crate::jid::{BareJid, Jid};
use crate::time::Timestamp;

/// A node without its items (XEP-0060 §4.4: a leaf).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its NodeID.
    pub name: String,
    /// Raised by every change of configuration or affiliations: what is published was allowed
    /// by the configuration that stands (row R09).
    pub version: u64,
    /// Who made it; the bytes in it count for them.
    pub creator: BareJid,
    /// When it was made.
    pub created: Timestamp,
    /// How it behaves.
    pub config: Config,
    /// Who stands out, for good or ill.
    pub affiliations: BTreeMap<BareJid, Affiliation>,
    /// Who has subscribed, one entry an address.
    pub subscriptions: Vec<Subscription>,
}

impl Ask {
    /// What is found where nothing is: the answer for an account that does not exist.
    pub fn nothing(&self) -> Found {
        match self {
            Self::Node { .. } => Found::Node(FoundNode::default()),
            Self::Nodes { .. } => Found::Nodes(Vec::new()),
            Self::Subscriptions(_) => Found::Subscriptions(Vec::new()),
            Self::Affiliations(_) => Found::Affiliations(Vec::new()),
            Self::LastItems { .. } => Found::LastItems(Vec::new()),
        }
    }
}

impl Node {
    /// The subscription of exactly this address.
    pub fn subscription(&self, jid: &Jid) -> Option<&Subscription> {
        self.subscriptions.iter().find(|known| known.jid == *jid)
    }

    /// Tells whether the account of this address gets what is published, by its own wish.
    pub fn is_subscribed(&self, jid: &Jid) -> bool {
        self.subscriptions.iter().any(|known| {
            known.jid.bare_str() == jid.bare_str() && known.state == SubscriptionState::Subscribed
        })
    }
}

/// What somebody is to a node (§4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Affiliation {
    /// Everything.
    Owner,
    /// May publish, subscribe and read.
    Publisher,
    /// May publish, and nothing else.
    PublishOnly,
    /// May subscribe and read where others may not.
    Member,
    /// Nobody in particular.
    None,
    /// Nothing at all.
    Outcast,
}

impl Affiliation {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Owner,
        Self::Publisher,
        Self::PublishOnly,
        Self::Member,
        Self::None,
        Self::Outcast,
    ];

    /// The value of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Publisher => "publisher",
            Self::PublishOnly => "publish-only",
            Self::Member => "member",
            Self::None => "none",
            Self::Outcast => "outcast",
        }
    }

    /// Reads the attribute.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }
}

/// Somebody's subscription (§4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Where notifications go.
    pub jid: Jid,
    /// Whether they go.
    pub state: SubscriptionState,
    /// How they go.
    pub options: Options,
}

/// The state of a subscription (§4.2). Nothing has to be configured here, so `unconfigured`
/// does not occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionState {
    /// There is none.
    None,
    /// An owner has to approve it.
    Pending,
    /// Notifications are sent.
    Subscribed,
}

impl SubscriptionState {
    /// The value of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pending => "pending",
            Self::Subscribed => "subscribed",
        }
    }

    /// Reads the attribute.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::None, Self::Pending, Self::Subscribed];
        all.into_iter().find(|known| known.as_str() == text)
    }
}

/// Something published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its ItemID.
    pub id: String,
    /// Who has published it.
    pub publisher: Jid,
    /// When.
    pub stamp: Timestamp,
    /// Its payload, canonical with its own `xmlns`; empty when there is none.
    pub payload: Bytes,
}

/// Bytes that an item, a subscription or an affiliation takes besides what is in it: its row and
/// its places in indexes. Many small things fill a disk like a few large ones.
pub const ROW_BYTES: u64 = 100;

impl Item {
    /// What it counts for its node's creator.
    pub fn bytes(&self) -> u64 {
        (self.payload.len() + self.id.len()) as u64 + ROW_BYTES
    }
}

/// What an account has at a service, to be held against its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Nodes it has made.
    pub nodes: u64,
    /// Bytes of the items in them, and of who is subscribed and affiliated, each with
    /// [`ROW_BYTES`].
    pub bytes: u64,
}

/// What can be asked of the store about a service: an account's own, or a host's.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// One node, some of its items, and what its creator has at the service. For a node that
    /// is not there the usage is that of `creator`.
    Node {
        /// Its name.
        node: String,
        /// Which items.
        items: Wanted,
        /// Who would make it.
        creator: BareJid,
    },
    /// Nodes in order of their names.
    Nodes {
        /// Those after this one.
        after: Option<String>,
        /// So many at most.
        max: u32,
    },
    /// What somebody has subscribed to.
    Subscriptions(BareJid),
    /// Where somebody has an affiliation.
    Affiliations(BareJid),
    /// The last item of each of these nodes of each of these services; never more bytes of
    /// items than this.
    LastItems {
        /// Whose, in the order in which they matter.
        services: Vec<BareJid>,
        /// Their names.
        nodes: Vec<String>,
        /// Payload bytes at most.
        bytes_max: usize,
    },
}

/// Which items of a node are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// None.
    Nothing,
    /// These, as far as they are there.
    Ids(Vec<String>),
    /// So many after this one, oldest first.
    After(Option<String>, u32),
    /// So many before this one, or the last ones.
    Before(Option<String>, u32),
    /// What an item of this id would take the place of: the one with the id, or else the
    /// oldest.
    Replaced(Option<String>),
}

/// What the store has found.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "it travels in a box, one for each request"
)]
pub enum Found {
    /// To [`Ask::Node`].
    Node(FoundNode),
    /// To [`Ask::Nodes`]: without subscriptions.
    Nodes(Vec<Node>),
    /// To [`Ask::Subscriptions`].
    Subscriptions(Vec<(String, Subscription)>),
    /// To [`Ask::Affiliations`].
    Affiliations(Vec<(String, Affiliation)>),
    /// To [`Ask::LastItems`].
    LastItems(Vec<LastItem>),
}

/// A node, if there is one, with what was asked along.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FoundNode {
    /// The node.
    pub node: Option<Node>,
    /// The items wanted, oldest first.
    pub items: Vec<Item>,
    /// How many items there are in all.
    pub count: u64,
    /// What the node's creator has at the service, or would-be creator.
    pub usage: Usage,
}

/// A node with its last item.
#[derive(Debug, Clone, PartialEq)]
pub struct LastItem {
    /// Whose.
    pub service: BareJid,
    /// The node, without subscriptions.
    pub node: Node,
    /// The item, unless there is none.
    pub item: Option<Item>,
    /// The groups of the asker in the owner's roster, for nodes that go by them.
    pub groups: Vec<String>,
}

/// A change to one node, all of it or nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeChange {
    /// The account or the host whose node it is.
    pub service: BareJid,
    /// The node's name.
    pub node: String,
    /// Its version now; `None`: it must not be there.
    pub expected: Option<u64>,
    /// What happens, in order.
    pub actions: Vec<Action>,
}

/// What can happen to a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// It is made; its creator becomes an owner.
    Create(BareJid, Config),
    /// It gets this configuration.
    Configure(Config),
    /// These become that; `None` removes.
    Affiliate(Vec<(BareJid, Affiliation)>),
    /// This subscription is put in the place of the one of the same address.
    Subscribe(Subscription),
    /// This address is no longer subscribed.
    Unsubscribe(Jid),
    /// These items come last, in the place of those with the same ids; of all items so many
    /// are kept, the oldest go.
    Publish(Vec<Item>, u32),
    /// Items go.
    Retract(Vec<String>),
    /// All items go.
    Purge,
    /// The node goes.
    Delete,
}
