//! `room:JID`: a room (XEP-0045) as a channel. To join is to enter, to leave is to leave.
//!
//! The keys of its presence are nicks: what a room shows of everybody to everybody.

use serde_json::{Map, Value};

use super::channel::{Channel, Ending, Kind};
use super::errands::{Errand, Origin};
use super::metas::{Fields, Metas};
use super::socket::{Socket, address, refusal_in, text_of};
use super::translate::{self, object, presence_fields, reason};
use crate::features::data_forms;
use crate::features::muc::{NS, NS_OWNER, NS_USER};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::stanza::{Message, MessageKind, Presence, PresenceKind, Stanza};
use crate::xml::Element;

/// Messages that somebody is shown who enters, when they do not say: what fills a window.
const HISTORY_DEFAULT: u64 = 20;

/// At most; who wants more asks for a page of the archive.
const HISTORY_MAX: u64 = 100;

/// A room on a connection.
#[derive(Debug)]
pub(super) struct Room {
    jid: BareJid,
    /// What the client is called there, once it is inside.
    nick: String,
    occupants: Metas,
}

impl Room {
    /// The stanza that leaves it.
    pub(super) fn leave(&self) -> Element {
        Element::new("presence", ns::CLIENT)
            .attr("to", format!("{}/{}", self.jid, self.nick))
            .attr("type", "unavailable")
    }

    fn nick(&self) -> &str {
        &self.nick
    }
}

/// What everybody on the topic gets of a message.
pub(super) fn event_of(message: &Message) -> Option<(&'static str, Fields)> {
    let from = message.head.from.as_ref()?;
    translate::event_of(message, from.resource(), from.bare_str())
}

impl Socket {
    /// Enters a room; the answer comes with the client's own presence.
    pub(super) fn join_room(
        &mut self,
        origin: &Origin,
        room: &str,
        fields: &Fields,
    ) -> Result<Kind, Value> {
        let jid = address(room)?;
        let is_served = self.settings.room_hosts.iter().any(|it| it == jid.domain());
        if jid.localpart().is_none() || !is_served {
            return Err(reason("no such room"));
        }
        let nick = text_of(fields, "nick").or_else(|| self.me.localpart());
        let nick = jid.with_resource(nick.unwrap_or_default());
        let nick = nick.map_err(|_| reason("not a nick"))?;
        let history = match fields.get("history") {
            None | Some(Value::Null) => HISTORY_DEFAULT,
            Some(most) => most.as_u64().ok_or_else(|| reason("history is a number"))?,
        };
        let history = history.min(HISTORY_MAX).to_string();
        let history = Element::new("history", NS).attr("maxstanzas", history);
        let password = text_of(fields, "password").map(|it| Element::new("password", NS).text(it));
        let x = Element::new("x", NS).child(history).children_from(password);
        let enter = Element::new("presence", ns::CLIENT)
            .attr("to", nick.as_str())
            .attr("id", origin.reference.as_deref().unwrap_or("join"))
            .child(x)
            .children_from(self.standing.payloads());
        if !self.say(&enter) {
            return Err(reason("bad request"));
        }
        Ok(Kind::Room(Box::new(Room {
            jid,
            nick: nick.resource().to_owned(),
            occupants: Metas::default(),
        })))
    }

    fn room_of(&mut self, from: &Jid) -> Option<(Box<str>, &mut Channel)> {
        let topic = topic_of(from);
        let (topic, channel) = match self.channels.get_mut(&*topic) {
            Some(channel) => (topic, channel),
            None => return None,
        };
        matches!(channel.kind, Kind::Room(_)).then_some((topic, channel))
    }

    /// The topic of a message that is for all in a room the client is in.
    pub(super) fn topic_of_broadcast(&self, message: &Message) -> Option<&str> {
        if message.kind != MessageKind::Groupchat {
            return None;
        }
        let from = message.head.from.as_ref()?;
        let (topic, channel) = self.channels.get_key_value(&*topic_of(from))?;
        let is_inside = matches!(channel.kind, Kind::Room(_)) && channel.joining.is_none();
        is_inside.then_some(&**topic)
    }

    /// A message of a room; tells whether it was one.
    pub(super) fn take_room_message(&mut self, message: &Message) -> bool {
        let Some(from) = &message.head.from else {
            return false;
        };
        let Some((topic, channel)) = self.room_of(from) else {
            // A room says nothing to who is not inside but letters, which are for the user.
            return message.kind == MessageKind::Groupchat;
        };
        if channel.joining.is_some() {
            return true;
        }
        let Some((event, mut fields)) = event_of(message) else {
            return message.kind == MessageKind::Groupchat;
        };
        if message.kind != MessageKind::Groupchat {
            if from.resource().is_none() {
                return false;
            }
            // XEP-0045 §7.5: from one occupant to this one.
            fields.insert("private".into(), true.into());
        }
        self.broadcast(&topic, event, &Value::Object(fields));
        true
    }

    /// Presence of a room; tells whether it was one.
    pub(super) fn take_room_presence(&mut self, presence: &Presence) -> bool {
        let Some(from) = &presence.head.from else {
            return false;
        };
        let Some((topic, channel)) = self.room_of(from) else {
            return self
                .settings
                .room_hosts
                .iter()
                .any(|it| it == from.domain());
        };
        let is_joining = channel.joining.is_some();
        let codes = Codes::of(presence);
        let is_own = codes.has(110) || is_nick(channel, from);
        match presence.kind {
            PresenceKind::Error if is_joining => {
                self.denied(&topic, refusal_in(&Stanza::Presence(presence.clone())));
            }
            PresenceKind::Available => self.show_occupant(&topic, presence, &codes),
            // The echo of an earlier life's farewell.
            PresenceKind::Unavailable if is_own && is_joining => {}
            PresenceKind::Unavailable if is_own && !codes.has(303) => {
                self.put_out(&topic, presence, &codes);
            }
            PresenceKind::Unavailable => self.hide_occupant(&topic, presence, &codes),
            _ => {}
        }
        true
    }

    fn show_occupant(&mut self, topic: &str, presence: &Presence, codes: &Codes) {
        let Some(nick) = presence.head.from.as_ref().and_then(Jid::resource) else {
            return;
        };
        let fields = occupant_fields(presence);
        let Some(Channel {
            kind: Kind::Room(room),
            joining,
            ..
        }) = self.channels.get_mut(topic)
        else {
            return;
        };
        let news = room.occupants.set(nick, "", &fields);
        let is_own = codes.has(110);
        if is_own {
            nick.clone_into(&mut room.nick);
        }
        let is_joining = joining.is_some();
        if is_own && is_joining {
            let state = room.occupants.state(|_| true);
            if codes.has(201) {
                self.open_room(topic);
            }
            let mut response = fields;
            response.insert("nick".into(), nick.into());
            self.joined(topic, Value::Object(response));
            self.push_to_client(topic, "presence_state", &state);
        } else if let (Some(news), false) = (news, is_joining) {
            self.broadcast(topic, "presence_diff", &news);
        }
    }

    /// XEP-0045 §10.1.2: a room that was made by entering it is opened as it is.
    fn open_room(&mut self, topic: &str) {
        let Some(Channel {
            kind: Kind::Room(room),
            ..
        }) = self.channels.get(topic)
        else {
            return;
        };
        let to = room.jid.as_str().to_owned();
        let form = Element::new("x", data_forms::NS).attr("type", "submit");
        let iq = Element::new("iq", ns::CLIENT)
            .attr("type", "set")
            .attr("id", &*self.next_id())
            .attr("to", to)
            .child(Element::new("query", NS_OWNER).child(form));
        self.say(&iq);
    }

    fn hide_occupant(&mut self, topic: &str, presence: &Presence, codes: &Codes) {
        let Some(Channel {
            kind: Kind::Room(room),
            joining,
            ..
        }) = self.channels.get_mut(topic)
        else {
            return;
        };
        let from = presence.head.from.as_ref();
        let Some(nick) = from.and_then(Jid::resource) else {
            return;
        };
        let news = room.occupants.remove(nick, "");
        if codes.has(303)
            && room.nick == nick
            && let Some(new) = item_of(presence).and_then(|it| it.get("nick").map(str::to_owned))
        {
            room.nick = new;
        }
        if let (Some(news), true) = (news, joining.is_none()) {
            self.broadcast(topic, "presence_diff", &news);
        }
    }

    /// The client is out: by somebody's will for good, by accident to come back.
    fn put_out(&mut self, topic: &str, presence: &Presence, codes: &Codes) {
        // §9.1 and §17: 332 the server stops, 333 something went wrong.
        let ending = match codes.has(332) || codes.has(333) {
            true => Ending::Error,
            false => Ending::Close,
        };
        let item = item_of(presence);
        let why = item.as_ref().and_then(|it| it.find("reason", NS_USER));
        let mut fields = Map::new();
        fields.insert("codes".into(), codes.value());
        if let Some(why) = why {
            fields.insert("reason".into(), why.text_content().into());
        }
        self.push_to_client(topic, "removed", &Value::Object(fields));
        self.end(topic, ending);
    }

    /// A push on the topic of a room.
    pub(super) fn push_to_room(&mut self, origin: Origin, event: &str, fields: &Fields) {
        let Some(Channel {
            kind: Kind::Room(room),
            ..
        }) = self.channels.get(&origin.topic)
        else {
            return;
        };
        let (jid, nick) = (room.jid.clone(), room.nick.clone());
        let message = || {
            Element::new("message", ns::CLIENT)
                .attr("to", jid.as_str())
                .attr("type", "groupchat")
        };
        match event {
            "send" => self.send_message(origin, message(), fields),
            "typing" => self.send_typing(&origin, message(), fields),
            "history" => self.ask_history(origin, Some(&jid), fields),
            "subject" => {
                let Some(subject) = text_of(fields, "subject") else {
                    return self.answer(&origin, Err(reason("subject is missing")));
                };
                let subject = Element::new("subject", ns::CLIENT).text(subject);
                self.send_kept(origin, message().child(subject), None);
            }
            "status" => {
                let Some(payloads) = super::presence::status_payloads(fields) else {
                    return self.answer(&origin, Err(reason("bad request")));
                };
                let id = self.next_id();
                let presence = Element::new("presence", ns::CLIENT)
                    .attr("id", &*id)
                    .attr("to", format!("{jid}/{nick}"))
                    .children_from(payloads);
                let outcome = match self.say(&presence) {
                    true => Ok(object([])),
                    false => Err(reason("bad request")),
                };
                self.answer(&origin, outcome);
            }
            "invite" => self.invite(origin, &jid, fields),
            _ => self.answer(&origin, Err(reason("unknown event"))),
        }
    }

    /// XEP-0045 §7.8.2.
    fn invite(&mut self, origin: Origin, room: &BareJid, fields: &Fields) {
        let whom = text_of(fields, "jid").and_then(|jid| BareJid::parse(jid).ok());
        let Some(whom) = whom else {
            return self.answer(&origin, Err(reason("jid is missing")));
        };
        let why = text_of(fields, "reason");
        let why = why.map(|why| Element::new("reason", NS_USER).text(why));
        let invite = Element::new("invite", NS_USER)
            .attr("to", whom.as_str())
            .children_from(why);
        let id = self.next_id();
        let message = Element::new("message", ns::CLIENT)
            .attr("id", &*id)
            .attr("to", room.as_str())
            .child(Element::new("x", NS_USER).child(invite));
        match self.say(&message) {
            true => {
                self.errands.add(&id, Errand::Message(origin));
                self.ask_for_acknowledgement(&id);
            }
            false => self.answer(&origin, Err(reason("bad request"))),
        }
    }
}

fn topic_of(from: &Jid) -> Box<str> {
    format!("room:{}", from.bare_str()).into()
}

fn is_nick(channel: &Channel, from: &Jid) -> bool {
    matches!(&channel.kind, Kind::Room(room) if from.resource() == Some(room.nick()))
}

fn item_of(presence: &Presence) -> Option<Element> {
    let x = presence.payloads.element("x", NS_USER)?;
    x.find("item", NS_USER).cloned()
}

fn occupant_fields(presence: &Presence) -> Fields {
    let mut fields = presence_fields(presence);
    let Some(item) = item_of(presence) else {
        return fields;
    };
    for name in ["affiliation", "role"] {
        if let Some(value) = item.get(name) {
            fields.insert(name.into(), value.into());
        }
    }
    let jid = item.get("jid").and_then(|jid| Jid::parse(jid).ok());
    if let Some(jid) = jid {
        fields.insert("jid".into(), jid.bare_str().into());
    }
    fields
}

/// The status codes of a presence (XEP-0045 §15.6).
struct Codes(Vec<u16>);

impl Codes {
    fn of(presence: &Presence) -> Self {
        let x = presence.payloads.element("x", NS_USER);
        let statuses = x.iter().flat_map(Element::children);
        let statuses = statuses.filter(|it| it.is("status", NS_USER));
        Self(
            statuses
                .filter_map(|it| it.get("code")?.parse().ok())
                .collect(),
        )
    }

    fn has(&self, code: u16) -> bool {
        self.0.contains(&code)
    }

    fn value(&self) -> Value {
        Value::Array(self.0.iter().map(|code| Value::from(*code)).collect())
    }
}
