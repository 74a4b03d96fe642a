//! A room under test: it gets stanzas, and what everybody receives is compared.
//!
//! ```text
//! let mut room = room();                        // the coven with three witches, semi-anonymous
//! room.enters(HAG, "thirdwitch");
//! let out = room.gets("<message …/>");
//! out.is(&["<message to='crone1@…' …/>", …]);   // all of it, in order
//! out.has("<iq type='result' …/>");             // among others
//! ```
//!
//! The kit does what a room's actor does: it saves, keeps and loads at once, with a log and a
//! version of its own. Occupant ids and stanza ids are taken out of what is compared; tests
//! that look at them read [`Out::raw`].

use std::collections::BTreeMap;

use super::affiliation::{Affiliate, Affiliation};
use super::config::Config;
use super::effect::{Broadcast, Keep, Load, Occupancy, RoomAnswer, RoomEffect, RoomQuery, Save};
use super::facts::RoomFacts;
use super::post::Post;
use super::record::{RoomChange, RoomRecord};
use super::role::Role;
use super::room::Room;
use super::settings::Settings;
use super::{occupant_id, owner};
use crate::archive::{ArchiveQuery, Bounds, Direction, Entry, Page, PageFrom};
use crate::features::stanza_id;
use crate::jid::FullJid;
use crate::stanza::{Stanza, StanzaError};
use crate::testkit::{bare, full, parse};
use crate::time::Timestamp;
use crate::xml::{Element, Node};

pub(crate) const COVEN: &str = "coven@chat.shakespeare.lit";
/// The room's owner.
pub(crate) const CRONE: &str = "crone1@shakespeare.lit/desktop";
/// An admin.
pub(crate) const WICCA: &str = "wiccarocks@shakespeare.lit/laptop";
/// Nobody in particular.
pub(crate) const HAG: &str = "hag66@shakespeare.lit/pda";
/// Somebody elsewhere.
pub(crate) const HECATE: &str = "hecate@shakespeare.lit/broom";
pub(crate) const SECRET: [u8; 32] = [7; 32];
/// Ten o'clock on the day rooms were specified.
pub(crate) const NOW: &str = "2002-10-13T23:58:37Z";

/// A room with everything around it.
pub(crate) struct Given {
    pub(crate) room: Option<Room>,
    pub(crate) log: Vec<Entry>,
    /// What sessions have written down.
    pub(crate) remembered: BTreeMap<FullJid, Occupancy>,
    pub(crate) settings: Settings,
    pub(crate) archive: bool,
    /// Whoever sends administers the domain.
    pub(crate) is_steward: bool,
    pub(crate) now: Timestamp,
    /// Keeps and changes fail like this.
    pub(crate) store_fails: Option<StanzaError>,
    pub(crate) caught_up: BTreeMap<FullJid, u64>,
    pub(crate) vanished: bool,
    /// What went to accounts.
    pub(crate) posted: Vec<Post>,
    random: u8,
}

/// What came of a stanza.
pub(crate) struct Out {
    /// Every stanza with its address, as it is written.
    pub(crate) raw: Vec<String>,
    /// How many stanzas were encoded.
    pub(crate) encoded: usize,
}

/// The coven: crone1 owns it, wiccarocks is its admin, both are inside.
pub(crate) fn room() -> Given {
    let mut given = empty_room();
    given.enters(CRONE, "firstwitch");
    given.enters(WICCA, "secondwitch");
    given
}

/// The coven with nobody inside.
pub(crate) fn empty_room() -> Given {
    let owner = full(CRONE).bare();
    let mut record = RoomRecord::new(&owner, SECRET, Timestamp(0));
    record.version = 1;
    let admin = Affiliate {
        affiliation: Affiliation::Admin,
        ..Affiliate::default()
    };
    record.affiliations.insert(full(WICCA).bare(), admin);
    Given {
        room: Some(Room::open(bare(COVEN), record)),
        ..no_room()
    }
}

/// No room, and a service that could make one.
pub(crate) fn no_room() -> Given {
    Given {
        room: None,
        log: Vec::new(),
        remembered: BTreeMap::new(),
        settings: Settings::default(),
        archive: true,
        is_steward: false,
        now: Timestamp::parse_xep0082(NOW).expect("a time"),
        store_fails: None,
        caught_up: BTreeMap::new(),
        vanished: false,
        posted: Vec::new(),
        random: 7,
    }
}

impl Given {
    pub(crate) fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.room_mut().record.config);
        self.room_mut().refresh_all();
        self
    }

    pub(crate) fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    pub(crate) fn affiliation(mut self, jid: &str, affiliation: Affiliation) -> Self {
        let affiliate = Affiliate {
            affiliation,
            ..Affiliate::default()
        };
        let record = &mut self.room_mut().record;
        record.affiliations.insert(bare(jid), affiliate);
        self.room_mut().refresh_all();
        self
    }

    pub(crate) fn reserved(mut self, jid: &str, nick: &str) -> Self {
        let record = &mut self.room_mut().record;
        let affiliate = record.affiliations.entry(bare(jid)).or_default();
        affiliate.affiliation = affiliate.affiliation.max(Affiliation::Member);
        affiliate.nick = Some(nick.into());
        self
    }

    /// Somebody comes in.
    pub(crate) fn enters(&mut self, session: &str, nick: &str) -> Out {
        let out = self.gets(&format!(
            "<presence from='{session}' to='{COVEN}/{nick}'><x xmlns='{}'/></presence>",
            super::NS
        ));
        assert!(
            self.room().occupants.of_session(&full(session)).is_some(),
            "{session} is refused: {:?}",
            out.raw
        );
        out
    }

    /// An occupant's role, without anybody's doing.
    pub(crate) fn role(mut self, nick: &str, role: Role) -> Self {
        let occupant = self.room_mut().occupants.get_mut(nick);
        occupant.expect("they are inside").role = role;
        self.room_mut().refresh(nick);
        self
    }

    pub(crate) fn room(&self) -> &Room {
        self.room.as_ref().expect("there is a room")
    }

    pub(crate) fn room_mut(&mut self) -> &mut Room {
        self.room.as_mut().expect("there is a room")
    }

    pub(crate) fn facts<'a>(&self, settings: &'a Settings) -> RoomFacts<'a> {
        RoomFacts {
            is_steward: self.is_steward,
            now: self.now,
            settings,
            archive: self.archive,
            random: [self.random; 32],
        }
    }

    /// The room gets a stanza, and everything that follows is done.
    pub(crate) fn gets(&mut self, xml: &str) -> Out {
        self.random = self.random.wrapping_add(1);
        let stanza = parse(xml);
        let settings = self.settings.clone();
        let facts = self.facts(&settings);
        let effects = match &mut self.room {
            Some(room) => room.decide(&stanza, &facts),
            None => {
                let (room, effects) =
                    Room::create(bare(COVEN), &stanza, Default::default(), &facts);
                self.room = room;
                effects
            }
        };
        self.does(effects)
    }

    /// Carries effects out in their order.
    pub(crate) fn does(&mut self, effects: Vec<RoomEffect>) -> Out {
        let mut out = Out {
            raw: Vec::new(),
            encoded: 0,
        };
        self.carry_out(effects, &mut out);
        out
    }

    fn carry_out(&mut self, effects: Vec<RoomEffect>, out: &mut Out) {
        for effect in effects {
            let next = self.perform(effect, out);
            self.carry_out(next, out);
        }
    }

    fn perform(&mut self, effect: RoomEffect, out: &mut Out) -> Vec<RoomEffect> {
        match effect {
            RoomEffect::Send(stanza) => out.send(stanza),
            RoomEffect::Broadcast(Broadcast { stanza, to, .. }) => out.send_all(stanza, &to),
            RoomEffect::Show(_, stanzas) => stanzas.into_iter().for_each(|it| out.send(it)),
            RoomEffect::Post(post) => self.post(*post, out),
            RoomEffect::Keep(keep) => return self.keep(*keep),
            RoomEffect::Save(save) => return self.save(*save),
            RoomEffect::Load(load) => return self.load(&load),
            RoomEffect::Remember(session, occupancy) => {
                self.remembered.insert(session, *occupancy);
            }
            RoomEffect::Forget(session, _) => {
                self.remembered.remove(&session);
            }
            RoomEffect::CaughtUp(session, head) => {
                self.caught_up.insert(session, head);
            }
            RoomEffect::Vanish => {
                self.vanished = true;
                self.room = None;
            }
            RoomEffect::Trace(..) => {}
        }
        Vec::new()
    }

    /// As if nothing were kept, or as if it could not be.
    fn post(&mut self, post: Post, out: &mut Out) {
        let room = bare(COVEN);
        for letter in &post.letters {
            match &self.store_fails {
                Some(error) if post.is_kept => {
                    let refusal = post.refusal(&room, letter, error);
                    refusal.into_iter().for_each(|refusal| out.send(refusal));
                }
                _ => letter.unkept().for_each(|message| out.send(message.into())),
            }
        }
        self.posted.push(post);
    }

    fn keep(&mut self, keep: Keep) -> Vec<RoomEffect> {
        if let Some(error) = self.store_fails.clone() {
            return self.room().not_kept(&keep, error);
        }
        if let Some(tombstone) = &keep.tombstone {
            let at = usize::try_from(tombstone.id - 1).expect("small");
            self.log[at].stanza = tombstone.stanza.clone();
        }
        let id = self.log.len() as u64 + 1;
        self.log.push(Entry {
            id,
            stamp: self.now,
            direction: Direction::Received,
            with: keep.sender.bare(),
            stanza: Stanza::Message(keep.message.clone()).to_bytes(),
        });
        let now = self.now;
        self.room_mut().committed(keep, id, now)
    }

    fn save(&mut self, save: Save) -> Vec<RoomEffect> {
        if let Some(error) = self.store_fails.clone() {
            return self.room().not_saved(&save, error);
        }
        let version = self.room().record.version + 1;
        let settings = self.settings.clone();
        let facts = self.facts(&settings);
        self.room_mut().saved(save, version, &facts)
    }

    fn load(&mut self, load: &Load) -> Vec<RoomEffect> {
        let answer = match &load.query {
            RoomQuery::History(query) => {
                let most = query.stanzas_max as usize;
                let late = |entry: &&Entry| query.since.is_none_or(|since| entry.stamp >= since);
                let entries: Vec<Entry> = self.log.iter().filter(late).cloned().collect();
                let from = entries.len().saturating_sub(most);
                RoomAnswer::History {
                    entries: entries[from..].to_vec(),
                    head: self.log.len() as u64,
                }
            }
            RoomQuery::Archive(query) => self.page(query),
            RoomQuery::Bounds => {
                let end = |entry: Option<&Entry>| entry.map(|entry| (entry.id, entry.stamp));
                let ends = end(self.log.first()).zip(end(self.log.last()));
                RoomAnswer::Bounds(ends.map(|(first, last)| Bounds { first, last }))
            }
            RoomQuery::Entry(id) => {
                RoomAnswer::Entry(self.log.iter().find(|entry| entry.id == *id).cloned())
            }
            RoomQuery::Rooms(_) => RoomAnswer::Failed(StanzaError::internal_server_error()),
        };
        let settings = self.settings.clone();
        let facts = self.facts(&settings);
        self.room_mut().loaded(load, answer, &facts)
    }

    /// As much of an archive as tests ask of it.
    fn page(&self, query: &ArchiveQuery) -> RoomAnswer {
        let wanted = |entry: &&Entry| {
            let with = query.with.as_ref();
            with.is_none_or(|with| with.bare_str() == entry.with.as_str())
        };
        let mut entries: Vec<Entry> = self.log.iter().filter(wanted).cloned().collect();
        if let PageFrom::After(id) = query.page {
            if self.log.iter().all(|entry| entry.id != id) {
                return RoomAnswer::NoSuchItem;
            }
            entries.retain(|entry| entry.id > id);
        }
        let complete = entries.len() <= query.max as usize;
        entries.truncate(query.max as usize);
        RoomAnswer::Page(Page {
            entries,
            complete,
            count: None,
        })
    }

    /// Somebody speaks.
    pub(crate) fn says(&mut self, session: &str, body: &str) -> Out {
        self.gets(&format!(
            "<message from='{session}' to='{COVEN}' type='groupchat'><body>{body}</body></message>"
        ))
    }

    /// An administrative request with these items.
    pub(crate) fn admin(&mut self, session: &str, items: &str) -> Out {
        self.gets(&format!(
            "<iq from='{session}' id='admin1' to='{COVEN}' type='set'>\
             <query xmlns='{}'>{items}</query></iq>",
            super::NS_ADMIN
        ))
    }

    /// A question for a list.
    pub(crate) fn lists(&mut self, session: &str, item: &str) -> Out {
        self.gets(&format!(
            "<iq from='{session}' id='list1' to='{COVEN}' type='get'>\
             <query xmlns='{}'>{item}</query></iq>",
            super::NS_ADMIN
        ))
    }

    /// The owner's form filled in with these fields.
    pub(crate) fn configures(&mut self, session: &str, fields: &[(&str, &str)]) -> Out {
        let field = |(name, value): &(&str, &str)| {
            format!("<field var='{name}'><value>{value}</value></field>")
        };
        let fields: String = fields.iter().map(field).collect();
        self.gets(&format!(
            "<iq from='{session}' id='config1' to='{COVEN}' type='set'><query xmlns='{}'>\
             <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
             <value>http://jabber.org/protocol/muc#roomconfig</value></field>{fields}</x></query></iq>",
            super::NS_OWNER
        ))
    }

    /// A change made through another node.
    pub(crate) fn changed_elsewhere(&mut self, changes: &[RoomChange]) -> Out {
        let mut record = self.room().record.clone();
        changes.iter().for_each(|change| record.apply(change));
        record.version += 1;
        let settings = self.settings.clone();
        let facts = self.facts(&settings);
        let effects = self.room_mut().reloaded(record, &facts);
        self.does(effects)
    }
}

impl Out {
    fn send(&mut self, stanza: Stanza) {
        assert!(stanza.to().is_some(), "it has an address: {stanza:?}");
        self.encoded += 1;
        self.raw.push(text(&stanza));
    }

    fn send_all(&mut self, stanza: Stanza, to: &[FullJid]) {
        self.encoded += 1;
        for to in to {
            let mut stanza = stanza.clone();
            stanza.head_mut().to = Some(to.into());
            self.raw.push(text(&stanza));
        }
    }

    /// What one session gets.
    pub(crate) fn to(&self, session: &str) -> Vec<String> {
        let is_mine = |xml: &&String| {
            let stanza = parse(xml);
            stanza.to().is_some_and(|to| to.as_str() == session)
        };
        self.raw.iter().filter(is_mine).cloned().collect()
    }

    /// This is all, in this order.
    #[track_caller]
    pub(crate) fn is(&self, wanted: &[&str]) {
        let got: Vec<String> = self.raw.iter().map(|xml| normal(xml)).collect();
        let wanted: Vec<String> = wanted.iter().map(|xml| normal(xml)).collect();
        assert_eq!(got, wanted, "\n got: {got:#?}\nwant: {wanted:#?}");
    }

    /// This is among it.
    #[track_caller]
    pub(crate) fn has(&self, wanted: &str) {
        let wanted = normal(wanted);
        let got: Vec<String> = self.raw.iter().map(|xml| normal(xml)).collect();
        assert!(got.contains(&wanted), "\nwant: {wanted}\n got: {got:#?}");
    }

    /// This is all that a session gets, in this order.
    #[track_caller]
    pub(crate) fn gives(&self, session: &str, wanted: &[&str]) {
        let out = Out {
            raw: self.to(session),
            encoded: 0,
        };
        out.is(wanted);
    }

    /// The condition of the only answer.
    #[track_caller]
    pub(crate) fn refusal(&self) -> String {
        let [xml] = &self.raw[..] else {
            panic!("no refusal: {:#?}", self.raw)
        };
        let element = parse(xml).payloads().element("error", crate::ns::CLIENT);
        let error = element.unwrap_or_else(|| panic!("no error: {xml}"));
        StanzaError::from_element(&error)
            .condition
            .as_str()
            .to_owned()
    }

    /// Nothing happens.
    #[track_caller]
    pub(crate) fn is_nothing(&self) {
        assert!(self.raw.is_empty(), "{:#?}", self.raw);
    }
}

fn text(stanza: &Stanza) -> String {
    String::from_utf8(stanza.to_bytes().to_vec()).expect("it is text")
}

/// Two stanzas say the same.
#[track_caller]
pub(crate) fn same(got: &str, wanted: &str) {
    assert_eq!(normal(got), normal(wanted));
}

/// An element without the space between its tags and the order of its attributes, and without
/// what the room adds to everything.
pub(crate) fn normal(xml: &str) -> String {
    let element =
        Element::parse(xml.as_bytes()).unwrap_or_else(|error| panic!("{error:?} in {xml}"));
    let mut out = String::new();
    write(&element, crate::ns::CLIENT, &mut out);
    out
}

fn write(element: &Element, parent: &str, out: &mut String) {
    out.push('<');
    out.push_str(element.name());
    let mut attributes: Vec<String> = element
        .attributes()
        .iter()
        .map(|it| format!(" {}='{}'", it.name, it.value))
        .collect();
    if element.namespace() != parent {
        attributes.push(format!(" xmlns='{}'", element.namespace()));
    }
    attributes.sort();
    out.extend(attributes);
    out.push('>');
    for node in element.nodes() {
        match node {
            Node::Element(child) if is_added(child) => {}
            Node::Element(child) => write(child, element.namespace(), out),
            Node::Text(text) => out.push_str(text.trim()),
            Node::Raw(_) => {}
        }
    }
    out.push_str("</>");
}

fn is_added(child: &Element) -> bool {
    child.is("occupant-id", occupant_id::NS) || child.is("stanza-id", stanza_id::NS)
}

/// What a stanza to no room is answered.
pub(crate) fn to_no_room(xml: &str) -> Out {
    let mut given = no_room();
    given.does(owner::decide_absent(&bare(COVEN), &parse(xml)))
}
