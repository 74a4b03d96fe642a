//! What nodes say to each other about sessions, accounts and rooms.
//!
//! The variant names are wire names and new ones come last; a test guards their bytes. What a
//! node does not understand it counts and forgets: everything here may be lost.

use std::sync::Arc;

use bytes::Bytes;
use klatsch_protocol::features::caps;
use klatsch_protocol::features::muc::effect::Occupancy;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::Stanza;
use serde::{Deserialize, Serialize};

use crate::mail::{Address, Mail};
use crate::room::Settled;
use crate::session::Waiting;

/// One message on the way between two nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Envelope {
    /// Mail for sessions of the node that gets it.
    Mail {
        /// For whom.
        to: Address,
        /// What.
        mail: Box<Mail>,
        /// The session that has sent it is on the node that says so.
        is_from_here: bool,
    },
    /// What a room has for these sessions of the node that gets it: an encoded
    /// [`crate::mail::RoomMail`], the same bytes for every node.
    Tell(Vec<FullJid>, Bytes),
    /// These sessions, which a room of the node that gets it believes to be inside, are not
    /// there.
    Gone(BareJid, Vec<FullJid>),
    /// Something about an account has changed in the store.
    Changed(BareJid, Aspect),
    /// Somebody here uses this software: what can it do?
    Wanted(caps::Key),
    /// What software can do (XEP-0115).
    Learned(caps::Key, Arc<caps::Capabilities>),
    /// A stanza for an external component that is connected there.
    Forward(BareJid, Box<Stanza>),
    /// A question with its number.
    Ask(u64, Box<Question>),
    /// The answer to the question of this number.
    Answer(u64, Box<Reply>),
    /// These sessions, which are inside a room of the node that gets it, may have missed presence
    /// for so many milliseconds.
    CatchUp(BareJid, Vec<FullJid>, u64),
    /// These sessions, which are inside a room of the node that gets it, were told that these
    /// nicks have gone, by a half of the room that ends. Without nicks: they may know nothing.
    ShowAgain(BareJid, Vec<FullJid>, Vec<String>),
    /// What somebody has pushed on a topic of an app, written for everybody who is on it.
    Broadcast {
        /// The topic.
        topic: Box<str>,
        /// A frame of the JSON channels.
        frame: Bytes,
        /// It is a binary frame.
        is_binary: bool,
    },
    /// What the node that gets it has said may be lost: it is to ask again what it has asked.
    Missed,
    /// This number is to be sent back: what was shown before is there then.
    SendBack(u64),
    /// A number comes back.
    SentBack(u64),
    /// The store has the organisation's people and groups in this version.
    Colleagues(u64),
    /// This session has gone to the node that gets it, and has been told that others have gone who
    /// may be there: it is to be shown who is.
    ShowAll(FullJid),
}

/// What has changed of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Aspect {
    /// Its roster, its block list or its avatar.
    Data,
    /// Its password: what was proved before is worth nothing (row A14).
    Credentials,
    /// It was removed: rooms look at what it is to them (row C15).
    Removed,
}

/// What a node asks another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Question {
    /// To have a stanza dealt with by its room.
    Room {
        /// The stanza; its `from` is the sender's real address.
        stanza: Box<Stanza>,
        /// What the sender's session remembers of the room.
        occupancy: Option<Box<Occupancy>>,
        /// What tells the stanza if it has no id (D2).
        counted: Option<Box<str>>,
        /// The session that has sent it is on the node that asks.
        is_from_here: bool,
    },
    /// To end a room in the name of the server.
    Destroy(BareJid, Option<String>),
    /// To end a session, because another one takes its name.
    Replace(FullJid),
    /// To hand a session over to the node that asks, where its client is (XEP-0198 §5).
    TakeOver {
        /// Whose it must be (row A13).
        account: BareJid,
        /// Its resumption id.
        previd: String,
    },
    /// To go on with a session, whose client may come any time.
    GoOn(Box<Waiting>),
    /// To read a content of a file, by its hash, from an offset on.
    Piece([u8; 32], u64),
    /// Where clients reach the node that is asked.
    ClientHost,
    /// To let go of a session, because it goes on where the question comes from; another session
    /// of its name ends as by [`Question::Replace`].
    GiveWay {
        /// Its name.
        session: FullJid,
        /// Its resumption id.
        previd: String,
    },
}

/// What a node answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// What became of a stanza.
    Settled(Settled),
    /// The room has failed or is put away: ask again, whoever has it then.
    AskAgain,
    /// It is done, or not.
    Done(bool),
    /// The session, if there is such a one.
    Session(Option<Box<Waiting>>),
    /// Bytes of a content, if the node has it.
    Piece(Option<Bytes>),
    /// Where clients reach the node, if that was configured.
    ClientHost(Option<String>),
}

#[cfg(test)]
mod tests;
