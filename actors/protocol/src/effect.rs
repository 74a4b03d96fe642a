//! Everything a decision may ask for.
//!
//! Decisions return effects in the order in which they are to happen; `klatsch-actors`
//! carries them out. An effect that waits (a commit, a change, a query) holds back the
//! effects behind it, so that order is kept without anybody locking anything.

use bytes::Bytes;

use crate::account::AccountChange;
use crate::archive::{ArchiveQuery, Bounds, Page};
use crate::facts::Facts;
use crate::features::admin::{Census, Person, Stop, notices};
use crate::features::archive_preferences::Preferences;
use crate::features::blocking::BlocklistChange;
use crate::features::caps;
use crate::features::invitation::{Invite, TokenHash};
use crate::features::pubsub::node::{Ask, Found, NodeChange};
use crate::features::push::PushChange;
use crate::features::reporting::Report;
use crate::features::roster::RosterChange;
use crate::features::roster::shared::Version;
use crate::features::roster::sight::Showing;
use crate::features::upload::SlotRequest;
use crate::features::upload::slot::Slot;
use crate::features::web_push;
use crate::jid::{BareJid, FullJid, Jid};
use crate::stanza::{Message, Presence, Stanza, StanzaError, StreamError};
use crate::time::Timestamp;
use crate::xml::Element;

/// One thing that is to happen.
#[derive(Debug, Clone, PartialEq)]
#[allow(
    unpredictable_function_pointer_comparisons,
    reason = "effects are compared in tests only, which look at queries without their functions"
)]
pub enum Effect {
    /// Write a stanza to the client of this session.
    Reply(Stanza),
    /// Write an element that is no stanza to the client of this session.
    Nonza(Element),
    /// Hand a stanza to its address. Nothing is kept: it is lost with the link it travels on.
    Route(Stanza),
    /// A presence for the colleagues who are there. Who that is, is found when it is carried out:
    /// behind the publishing of that presence, so that of two who come at the same moment one
    /// finds the other. [`to_colleagues`](crate::features::presence::announce::to_colleagues).
    Spread(Box<Presence>),
    /// Keep a message in the logs of both accounts; then acknowledge and deliver it.
    Keep(Keep),
    /// Ask the store, then go on with the answer.
    Load(Query, Continue),
    /// Change what the store remembers of this account, by compare-and-set on the versions
    /// of the facts. When they are stale, the whole stanza is decided again with fresh facts.
    Change(Change),
    /// Change an account itself. When that is refused, so is the stanza: the effects behind it
    /// are not carried out.
    ChangeAccount(Box<AccountChange>),
    /// Tell everybody of this domain who is online.
    Announce(BareJid, Box<Message>),
    /// What a domain tells everybody once has changed.
    Notice(notices::Changed),
    /// The server is to stop.
    Stop(Stop),
    /// Tell those who look after the domain that somebody was reported (XEP-0377); what is behind
    /// it waits until that is kept.
    Report(Box<Report>),
    /// Send an IQ set with this payload to every resource of this account that asked for such pushes.
    Push(Interest, Element),
    /// Change a flag of this session.
    Flag(Flag),
    /// This session's presence is now this one, for everybody who looks (`None`: unavailable).
    /// Telling the contacts is said separately, by `Route`.
    Publish(Option<Box<Presence>>),
    /// Deliver what the account's log holds beyond its delivery cursor (XEP-0160). The session
    /// has gone back to that cursor when it published its presence, before anybody saw it.
    DeliverOffline,
    /// Release the stanzas held back while the client was inactive (XEP-0352).
    Release,
    /// Remember what software with this hash can do (XEP-0115), for everybody.
    Learn(caps::Key, caps::Capabilities),
    /// The account's avatar has this hash now, or it has none: its sessions show that
    /// (XEP-0398 §4).
    ShowAvatar(Box<str>),
    /// Hold this stanza back until the client is active, keeping the last one of each key.
    Hold(Option<HoldKey>, Stanza),
    /// End this session with a stream error.
    Close(StreamError),
    /// End the sessions of these resources of the account.
    Kick(Vec<FullJid>, StreamError),
    /// Nothing happens, and this is why (for traces and tests).
    Trace(&'static str, &'static str),
}

/// A message for the logs.
#[derive(Debug, Clone, PartialEq)]
pub struct Keep {
    /// The message as it will stand in both logs: `from` is the sender's full JID, ids of
    /// ours are stripped.
    pub message: Message,
    /// The local account whose log takes it too; `None` when the recipient is elsewhere or
    /// is the sender.
    pub recipient: Option<BareJid>,
    /// The two see each other by the directory: a contact that is in neither's stored roster.
    pub are_colleagues: bool,
    /// What makes a replay of it recognisable (D2).
    pub dedup: DedupKey,
}

/// What makes a replay of a message recognisable (D2). The sender is always part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DedupKey {
    /// XEP-0359 `<origin-id/>`: the same id with another payload is an error.
    Origin(Box<str>),
    /// The stanza's id together with its payload.
    Stanza(Box<str>),
    /// Neither: the session's resumption id and the stanza's count tell it.
    Counted,
}

/// What can be asked of the store.
#[derive(Debug, Clone, PartialEq)]
pub enum Query {
    /// A page of this account's archive (XEP-0313).
    Archive(ArchiveQuery),
    /// What this account wants to find in its archive (XEP-0441).
    ArchivePreferences,
    /// First and last entry of this account's archive (XEP-0313 §metadata).
    Bounds,
    /// Who lets this account see their presence.
    Viewers,
    /// Nodes of this account or host (XEP-0060).
    Pubsub(BareJid, Box<Ask>),
    /// What this account keeps under a name, and some of its nodes besides.
    Kept(String, Option<Box<Ask>>),
    /// Nodes of this account for who wants to read them: with what the directory shows of its
    /// owner ([`crate::features::avatar::directory`]), which is in no node.
    Shown(BareJid, Box<Ask>),
    /// [`Query::Kept`] with nodes like that.
    KeptAndShown(String, Box<Ask>),
    /// A place for an invitation among those of its inviter.
    Invite(Box<Invite>),
    /// Use an invitation of this account, by the hash of its token: for a contact.
    Redeem(TokenHash),
    /// Room for a file, taken from its account's quota (XEP-0363).
    Slot(Box<SlotRequest>),
    /// Something about browsers that are told.
    WebPush(Box<web_push::Ask>),
    /// Whether this account is an administrator, at this moment.
    IsAdmin,
    /// How many accounts there are of a kind, and some of them (XEP-0133 §4.12 to §4.21).
    Census(Census),
    /// What there is to be told of an account (XEP-0133 §4.7, §4.9).
    Person(BareJid),
}

impl Query {
    /// The answer for an account that does not exist: that of one that has nothing. `None`:
    /// such an account is not asked this.
    pub fn nothing(&self) -> Option<Answer> {
        match self {
            Self::Pubsub(_, ask) | Self::Shown(_, ask) => {
                Some(Answer::Pubsub(Box::new(ask.nothing())))
            }
            Self::Kept(_, ask) => Some(Answer::Kept(Box::new(Kept {
                found: ask.as_ref().map(|ask| ask.nothing()),
                ..Kept::default()
            }))),
            Self::KeptAndShown(_, ask) => Some(Answer::Kept(Box::new(Kept {
                found: Some(ask.nothing()),
                ..Kept::default()
            }))),
            Self::Archive(_)
            | Self::ArchivePreferences
            | Self::Bounds
            | Self::Viewers
            | Self::Slot(_)
            | Self::WebPush(_)
            | Self::Invite(_)
            | Self::Redeem(_)
            | Self::IsAdmin
            | Self::Census(_)
            | Self::Person(_) => None,
        }
    }
}

/// What an account keeps under a name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    /// It; `None` when nothing is kept.
    pub value: Option<Bytes>,
    /// How many values the account keeps in all.
    pub count: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// The nodes that were asked for besides.
    pub found: Option<Found>,
}

/// What the store answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To [`Query::Archive`].
    Page(Page),
    /// To [`Query::ArchivePreferences`].
    ArchivePreferences(Box<Preferences>),
    /// To [`Query::Bounds`].
    Bounds(Option<Bounds>),
    /// To [`Query::Viewers`].
    Viewers(Showing),
    /// To [`Query::Pubsub`].
    Pubsub(Box<Found>),
    /// To [`Query::Kept`].
    Kept(Box<Kept>),
    /// To [`Query::Invite`]: it is made; `None`: the inviter has too many.
    Invite(Option<Box<Invite>>),
    /// To [`Query::Redeem`]: whether it was good, and is used now.
    Redeemed(bool),
    /// To [`Query::Slot`]: there is room.
    Slot(Box<Slot>),
    /// To [`Query::Slot`]: there is none before this, or until the account makes some.
    OverQuota(Option<Timestamp>),
    /// To [`Query::WebPush`].
    WebPush(web_push::Told),
    /// To [`Query::IsAdmin`].
    IsAdmin(bool),
    /// To [`Query::Census`]: how many, and as many of them as were asked for.
    Census(u64, Vec<BareJid>),
    /// To [`Query::Person`].
    Person(Box<Person>),
    /// The archive has no entry with the id the client paged from (XEP-0059 §2.2).
    NoSuchItem,
    /// The store could not answer.
    Failed(StanzaError),
}

/// Goes on with a stanza once the store has answered.
pub type Continue = fn(&Stanza, Answer, &Facts<'_>) -> Vec<Effect>;

/// A durable change to the account that decides.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Roster items put or removed, all or none.
    Roster(Vec<RosterChange>),
    /// Addresses blocked or unblocked.
    Blocklist(BlocklistChange),
    /// A node of this account or of a host; stale when the node has another version.
    Pubsub(Box<NodeChange>),
    /// Who is told while devices are away (XEP-0357).
    Push(PushChange),
    /// What is to be found in the archive later (XEP-0441); the last one who says so is right.
    ArchivePreferences(Box<Preferences>),
    /// What is kept under a name; the last one who says so is right.
    Kept(KeptChange),
}

/// A value an account keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptChange {
    /// The name.
    pub name: String,
    /// The value; `None`: it goes.
    pub value: Option<Bytes>,
}

/// What a resource may ask to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Roster pushes (RFC 6121 §2.1.6): it has asked for the roster.
    Roster,
    /// Block list pushes (XEP-0191 §3.3): it has asked for the list.
    Blocklist,
}

/// A flag of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flag {
    /// The session wants these pushes.
    Interested(Interest),
    /// The client is told the roster of this version.
    Roster(Version),
    /// Message Carbons on or off (XEP-0280).
    Carbons(bool),
    /// The client is in the background (XEP-0352).
    Inactive(bool),
    /// The client has been asked what it can do, by the request with this id.
    CapabilitiesAsked(Option<Box<str>>),
    /// Directed presence was sent to this address, or taken back (RFC 6121 §4.6).
    Directed(Jid, bool),
}

/// What held stanzas replace each other by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HoldKey {
    /// The last presence of this address.
    Presence(Jid),
    /// The last chat state of this address.
    ChatState(Jid),
    /// The last event of this address about the same items, said by node and ids.
    Event(Jid, Box<str>),
}
