//! The lines of a history: what clients did and saw, what was done to the servers, and what
//! every log had at the end.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Operation;

/// An archive with consecutive ids, and so where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) enum Log {
    /// An account's.
    Account(u32),
    /// A room's.
    Room(u32),
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(number) => write!(f, "account {number}"),
            Self::Room(number) => write!(f, "room {number}"),
        }
    }
}

impl FromStr for Log {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unreadable = || format!("no log: {text}");
        let (kind, number) = text.split_once(' ').ok_or_else(unreadable)?;
        let number = number.parse().map_err(|_| unreadable())?;
        match kind {
            "account" => Ok(Self::Account(number)),
            "room" => Ok(Self::Room(number)),
            _ => Err(unreadable()),
        }
    }
}

impl From<Log> for String {
    fn from(log: Log) -> Self {
        log.to_string()
    }
}

impl TryFrom<String> for Log {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Somebody whose presence others see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Subject {
    /// An account, to its contacts.
    Contact(u32),
    /// An account in a room, to those inside.
    Occupant {
        /// The room.
        room: u32,
        /// Who.
        account: u32,
    },
}

impl Subject {
    /// The account in the same surroundings: who looks at an occupant looks as an occupant.
    pub(crate) fn seen_by(self, account: u32) -> Self {
        match self {
            Self::Contact(_) => Self::Contact(account),
            Self::Occupant { room, .. } => Self::Occupant { room, account },
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Contact(account) => write!(f, "account {account}"),
            Self::Occupant { room, account } => write!(f, "account {account} in room {room}"),
        }
    }
}

/// What the driver knows of its own client's presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Truth {
    /// Its session has ended, or it is in no such room.
    Absent,
    /// Its connection is lost: its session may wait for it or not.
    Unknown,
    /// It is there, and this is the how manieth presence it has sent; 0 in rooms.
    Present(u32),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Event {
    /// The run begins.
    Run {
        /// What fixes its random choices.
        seed: u64,
        /// How many accounts talk.
        clients: u32,
        /// What marks its messages' ids.
        run: String,
        /// How many rooms there are.
        #[serde(default)]
        rooms: u32,
        /// How many nodes the logs are read from.
        #[serde(default = "one")]
        nodes: u32,
    },
    /// A message is about to be sent for the first time.
    Invoke {
        /// The message.
        op: Operation,
        /// Whom it is for.
        to: Log,
    },
    /// The server has acknowledged it: with `<a/>`, or a room by its reflection.
    Ok {
        /// The message.
        op: Operation,
    },
    /// The server has refused it.
    Fail {
        /// The message.
        op: Operation,
        /// The server's reason.
        why: String,
    },
    /// Nobody knows.
    Info {
        /// The message.
        op: Operation,
    },
    /// A client sent it again, with the same ids.
    Resent {
        /// The message.
        op: Operation,
    },
    /// A session received a message.
    Received {
        /// The account.
        account: u32,
        /// Which of its sessions: a new one with every binding. In a room: which of its visits.
        session: u32,
        /// Which of its connections: a session that is resumed has several.
        connection: u32,
        /// The log that the message is delivered from.
        log: Log,
        /// The message.
        op: Operation,
        /// The id under which that log has it (XEP-0359).
        id: Option<String>,
    },
    /// A client has a session again: its own one, or another.
    Online {
        /// The account.
        account: u32,
        /// The node it is connected to.
        node: u32,
    },
    /// A client's connection ended.
    Lost {
        /// The account.
        account: u32,
        /// It ended the connection itself, though not for want of an answer.
        on_purpose: bool,
    },
    /// A server has sent a client to another host (RFC 6120 §4.9.3.19).
    SentElsewhere {
        /// The account.
        account: u32,
        /// The node that this host is, if it is one of the run's.
        node: Option<u32>,
    },
    /// A session came back.
    Resumed {
        /// The account.
        account: u32,
    },
    /// The server did not know the session any more.
    NotResumed {
        /// The account.
        account: u32,
    },
    /// A client dropped its connection on purpose.
    Dropped {
        /// The account.
        account: u32,
    },
    /// Somebody is to see somebody.
    Watches {
        /// The account that looks.
        viewer: u32,
        /// At whom.
        subject: Subject,
    },
    /// A client has changed its presence, or the driver knows more or less of it.
    Shows {
        /// Who.
        subject: Subject,
        /// What is true from now on.
        truth: Truth,
    },
    /// What a client sees of somebody has changed.
    Sees {
        /// The account that looks.
        viewer: u32,
        /// At whom.
        subject: Subject,
        /// The presence it sees; `None` when it sees nobody there.
        seen: Option<u32>,
    },
    /// A client begins with a new session, in which it sees nobody yet.
    Forgets {
        /// The account that looks.
        viewer: u32,
    },
    /// The server was killed.
    Killed {
        /// Messages that were not acknowledged at that moment.
        in_flight: u64,
    },
    /// The server was told to stop, and has stopped.
    Stopped {
        /// Messages that were not acknowledged when it was told.
        in_flight: u64,
    },
    /// The disk under the server's data is full.
    Filled {
        /// Messages that were not acknowledged at that moment.
        in_flight: u64,
    },
    /// It has room again.
    Freed,
    /// The server answers again.
    Started {
        /// Milliseconds since its process was started.
        after_ms: u64,
    },
    /// A fault of an experiment begins.
    Fault {
        /// Counted from 1.
        number: u32,
        /// The experiment, by the name of its fault.
        fault: String,
        /// What is done to whom.
        what: String,
        /// Messages that were not acknowledged at that moment.
        in_flight: u64,
    },
    /// A fault has been seen to be there.
    Proven {
        /// Which fault.
        number: u32,
        /// By what.
        by: String,
    },
    /// A node calls others down that a fault has taken from it, or all others up again.
    Noticed {
        /// Which fault.
        number: u32,
        /// Up, and not down.
        is_up: bool,
        /// Milliseconds since the fault began, or since it was over.
        after_ms: u64,
    },
    /// A node calls another down that no fault has taken from it.
    CalledDown {
        /// The last fault.
        number: u32,
        /// Who calls it so.
        node: u32,
    },
    /// A fault is over.
    Healed {
        /// Which fault.
        number: u32,
    },
    /// Messages and presence have come to rest; clients leave from now on.
    Settled,
    /// A line of a log, in the log's order.
    Archived {
        /// The log.
        log: Log,
        /// The node it was read from, counted from 1.
        #[serde(default = "one")]
        node: u32,
        /// The log's id.
        id: String,
        /// The message, where its origin id and its body name the same one.
        op: Option<Operation>,
        /// Whom the log names as its sender.
        from: Option<u32>,
        /// Where the log says that it went.
        to: Option<Log>,
        /// What stood there, where it was no message of this run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// A log has been read to its end.
    Walked {
        /// The log.
        log: Log,
        /// The node it was read from.
        #[serde(default = "one")]
        node: u32,
    },
    /// Something that people should see and the checker must not pass over.
    Trouble {
        /// What it is.
        what: String,
    },
}

/// A run against one server has one node, the first.
fn one() -> u32 {
    1
}
