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
    /// nicks have gone, by a half of the room that ends.
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
    /// The store has the organisation's people and groups in this version.
    Colleagues(u64),
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
mod tests {
    use klatsch_cluster::codec;
    use klatsch_protocol::stanza::StanzaError;

    use super::*;

    fn room() -> BareJid {
        BareJid::parse("r@conference.x").unwrap()
    }

    fn samples() -> Vec<Envelope> {
        let session = FullJid::parse("a@x/r").unwrap();
        let refused = Settled::Refused(StanzaError::resource_constraint());
        let reply = Stanza::Message(Default::default());
        let end = Mail::Avatar("hash".into());
        vec![
            Envelope::Mail {
                to: Address::Session(session.clone()),
                mail: Box::new(end),
                is_from_here: true,
            },
            Envelope::Tell(vec![session.clone()], Bytes::from_static(b"room mail")),
            Envelope::Gone(room(), vec![session.clone()]),
            Envelope::Changed(room(), Aspect::Credentials),
            Envelope::Forward(room(), Box::new(reply.clone())),
            Envelope::Ask(7, Box::new(Question::Replace(session))),
            Envelope::Ask(8, Box::new(Question::Destroy(room(), None))),
            Envelope::Ask(9, Box::new(Question::ClientHost)),
            Envelope::Answer(7, Box::new(Reply::Done(true))),
            Envelope::Answer(9, Box::new(Reply::ClientHost(Some("n2".into())))),
            Envelope::Answer(8, Box::new(Reply::Settled(refused))),
            Envelope::CatchUp(room(), vec![FullJid::parse("a@x/r").unwrap()], 12_000),
            Envelope::ShowAgain(room(), Vec::new(), vec!["hag".into()]),
            Envelope::Broadcast {
                topic: "app:shop:door".into(),
                frame: Bytes::from_static(b"frame"),
                is_binary: true,
            },
            Envelope::Missed,
            Envelope::Colleagues(7),
            Envelope::Answer(
                9,
                Box::new(Reply::Settled(Settled::Replied(Box::new(reply)))),
            ),
        ]
    }

    #[test]
    fn envelopes_survive_the_wire() {
        for envelope in samples() {
            let encoded = codec::encode(&envelope).unwrap();
            assert_eq!(codec::decode::<Envelope>(&encoded).unwrap(), envelope);
        }
    }

    /// As the first version says it: nodes of it may be there while a cluster is upgraded, so no
    /// line ever changes.
    #[test]
    fn envelopes_stay_what_they_are_on_the_wire() {
        let session = FullJid::parse("a@x/r").unwrap();
        let ask = |number, question| Envelope::Ask(number, Box::new(question));
        let answer = |number, reply| Envelope::Answer(number, Box::new(reply));
        let take_over = Question::TakeOver {
            account: room(),
            previd: "id".into(),
        };
        let broadcast = Envelope::Broadcast {
            topic: "app:s:d".into(),
            frame: Bytes::from_static(b"frame"),
            is_binary: true,
        };
        let golden: [(Envelope, &[u8]); 14] = [
            (
                Envelope::Tell(vec![session.clone()], Bytes::from_static(b"mail")),
                b"\x01\x01\x01\x05a@x/r\x04mail",
            ),
            (
                Envelope::Gone(room(), vec![session.clone()]),
                b"\x01\x02\x0er@conference.x\x01\x05a@x/r",
            ),
            (
                Envelope::Changed(room(), Aspect::Credentials),
                b"\x01\x03\x0er@conference.x\x01",
            ),
            (
                ask(8, Question::Destroy(room(), None)),
                b"\x01\x07\x08\x01\x0er@conference.x\x00",
            ),
            (
                ask(7, Question::Replace(session.clone())),
                b"\x01\x07\x07\x02\x05a@x/r",
            ),
            (
                ask(300, take_over),
                b"\x01\x07\xfb\x2c\x01\x03\x0er@conference.x\x02id",
            ),
            (ask(9, Question::ClientHost), b"\x01\x07\x09\x06"),
            (answer(7, Reply::Done(true)), b"\x01\x08\x07\x02\x01"),
            (
                answer(9, Reply::ClientHost(Some("n2".into()))),
                b"\x01\x08\x09\x05\x01\x02n2",
            ),
            (
                Envelope::CatchUp(room(), vec![session.clone()], 12_000),
                b"\x01\x09\x0er@conference.x\x01\x05a@x/r\xfb\xe0\x2e",
            ),
            (
                Envelope::ShowAgain(room(), vec![session], vec!["hag".into()]),
                b"\x01\x0a\x0er@conference.x\x01\x05a@x/r\x01\x03hag",
            ),
            (broadcast, b"\x01\x0b\x07app:s:d\x05frame\x01"),
            (Envelope::Missed, b"\x01\x0c"),
            (Envelope::Colleagues(7), b"\x01\x0d\x07"),
        ];
        for (envelope, bytes) in golden {
            assert_eq!(codec::encode(&envelope).unwrap(), bytes, "{envelope:?}");
        }
    }

    /// A later version knows more: what it says beyond this one's words is no word at all.
    #[test]
    fn the_next_versions_words_are_no_words_of_this_one() {
        #[derive(Serialize)]
        #[expect(dead_code, reason = "they only count")]
        enum Next {
            Known0,
            Known1,
            Known2,
            Known3,
            Known4,
            Known5,
            Known6,
            Known7,
            Known8,
            Known9,
            Known10,
            Known11,
            Known12,
            Known13,
            Added(u64),
        }
        // Its contents are those of the last word that is known: only the number is not.
        let mut added = codec::encode(&Next::Added(7)).unwrap();
        assert!(codec::decode::<Envelope>(&added).is_err());
        added[1] -= 1;
        let last = codec::decode::<Envelope>(&added);
        assert!(
            matches!(last, Ok(Envelope::Colleagues(7))),
            "a variant was added: have the next one follow it"
        );
    }
}
