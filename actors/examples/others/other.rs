//! The other node: says what it shows, and keeps nothing of it but numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use klatsch_actors::presence_shard::{SHARDS, shard_of};
use klatsch_actors::replica::{Entry, Key, Record};
use klatsch_cluster::codec;
use klatsch_cluster::link::{Channel, Receive};
use klatsch_cluster::node_id::{Incarnation, NodeId};
use klatsch_cluster::presence::Settings;
use klatsch_cluster::presence::snapshot::{self, mark};
use klatsch_cluster::presence::wire::{Add, Delta, Envelope, Message, to_gaps};
use klatsch_protocol::facts::{Resource, SessionFacts};
use klatsch_protocol::jid::FullJid;
use klatsch_protocol::stanza::{Presence, Stanza};

/// What begins then, as a node says it: milliseconds since 1970.
const BEGAN: u64 = 1_700_000_000_000;

/// Somebody on that node.
pub(crate) struct Person {
    pub(crate) jid: FullJid,
    pub(crate) previd: String,
    presence: Presence,
    shown: Option<u64>,
    recorded: Option<u64>,
}

impl Person {
    pub(crate) fn new(number: usize, is_person: bool) -> Self {
        let jid = format!("user{number:07}@example.org/phone.a1b2");
        Self {
            jid: FullJid::parse(&jid).unwrap(),
            previd: format!("{:032x}", mark(number as u64)),
            presence: presence(number, is_person),
            shown: None,
            recorded: None,
        }
    }
}

/// One in eight says something of their own, the others are simply there.
fn presence(number: usize, is_person: bool) -> Presence {
    let says = match (is_person, number % 8) {
        (false, _) => String::new(),
        (true, 0) => format!("<show>away</show><status>back in {number} minutes</status>"),
        (true, _) => String::new(),
    };
    let caps = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' \
                node='https://client.example.org' ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/>";
    let caps = if is_person { caps } else { "" };
    let xml = format!("<presence xmlns='jabber:client'>{says}{caps}</presence>");
    match Stanza::parse(xml.as_bytes()) {
        Ok(Stanza::Presence(presence)) => presence,
        _ => Presence::default(),
    }
}

/// What it has written in a shard, and not yet said.
#[derive(Default)]
struct Shard {
    version: u64,
    fingerprint: u64,
    said: u64,
    adds: BTreeMap<u64, snapshot::Entry<Key, Entry>>,
    removed: Vec<u64>,
}

/// The node.
pub(crate) struct OtherNode {
    inbox: Arc<dyn Receive>,
    shards: Vec<Shard>,
}

impl OtherNode {
    pub(crate) fn new(inbox: Arc<dyn Receive>) -> Self {
        let shards = (0..SHARDS).map(|_| Shard::default());
        Self {
            inbox,
            shards: shards.collect(),
        }
    }

    pub(crate) fn bind(&mut self, person: &mut Person) {
        self.write_session(person, None);
    }

    pub(crate) fn show(&mut self, person: &mut Person) {
        let presence = Arc::new(person.presence.clone());
        self.write_session(person, Some(presence));
    }

    fn write_session(&mut self, person: &mut Person, presence: Option<Arc<Presence>>) {
        let resource = Resource {
            jid: person.jid.clone(),
            presence,
            priority: 0,
            carbons: true,
            roster_interest: true,
            blocklist_interest: false,
            is_away: false,
        };
        let key = Key::Session(person.jid.clone());
        let entry = Entry::Session(resource.into());
        person.shown = self.write(person, key, entry, person.shown);
    }

    pub(crate) fn record(&mut self, person: &mut Person, handled: u32) {
        let record = Record {
            facts: SessionFacts::new(person.jid.clone()),
            handled,
            next: 1,
            rooms: Default::default(),
        };
        let key = Key::Resumption(person.jid.bare(), person.previd.as_str().into());
        let entry = Entry::Resumption(record.into());
        person.recorded = self.write(person, key, entry, person.recorded);
    }

    fn write(&mut self, person: &Person, key: Key, value: Entry, old: Option<u64>) -> Option<u64> {
        let shard = &mut self.shards[usize::from(shard_of(person.jid.bare_str()))];
        shard.version += 1;
        shard.fingerprint = shard.fingerprint.wrapping_add(mark(shard.version));
        if let Some(old) = old {
            shard.fingerprint = shard.fingerprint.wrapping_sub(mark(old));
            shard.adds.remove(&old);
            shard.removed.push(old);
        }
        let since = BEGAN;
        let entry = snapshot::Entry { key, value, since };
        shard.adds.insert(shard.version, entry);
        Some(shard.version)
    }

    /// Says what it has written since the last time.
    pub(crate) fn say(&mut self) {
        let settings = Settings::default();
        for group in 0..settings.groups {
            let numbers = settings.shards_of(group);
            let deltas = numbers.filter_map(|number| {
                let shard = &mut self.shards[usize::from(number)];
                (shard.version > shard.said).then(|| shard.take(number))
            });
            let envelope = Envelope {
                group,
                incarnation: Incarnation(1),
                message: Message::Deltas(deltas.collect()),
            };
            let message = codec::encode(&envelope).unwrap();
            let inbox = &self.inbox;
            inbox.receive(NodeId(1), Channel::Presence, message.into());
        }
    }
}

impl Shard {
    fn take(&mut self, number: u16) -> Delta<Key, Entry> {
        let (from, to) = (self.said, self.version);
        self.said = to;
        let mut last = from;
        let adds = std::mem::take(&mut self.adds).into_iter();
        let adds = adds.map(|(dot, entry)| {
            let gap = dot - last;
            last = dot;
            Add {
                gap,
                entry: entry.into(),
            }
        });
        let adds = adds.collect();
        let mut removed = std::mem::take(&mut self.removed);
        removed.sort_unstable();
        Delta {
            shard: number,
            from,
            to,
            adds,
            removed: to_gaps(0, removed),
            fingerprint: self.fingerprint,
        }
    }
}

/// It hears nothing.
pub(crate) struct Deaf;

impl Receive for Deaf {
    fn receive(&self, _from: NodeId, _channel: Channel, _message: Bytes) {}
    fn missed(&self, _from: NodeId) {}
}
