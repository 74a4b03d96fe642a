//! `presence:…`: who is there of the people the user may see: one account, a group of the
//! roster, or `*` for all. Keys are bare addresses, and each resource is a meta.
//!
//! Whoever looks is seen: the session becomes available with a priority below zero, so that it
//! gets no messages it would not show, unless it has joined a `user:` topic, too.

use std::collections::BTreeMap;

use serde_json::Value;

use super::channel::Kind;
use super::errands::{Errand, Origin};
use super::metas::{Fields, Metas};
use super::socket::{Socket, address};
use super::translate::{object, presence_fields, reason};
use crate::features::{carbons, roster};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::stanza::{Iq, IqKind, Presence, PresenceKind};
use crate::xml::Element;

/// Devices of contacts that are looked at. A roster has hundreds of contacts, each of whom has
/// a few; more than this is somebody's attempt to fill memory.
const DEVICES_MAX: usize = 20_000;

/// Whom a topic is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Audience {
    /// One account.
    One(BareJid),
    /// Contacts in a group of the roster.
    Group(Box<str>),
    /// All of them, and the user.
    Everybody,
}

/// The people the user may see.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    roster: Roster,
    seen: Metas,
}

#[derive(Debug, Default)]
enum Roster {
    #[default]
    Unknown,
    Asked(BTreeMap<Box<str>, Groups>),
    Known(BTreeMap<Box<str>, Groups>),
}

type Groups = Vec<Box<str>>;

/// How the session is seen.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// The priority it has been shown with.
    shown: Option<i8>,
    has_carbons: bool,
    show: Option<&'static str>,
    status: Option<String>,
}

impl Standing {
    /// What its presence says.
    pub(super) fn payloads(&self) -> Vec<Element> {
        let text = |name: &'static str, text: &str| Element::new(name, ns::CLIENT).text(text);
        let show = self.show.map(|it| text("show", it));
        let status = self.status.as_deref().map(|it| text("status", it));
        show.into_iter().chain(status).collect()
    }
}

/// The `<show/>` and `<status/>` of a push; `None` when it says something else.
pub(super) fn status_payloads(fields: &Fields) -> Option<Vec<Element>> {
    let mut standing = Standing::default();
    standing.read(fields)?;
    Some(standing.payloads())
}

impl Standing {
    fn read(&mut self, fields: &Fields) -> Option<()> {
        self.show = match fields.get("show") {
            None | Some(Value::Null) => None,
            Some(show) => match show.as_str()? {
                "online" => None,
                "chat" => Some("chat"),
                "away" => Some("away"),
                "xa" => Some("xa"),
                "dnd" => Some("dnd"),
                _ => return None,
            },
        };
        self.status = match fields.get("status") {
            None | Some(Value::Null) => None,
            Some(status) => Some(status.as_str()?.to_owned()),
        };
        Some(())
    }
}

impl Audience {
    fn has(&self, contact: &str, groups: Option<&Groups>, me: &str) -> bool {
        match self {
            Self::One(jid) => jid.as_str() == contact,
            Self::Group(name) => groups.is_some_and(|groups| groups.contains(name)),
            Self::Everybody => groups.is_some() || contact == me,
        }
    }
}

impl Roster {
    fn items(&self) -> Option<&BTreeMap<Box<str>, Groups>> {
        match self {
            Self::Unknown => None,
            Self::Asked(items) | Self::Known(items) => Some(items),
        }
    }
}

impl Contacts {
    fn groups(&self, contact: &str) -> Option<&Groups> {
        self.roster.items()?.get(contact)
    }

    /// Who of the roster is looked at, and the groups they are in. Only who lets the user see
    /// their presence counts (RFC 6121 §2.1.2.5).
    fn put(&mut self, item: &Element) -> Option<Box<str>> {
        let jid: Box<str> = BareJid::parse(item.get("jid")?).ok()?.as_str().into();
        let is_seen = matches!(item.get("subscription"), Some("to" | "both"));
        let groups = item.children().filter(|it| it.is("group", roster::NS));
        let groups = groups
            .map(|it| it.text_content().into_boxed_str())
            .collect();
        let (Roster::Asked(items) | Roster::Known(items)) = &mut self.roster else {
            return None;
        };
        match is_seen {
            true => items.insert(jid.clone(), groups),
            false => items.remove(&jid),
        };
        Some(jid)
    }
}

impl Socket {
    pub(super) fn join_presence(&mut self, whom: &str) -> Result<Kind, Value> {
        let audience = match whom {
            "" => return Err(reason("whose presence")),
            "*" => Audience::Everybody,
            whom if whom.contains('@') => Audience::One(address(whom)?),
            group => Audience::Group(group.into()),
        };
        Ok(Kind::Presence(audience))
    }

    /// Answers the joins that waited for the roster.
    pub(super) fn admit_to_presence(&mut self) {
        if !matches!(self.contacts.roster, Roster::Known(_)) {
            return;
        }
        let waiting: Vec<(Box<str>, Audience)> = self
            .channels
            .iter()
            .filter(|(_, channel)| channel.joining.is_some())
            .filter_map(|(topic, channel)| match &channel.kind {
                Kind::Presence(audience) => Some((topic.clone(), audience.clone())),
                Kind::Room(_) | Kind::User(_) | Kind::App(_) => None,
            })
            .collect();
        for (topic, audience) in waiting {
            let may_see = match &audience {
                Audience::One(jid) => {
                    *jid == self.me.bare() || self.contacts.groups(jid.as_str()).is_some()
                }
                Audience::Group(_) | Audience::Everybody => true,
            };
            if !may_see {
                self.denied(&topic, reason("unauthorized"));
                continue;
            }
            let me = self.me.bare();
            let state = self
                .contacts
                .seen
                .state(|contact| audience.has(contact, self.contacts.groups(contact), me.as_str()));
            self.joined(&topic, object([]));
            self.push_to_client(&topic, "presence_state", &state);
        }
    }

    /// The topics on which a contact is looked at.
    fn topics_seeing(&self, contact: &str) -> Vec<Box<str>> {
        let (me, groups) = (self.me.bare(), self.contacts.groups(contact));
        let channels = self.channels.iter();
        let channels = channels.filter(|(_, channel)| channel.joining.is_none());
        channels
            .filter(|(_, channel)| match &channel.kind {
                Kind::Presence(audience) => audience.has(contact, groups, me.as_str()),
                Kind::Room(_) | Kind::User(_) | Kind::App(_) => false,
            })
            .map(|(topic, _)| topic.clone())
            .collect()
    }

    /// Presence of anybody.
    pub(super) fn take_presence(&mut self, presence: &Presence) {
        if self.take_room_presence(presence) {
            return;
        }
        let Some(from) = presence.head.from.clone() else {
            return;
        };
        match presence.kind {
            PresenceKind::Available => self.see(&from, presence),
            PresenceKind::Unavailable => self.miss(&from),
            _ => self.take_subscription(presence),
        }
    }

    fn see(&mut self, from: &Jid, presence: &Presence) {
        let contact = from.bare_str();
        // A stranger's presence was sent to this session alone: nobody asked to see it.
        let is_known = contact == self.me.bare_str() || self.contacts.groups(contact).is_some();
        let Some(device) = from.resource().filter(|_| is_known) else {
            return;
        };
        if self.contacts.seen.len() >= DEVICES_MAX {
            return;
        }
        let mut fields = presence_fields(presence);
        fields.insert("resource".into(), device.into());
        let news = self.contacts.seen.set(contact, device, &fields);
        self.tell_of(contact, news);
    }

    fn miss(&mut self, from: &Jid) {
        let contact = from.bare_str();
        let news = match from.resource() {
            Some(device) => self.contacts.seen.remove(contact, device),
            None => self.contacts.seen.remove_key(contact),
        };
        self.tell_of(contact, news);
    }

    fn tell_of(&mut self, contact: &str, news: Option<Value>) {
        let Some(news) = news else { return };
        for topic in self.topics_seeing(contact) {
            self.broadcast(&topic, "presence_diff", &news);
        }
    }

    /// The answer to the question for the roster.
    pub(super) fn take_roster(&mut self, iq: &Iq) {
        let query = iq.payloads.element("query", roster::NS);
        for item in query.iter().flat_map(Element::children) {
            self.contacts.put(item);
        }
        let Roster::Asked(items) = std::mem::take(&mut self.contacts.roster) else {
            return;
        };
        self.contacts.roster = Roster::Known(items);
        self.admit_to_presence();
    }

    /// A change of the roster (RFC 6121 §2.1.6); tells whether it was one. Row R04: from the
    /// account itself only.
    pub(super) fn take_roster_push(&mut self, iq: &Iq) -> bool {
        let from = iq.head.from.as_ref();
        let is_own = from.is_none_or(|from| from.as_str() == self.me.bare_str());
        let query = iq.payloads.element("query", roster::NS);
        let (true, IqKind::Set, Some(query)) = (is_own, iq.kind, query) else {
            return false;
        };
        for item in query.children() {
            let contact = item.get("jid").and_then(|jid| BareJid::parse(jid).ok());
            let Some(contact) = contact else { continue };
            let before = self.topics_seeing(contact.as_str());
            self.contacts.put(item);
            let after = self.topics_seeing(contact.as_str());
            let leaves = self.contacts.seen.leaves(contact.as_str());
            let joins = self.contacts.seen.joins(contact.as_str());
            for topic in before.iter().filter(|topic| !after.contains(topic)) {
                if let Some(leaves) = &leaves {
                    self.broadcast(topic, "presence_diff", leaves);
                }
            }
            for topic in after.iter().filter(|topic| !before.contains(topic)) {
                if let Some(joins) = &joins {
                    self.broadcast(topic, "presence_diff", joins);
                }
            }
        }
        let answer = Element::new("iq", ns::CLIENT)
            .attr("type", "result")
            .attr("id", iq.head.id.as_deref().unwrap_or_default());
        self.say(&answer);
        true
    }

    /// Shows the session as its channels want it: not at all, there, or there for messages.
    pub(super) fn show_standing(&mut self) {
        let has = |is: fn(&Kind) -> bool| self.channels.values().any(|it| is(&it.kind));
        let wanted = match () {
            () if has(|kind| matches!(kind, Kind::User(_))) => Some(0),
            () if has(|kind| matches!(kind, Kind::Presence(_))) => Some(-1),
            // Going would take the session out of its rooms, too (RFC 6121 §4.6.3).
            () => self.standing.shown.map(|_| -1),
        };
        let Some(priority) = wanted.filter(|_| wanted != self.standing.shown) else {
            return;
        };
        self.ask_for_roster();
        if priority == 0 && !self.standing.has_carbons {
            self.standing.has_carbons = true;
            self.request("set", Element::new("enable", carbons::NS));
        }
        self.standing.shown = Some(priority);
        self.publish();
    }

    fn publish(&mut self) {
        let Some(priority) = self.standing.shown else {
            return;
        };
        let priority = Element::new("priority", ns::CLIENT).text(priority.to_string());
        let presence = Element::new("presence", ns::CLIENT)
            .children_from(self.standing.payloads())
            .child(priority);
        self.say(&presence);
    }

    /// Before the presence of contacts comes, it has to be known who they are.
    fn ask_for_roster(&mut self) {
        if !matches!(self.contacts.roster, Roster::Unknown) {
            return;
        }
        self.contacts.roster = Roster::Asked(BTreeMap::new());
        self.contacts.seen.clear();
        let id = self.request("get", Element::new("query", roster::NS));
        self.errands.add(&id, Errand::Roster);
    }

    /// A request to the account, under an id of its own.
    fn request(&mut self, kind: &'static str, payload: Element) -> Box<str> {
        let id = self.next_id();
        let iq = Element::new("iq", ns::CLIENT)
            .attr("type", kind)
            .attr("id", &*id)
            .child(payload);
        self.say(&iq);
        id
    }

    /// A push on a topic of presence.
    pub(super) fn push_to_presence(&mut self, origin: &Origin, event: &str, fields: &Fields) {
        match event {
            "status" => self.set_status(origin, fields),
            _ => self.answer(origin, Err(reason("unknown event"))),
        }
    }

    /// `status`: what the user is up to.
    pub(super) fn set_status(&mut self, origin: &Origin, fields: &Fields) {
        let mut standing = Standing::default();
        if standing.read(fields).is_none() {
            return self.answer(origin, Err(reason("bad request")));
        }
        (self.standing.show, self.standing.status) = (standing.show, standing.status);
        self.publish();
        self.answer(origin, Ok(object([])));
    }
}
