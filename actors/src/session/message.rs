//! Mail of a session, and what it needs of its connection.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use klatsch_cluster::node_id::NodeId;
use klatsch_protocol::archive::Entry;
use klatsch_protocol::colleagues::{Book, Shift};
use klatsch_protocol::effect::{Answer, Continue, Effect};
use klatsch_protocol::jid::{BareJid, FullJid, Jid};
use klatsch_protocol::ns;
use klatsch_protocol::routing::Share;
use klatsch_protocol::stanza::{ErrorKind, Stanza, StanzaError, StreamCondition, StreamError};
use klatsch_protocol::xml::{Element, Fragment};
use klatsch_store::StoreError;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use crate::log_writer::Outcome;
use crate::mail::{Committed, Mail, RoomMail};
use crate::replica::Ack;
use crate::session::{Session, Waiting};
use crate::sessions::Credit;
use crate::slot::Slot;

/// Mail of a session.
pub enum SessionMsg {
    /// The client has sent this over its connection with this number; the credit is given
    /// back when it has been dealt with.
    Inbound(Box<Fragment>, Credit, u32),
    /// Mail from another address.
    Mail(Box<Mail>),
    /// An entry has been committed to the account's log; this is the session's share of it.
    Committed(Arc<Committed>, Share),
    /// A room the session is in has something for it.
    Room(Arc<RoomMail>),
    /// The organisation's directory shows its account, or its account others, otherwise: by this
    /// book.
    Shifted(Arc<[Shift]>, Arc<Book>),
    /// The next entries of a room's log.
    RoomPulled(BareJid, Result<Vec<Entry>, StoreError>),
    /// This room, or all of them, was started again: say who is inside.
    Announce(Option<BareJid>),
    /// What became of the batch with this number.
    Appended(u64, Vec<Outcome>),
    /// What the stanza being decided waits for has come.
    Answered(Box<Answered>),
    /// The next entries of the log.
    Pulled(Result<Vec<Entry>, StoreError>),
    /// The account's log ends here.
    Tail(u64),
    /// The connection has taken what was queued.
    Writable,
    /// The client has been told, over this connection, that it is bound or resumed: begin to
    /// write.
    Start(u32),
    /// A client comes back.
    Resume(Box<Resumption>),
    /// The connection with this number is gone.
    Detach(Detach, u32),
    /// The time for coming back is over for the loss of the connection with this number.
    ResumeExpired(u32),
    /// Another session takes this one's name, or this one goes on elsewhere under it.
    Replace(Successor),
    /// So much of what the client has sent would be known to whoever goes on with the session.
    Known(Ack),
    /// It goes on here, and was on another node before.
    GoesOn {
        /// What was for it since then may be lost.
        since: tokio::time::Instant,
        /// Contacts have seen it go.
        has_gone: bool,
    },
    /// Another node's session has this one's name, and it began later.
    Superseded,
    /// The node is short of memory: go, if at least so many bytes wait for the client.
    LetGo(usize),
    /// End with this error.
    End(StreamError),
    /// The server stops: a session whose client cannot come back ends with this error. The
    /// other end of the channel hears of it, at once from a session that stays.
    Leave(StreamError, oneshot::Sender<()>),
    /// The session is handed over, once everything its client has sent is dealt with; its
    /// connection ends with this error when somebody has it. One that cannot be resumed ends.
    HandOver(StreamError, Heir),
    /// What had come before the session could leave has been dealt with.
    Depart,
    /// What has become of a session that was handed over to no other node in particular.
    Left(Left),
    /// An operator looks.
    Inspect(oneshot::Sender<Box<Session>>),
}

impl ractor::Message for SessionMsg {}

/// What the stanza being decided was waiting for.
pub enum Answered {
    /// The store's answer, and how it goes on.
    Loaded(Answer, Continue),
    /// A change was carried out.
    Changed,
    /// The facts were stale: decide again.
    Stale,
    /// The facts may be stale, and cannot be read now.
    Unreadable,
    /// A change was refused.
    Refused(StanzaError),
    /// It was refused, with these words.
    Replied(Box<Stanza>),
    /// It is not known whether it was kept (D5).
    Uncertain,
    /// Nothing more to say.
    Done,
}

impl Answered {
    /// Whether the same may well succeed later (RFC 6120 §8.3.2).
    pub(super) fn refuses_for_now(&self) -> bool {
        match self {
            Self::Refused(error) => error.kind == ErrorKind::Wait,
            Self::Replied(reply) => {
                let error = reply.payloads().element("error", ns::CLIENT);
                error.is_some_and(|error| error.get("type") == Some("wait"))
            }
            _ => false,
        }
    }

    /// What this means for the effects that wait.
    pub(super) fn effects(
        self,
        stanza: &Stanza,
        go_on: impl FnOnce(Answer, Continue) -> Vec<Effect>,
    ) -> Next {
        match self {
            Self::Loaded(answer, continued) => Next::Prepend(go_on(answer, continued)),
            Self::Changed | Self::Done | Self::Uncertain => Next::GoOn,
            Self::Stale => Next::Again,
            Self::Unreadable => Next::Anyway,
            Self::Replied(reply) => Next::Instead(vec![Effect::Reply(*reply)]),
            Self::Refused(error) => {
                Next::Instead(klatsch_protocol::pipeline::reply_error(stanza, &error))
            }
        }
    }
}

/// How a stanza goes on.
pub(super) enum Next {
    /// With the effects that are left.
    GoOn,
    /// With these first.
    Prepend(Vec<Effect>),
    /// With these alone.
    Instead(Vec<Effect>),
    /// From the beginning.
    Again,
    /// From the beginning, on what is known.
    Anyway,
}

/// Who goes on with a session.
pub struct Heir {
    /// The node that its client has come to; nothing: an heir has yet to be found, and
    /// [`SessionMsg::Left`] says who it was.
    pub node: Option<NodeId>,
    /// Where the session goes.
    pub session: oneshot::Sender<Box<Departing>>,
}

/// Who takes the name of a session.
pub struct Successor {
    /// The id by which a session is resumed that has been elsewhere: it may be the same one, which
    /// nobody sees go then.
    pub previd: Option<String>,
    /// Its node, if that is another one.
    pub node: Option<NodeId>,
    /// Heard when the name is free.
    pub ended: oneshot::Sender<()>,
}

/// A session on its way to an heir.
pub struct Departing {
    /// All there is to go on with.
    pub waiting: Waiting,
    /// Where it was.
    pub slot: Slot,
}

impl Departing {
    /// A session that leaves before a deadline. One that does so at the very last moment has left,
    /// and is taken all the same: it waits to hear what becomes of it.
    pub(crate) async fn by(
        deadline: tokio::time::Instant,
        mut leaving: oneshot::Receiver<Box<Self>>,
    ) -> Option<Box<Self>> {
        if let Ok(departing) = timeout_at(deadline, &mut leaving).await {
            return departing.ok();
        }
        leaving.close();
        leaving.try_recv().ok()
    }
}

/// What has become of a session that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Another node has it.
    To(NodeId),
    /// The store keeps it.
    ToStore,
    /// The store keeps it for a node that is not reached, or that has gone on without it.
    Across,
    /// Nobody takes it: it stays, and waits for its client.
    Nowhere,
}

/// A client that comes back (XEP-0198 §5).
pub struct Resumption {
    /// What it has handled.
    pub h: u32,
    /// Its new connection.
    pub sink: Arc<dyn Sink>,
    /// The answer: what has been handled of its stanzas; when it may not resume, why its stream
    /// must end for it, if it must.
    pub reply: oneshot::Sender<Result<ResumeAnswer, Option<StreamError>>>,
}

/// The session goes on.
pub struct ResumeAnswer {
    /// Its address.
    pub jid: FullJid,
    /// What has been handled of the client's stanzas.
    pub h: u32,
    /// The number of its new connection.
    pub connection: u32,
}

/// How a connection went away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detach {
    /// The client closed its stream: the session ends.
    Closed,
    /// The connection broke: the session waits for the client, if it may come back.
    Lost,
}

/// The other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// The connection is encrypted, or as good as.
    pub is_secure: bool,
    /// When it began to prove who it is: if the account has got another password since, that
    /// is worth nothing (row A14).
    pub proved: Instant,
}

/// What a session needs of a connection. Nothing here waits.
pub trait Sink: Send + Sync {
    /// Writes a stanza.
    fn stanza(&self, stanza: &Stanza) -> Pressure;
    /// Writes a stanza for many, to this address.
    fn stanza_to(&self, stanza: &Stanza, to: &Jid) -> Pressure {
        let mut own = stanza.clone();
        own.head_mut().to = Some(to.clone());
        self.stanza(&own)
    }
    /// Writes an element that is no stanza.
    fn nonza(&self, element: &Element) -> Pressure;
    /// Writes the error, if any, ends the stream and closes.
    fn close(&self, error: Option<StreamError>);
    /// Bytes the client has not taken yet.
    fn queued(&self) -> usize;
    /// Tells whether its client is where no rate applies.
    fn is_trusted(&self) -> bool {
        false
    }
    /// Tells whether its client may be sent to another host (RFC 6120 §4.9.3.19).
    fn follows_hosts(&self) -> bool {
        false
    }
    /// Closes without sending what waits, and gives its memory back.
    fn cut(&self) {
        self.close(Some(StreamError::new(StreamCondition::ResourceConstraint)));
    }
}

/// How a connection takes what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressure {
    /// At once.
    Free,
    /// So many bytes wait, more than the connection likes: what can wait in the log should.
    /// [`SessionMsg::Writable`] comes when they are gone.
    Queued(usize),
    /// Not now: as much waits as may, and it does not close for that.
    Full,
    /// Not at all: it is closed.
    Closed,
}
