//! What nodes say to each other is read as it was written, by this version and by later ones.
//!
//! `golden.txt` has one of everything that goes from node to node, a name and its bytes. Nodes of
//! another version are there while a cluster is upgraded, so no line ever changes; what is new
//! gets a line at the end, which the failing test says.

use std::fmt::{Debug, Write};

use klatsch_cluster::codec;
use klatsch_protocol::archive::Direction;
use klatsch_protocol::channels::Shown;
use klatsch_protocol::facts::{Resource, SessionFacts};
use klatsch_protocol::features::muc::role::Role;
use klatsch_protocol::features::presence::wish::Wish;
use klatsch_protocol::jid::Jid;
use klatsch_protocol::routing::Share;
use klatsch_protocol::stanza::{Presence, StanzaError, StreamCondition, StreamError};
use klatsch_protocol::stream::Wishes;
use klatsch_protocol::stream::sm::{Sm, Unacked};
use klatsch_protocol::time::Timestamp;
use klatsch_protocol::xml::Element;
use serde::de::DeserializeOwned;

use super::*;
use crate::mail::{Committed, Heard, RoomMail};
use crate::replica::{Entry, Key, Record};
use crate::session::{Membership, Session};

const GOLDEN: &str = include_str!("golden.txt");

fn room() -> BareJid {
    BareJid::parse("r@conference.x").unwrap()
}

fn session() -> FullJid {
    FullJid::parse("a@x/r").unwrap()
}

fn stanza(xml: &str) -> Stanza {
    Stanza::parse(xml.as_bytes()).unwrap()
}

fn message() -> Stanza {
    stanza("<message xmlns='jabber:client' id='1' to='b@x' type='chat'><body>hi</body></message>")
}

fn presence() -> Presence {
    match stanza("<presence xmlns='jabber:client'><show>away</show></presence>") {
        Stanza::Presence(presence) => presence,
        other => panic!("{other:?} is no presence"),
    }
}

fn occupancy() -> Occupancy {
    Occupancy {
        room: room(),
        nick: "hag".into(),
        role: Role::Moderator,
        joined: Timestamp(5),
        presence: Box::new(presence()),
    }
}

fn committed() -> Committed {
    let Stanza::Message(message) = message() else {
        panic!("it is a message");
    };
    Committed {
        id: 9,
        stamp: Timestamp(1_000_000),
        direction: Direction::Received,
        message,
    }
}

/// A session with one of everything that it may have.
fn waiting() -> Waiting {
    let mut session = Session::new(session(), Wishes::default(), 7);
    let mut sm = Sm::new("previd".into());
    sm.count_handled();
    let share = Share::CarbonSent;
    sm.count_sent(Unacked::Entry { id: 7, share });
    sm.count_sent(Unacked::RoomEntry {
        room: room(),
        id: 3,
    });
    sm.count_sent(Unacked::Stanza(Box::new(message())));
    sm.count_sent(Unacked::Refusal(Box::new(Element::new("failed", "urn:x"))));
    session.sm = Some(sm);
    session.facts.presence = Some(Box::new(presence()));
    session.facts.directed = vec![Jid::parse("b@x/r").unwrap()];
    session.facts.capabilities_asked = Some("asked".into());
    let inside = Membership {
        occupancy: occupancy(),
        cursor: Some(session.cursor.clone()),
    };
    session.rooms.insert(room(), inside);
    Waiting {
        session,
        held: vec![message()],
    }
}

fn mail(mail: Mail) -> Envelope {
    Envelope::Mail {
        to: Address::Account(BareJid::parse("a@x").unwrap()),
        mail: Box::new(mail),
        is_from_here: true,
    }
}

fn ask(number: u64, question: Question) -> Envelope {
    Envelope::Ask(number, Box::new(question))
}

fn answer(number: u64, reply: Reply) -> Envelope {
    Envelope::Answer(number, Box::new(reply))
}

fn software() -> caps::Key {
    caps::Key {
        algorithm: "sha-1".into(),
        ver: "q07IKJEyjvHSyhy//CH0CxmKi8w=".into(),
    }
}

fn mails() -> Vec<(&'static str, Envelope)> {
    let wish = Wish::read(b"12 dnd in a meeting").unwrap();
    vec![
        ("mail.deliver", mail(Mail::Deliver(message()))),
        ("mail.committed", mail(Mail::Committed(committed()))),
        (
            "mail.roster_push",
            mail(Mail::RosterPush(Element::new("query", "jabber:iq:roster"))),
        ),
        (
            "mail.blocklist_push",
            mail(Mail::BlocklistPush(Element::new(
                "block",
                "urn:xmpp:blocking",
            ))),
        ),
        ("mail.avatar", mail(Mail::Avatar("hash".into()))),
        (
            "mail.end",
            mail(Mail::End(StreamError::new(StreamCondition::Conflict))),
        ),
        ("mail.room", mail(Mail::Room(RoomMail::CaughtUp(room(), 4)))),
        ("mail.wish", mail(Mail::Wish(Box::new(wish)))),
        (
            "mail.to_session",
            Envelope::Mail {
                to: Address::Session(session()),
                mail: Box::new(Mail::Avatar("".into())),
                is_from_here: false,
            },
        ),
    ]
}

fn questions() -> Vec<(&'static str, Envelope)> {
    let take_over = Question::TakeOver {
        account: room(),
        previd: "id".into(),
    };
    let to_room = Question::Room {
        stanza: Box::new(message()),
        occupancy: Some(Box::new(occupancy())),
        counted: Some("counted".into()),
        is_from_here: true,
    };
    let refused = Settled::Refused(StanzaError::resource_constraint());
    vec![
        ("ask.room", ask(1, to_room)),
        ("ask.destroy", ask(8, Question::Destroy(room(), None))),
        ("ask.replace", ask(7, Question::Replace(session()))),
        ("ask.take_over", ask(300, take_over)),
        ("ask.go_on", ask(2, Question::GoOn(Box::new(waiting())))),
        ("ask.piece", ask(3, Question::Piece([7; 32], 65_536))),
        ("ask.client_host", ask(9, Question::ClientHost)),
        (
            "ask.give_way",
            ask(
                4,
                Question::GiveWay {
                    session: session(),
                    previd: "id".into(),
                },
            ),
        ),
        ("answer.done", answer(7, Reply::Done(true))),
        (
            "answer.client_host",
            answer(9, Reply::ClientHost(Some("n2".into()))),
        ),
        ("answer.settled", answer(1, Reply::Settled(Settled::Done))),
        ("answer.refused", answer(1, Reply::Settled(refused))),
        (
            "answer.uncertain",
            answer(1, Reply::Settled(Settled::Uncertain)),
        ),
        (
            "answer.replied",
            answer(1, Reply::Settled(Settled::Replied(Box::new(message())))),
        ),
        ("answer.ask_again", answer(1, Reply::AskAgain)),
        ("answer.no_session", answer(300, Reply::Session(None))),
        (
            "answer.piece",
            answer(3, Reply::Piece(Some(Bytes::from_static(b"bytes")))),
        ),
    ]
}

fn envelopes() -> Vec<(&'static str, Envelope)> {
    let software_can = caps::Capabilities::of(["urn:xmpp:ping".to_owned()]);
    let mut all = vec![
        (
            "tell",
            Envelope::Tell(vec![session()], Bytes::from_static(b"mail")),
        ),
        ("gone", Envelope::Gone(room(), vec![session()])),
        ("changed", Envelope::Changed(room(), Aspect::Credentials)),
        (
            "catch_up",
            Envelope::CatchUp(room(), vec![session()], 12_000),
        ),
        (
            "show_again",
            Envelope::ShowAgain(room(), vec![session()], vec!["hag".into()]),
        ),
        (
            "broadcast",
            Envelope::Broadcast {
                topic: "app:s:d".into(),
                frame: Bytes::from_static(b"frame"),
                is_binary: true,
            },
        ),
        ("missed", Envelope::Missed),
        ("send_back", Envelope::SendBack(5)),
        ("sent_back", Envelope::SentBack(5)),
        ("colleagues", Envelope::Colleagues(7)),
        ("show_all", Envelope::ShowAll(session())),
        ("wanted", Envelope::Wanted(software())),
        (
            "learned",
            Envelope::Learned(software(), Arc::new(software_can)),
        ),
        ("forward", Envelope::Forward(room(), Box::new(message()))),
    ];
    all.extend(questions());
    all.extend(mails());
    all
}

fn room_mails() -> Vec<(&'static str, RoomMail)> {
    let heard = Heard {
        room: room(),
        stanza: message(),
        entry: Some(4),
    };
    vec![
        ("room.heard", RoomMail::Heard(Box::new(heard))),
        (
            "room.remember",
            RoomMail::Remember(room(), Some(Box::new(occupancy()))),
        ),
        ("room.forget", RoomMail::Remember(room(), None)),
        ("room.caught_up", RoomMail::CaughtUp(room(), 4)),
        ("room.ends", RoomMail::Ends(room(), 4)),
        ("room.shown", RoomMail::Shown(vec![message()])),
    ]
}

fn entries() -> Vec<(&'static str, (Key, Entry))> {
    let account = BareJid::parse("a@x").unwrap();
    let resource = Resource {
        jid: session(),
        presence: Some(Arc::new(presence())),
        priority: -1,
        carbons: true,
        roster_interest: true,
        blocklist_interest: false,
        is_away: true,
    };
    let record = Record {
        facts: SessionFacts::new(session()),
        handled: 4,
        next: 7,
        rooms: [(room(), 3)].into(),
    };
    let shown = Shown {
        fields: "{\"n\":1}".into(),
        version: 2,
        before: Some(1),
    };
    vec![
        (
            "entry.session",
            (Key::Session(session()), Entry::Session(Box::new(resource))),
        ),
        (
            "entry.inside",
            (
                Key::Inside(room(), session()),
                Entry::Inside(Box::new(occupancy())),
            ),
        ),
        (
            "entry.component",
            (Key::Component(room()), Entry::Component),
        ),
        (
            "entry.resumption",
            (
                Key::Resumption(account, "previd".into()),
                Entry::Resumption(record.into()),
            ),
        ),
        (
            "entry.on_topic",
            (
                Key::OnTopic("app:s:d".into(), session()),
                Entry::OnTopic(Box::new(shown)),
            ),
        ),
    ]
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits = |place: usize| hexadecimal.get(place..place + 2).unwrap();
    let places = (0..hexadecimal.len()).step_by(2);
    let bytes = places.map(|place| u8::from_str_radix(digits(place), 16).unwrap());
    bytes.collect()
}

/// Holds values to their lines; answers the lines that are missing or other than they were.
fn strangers<T>(values: &[(&str, T)]) -> Vec<String>
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let mut strangers = Vec::new();
    for (name, value) in values {
        let encoded = codec::encode(value).unwrap();
        let line = format!("{name} {}", hexadecimal(&encoded));
        let golden = GOLDEN.lines().find(|it| it.split(' ').next() == Some(name));
        match golden {
            Some(golden) => {
                let old = bytes(golden.split(' ').nth(1).unwrap());
                assert_eq!(codec::decode::<T>(&old).unwrap(), *value, "{name}");
                assert_eq!(line, golden, "{name}");
            }
            None => strangers.push(line),
        }
    }
    strangers
}

#[test]
fn what_nodes_say_stays_what_it_is_on_the_wire() {
    let mut strangers_of_all = strangers(&envelopes());
    strangers_of_all.extend(strangers(&room_mails()));
    strangers_of_all.extend(strangers(&entries()));
    assert!(
        strangers_of_all.is_empty(),
        "these are not in golden.txt:\n{}",
        strangers_of_all.join("\n")
    );
}

#[test]
fn every_golden_line_is_of_something_that_is_still_said() {
    let names = envelopes().into_iter().map(|(name, _)| name);
    let names = names.chain(room_mails().into_iter().map(|(name, _)| name));
    let names: Vec<&str> = names
        .chain(entries().into_iter().map(|(name, _)| name))
        .collect();
    for line in GOLDEN.lines() {
        let name = line.split(' ').next().unwrap();
        assert!(names.contains(&name), "{name}");
    }
}

#[test]
fn envelopes_survive_the_wire() {
    for (name, envelope) in envelopes() {
        let encoded = codec::encode(&envelope).unwrap();
        assert_eq!(
            codec::decode::<Envelope>(&encoded).unwrap(),
            envelope,
            "{name}"
        );
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
        Known14,
        Known15,
        Added,
    }
    // Its contents are those of the last word that is known: only the number is not.
    let mut added = codec::encode(&Next::Added).unwrap();
    added.push(5);
    assert!(codec::decode::<Envelope>(&added).is_err());
    added[1] -= 1;
    let last = codec::decode::<Envelope>(&added);
    assert!(
        matches!(last, Ok(Envelope::Colleagues(5))),
        "a variant was added: have the next one follow it"
    );
}
