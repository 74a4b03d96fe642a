//! Accounts, rooms and nodes of services as files: Portable Import/Export Format, XEP-0227 version 1.1,
//! <https://xmpp.org/extensions/xep-0227.html>
//!
//! `export.rs` writes an account a page at a time, `import.rs` takes it in a piece at a time,
//! `rooms.rs` does both for rooms, `reader.rs` cuts a file into pieces. Whoever runs the command holds one page or piece, and
//! the server or the store at rest does the rest, so a file may be of any size.
//!
//! Block lists are privacy lists there (§4.8). What the format has no place for stands in our
//! own namespace, which others pass over: who administrates, who may not log in; preferences of
//! archives stand as XEP-0441 writes them; rooms and services stand there, too, and devices that
//! are told by push (`devices.rs`) and what is known of files that people have sent (`files.rs`).
//! Entries keep their ids where the file is ours. Leaves out the contents of those files, which
//! lie beside the store and are copied as files; hidden entries of logs; and what soon passes:
//! invitations, tokens to log in by, and sessions.

mod devices;
pub mod export;
mod files;
pub mod import;
pub mod reader;
pub mod rooms;

use klatsch_protocol::stanza::{Message, Stanza};
use serde::{Deserialize, Serialize};

/// The namespace.
pub const NS: &str = "urn:xmpp:pie:0";
/// Keys of an account (§4.3).
pub const NS_SCRAM: &str = "urn:xmpp:pie:0#scram";
/// An archive (§4.11).
pub const NS_ARCHIVE: &str = "urn:xmpp:pie:0#mam";
/// What the format has no place for.
pub const NS_OWN: &str = "urn:klatsch:export:0";

const NS_PRIVACY: &str = "jabber:iq:privacy";
const NS_PRIVATE: &str = "jabber:iq:private";

/// Ids of archives below this are counts like ours, and are kept. What others count in, such as
/// microseconds, is larger.
const ID_MAX: u64 = 1 << 31;

/// How far the export of an account is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// Everything but nodes and messages.
    Start,
    /// Files after the one of this id.
    Files(Option<String>),
    /// Nodes after this one.
    Nodes(Option<String>),
    /// Items of the first node after this one.
    NextItems(Option<String>),
    /// Items of this node after this one.
    Items(String, Option<String>),
    /// Messages that wait after this entry.
    Waiting(u64),
    /// Entries of the archive after this one.
    Archive(Option<u64>),
}

/// A part of an account's data, as the file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The name of the element it stands in; empty: the account's own.
    pub parent: String,
    /// That element's node.
    pub node: Option<String>,
    /// The element.
    pub xml: String,
}

/// What became of pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// What could not be taken, and why.
    pub notes: Vec<String>,
    /// The first entry of the log that holds a message still to be delivered.
    pub waiting_from: Option<u64>,
}

/// A message that says when it came, without that (XEP-0203).
fn without_delay(message: &Message, host: &str) -> Message {
    let is_ours = |from: Option<&str>| from.is_none_or(|from| from == host);
    let payloads = message.payloads.without(|child| {
        child.is("delay", klatsch_protocol::features::delay::NS)
            && child
                .element()
                .is_some_and(|delay| is_ours(delay.get("from")))
    });
    Message {
        payloads,
        ..message.clone()
    }
}

fn message_of(xml: &[u8]) -> Option<Message> {
    match Stanza::parse(xml) {
        Ok(Stanza::Message(message)) => Some(message),
        _ => None,
    }
}
