//! `user:JID`: conversations of two. The client's own address: all of them, and what else is
//! for the user (requests, invitations); somebody else's: the one with them.
//!
//! Joining it makes the session one that gets the user's messages: it becomes available, with
//! copies of what other devices send and get (XEP-0280).

use serde_json::{Map, Value};

use super::channel::Kind;
use super::errands::{Errand, Origin};
use super::metas::Fields;
use super::socket::{Socket, address, refusal_in, text_of};
use super::translate::{event_of, forwarded, is_direct, object, reason};
use crate::features::carbons;
use crate::features::muc::NS_USER;
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::stanza::{Message, MessageKind, Presence, PresenceKind, Stanza};
use crate::xml::Element;

const NS_CONFERENCE: &str = "jabber:x:conference";

/// Whom a topic is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Peer {
    /// Everybody: the topic is the client's own.
    Everybody,
    /// One account.
    One(BareJid),
}

impl Socket {
    pub(super) fn join_user(&mut self, peer: &str) -> Result<Kind, Value> {
        let jid = address(peer)?;
        if jid.localpart().is_none() {
            return Err(reason("not the address of an account"));
        }
        let peer = match jid == self.me.bare() {
            true => Peer::Everybody,
            false => Peer::One(jid),
        };
        Ok(Kind::User(peer))
    }

    /// The topics that a conversation is shown on.
    fn topics_of(&self, peer: &BareJid) -> Vec<Box<str>> {
        let own = format!("user:{}", self.me.bare());
        let theirs = format!("user:{peer}");
        let is_there = |topic: &String| self.channels.contains_key(topic.as_str());
        let mut topics = vec![own];
        if *peer != self.me.bare() {
            topics.push(theirs);
        }
        topics.retain(is_there);
        topics.into_iter().map(String::into_boxed_str).collect()
    }

    /// Tells the topics of a conversation.
    fn show(&mut self, peer: &BareJid, event: &str, payload: &Value) {
        for topic in self.topics_of(peer) {
            self.broadcast(&topic, event, payload);
        }
    }

    /// A message of any kind.
    pub(super) fn take_message(&mut self, message: &Message) {
        if self.take_refusal(message) || self.take_result(message) || self.take_copy(message) {
            return;
        }
        if self.take_invitation(message) || self.take_room_message(message) {
            return;
        }
        let me = self.me.bare();
        let from = message.head.from.as_ref();
        let peer = from.map_or_else(|| me.clone(), Jid::bare);
        if is_direct(message) {
            self.show_message(&peer, message);
        }
    }

    fn show_message(&mut self, peer: &BareJid, message: &Message) {
        let me = self.me.bare();
        let from = message
            .head
            .from
            .as_ref()
            .map_or(me.as_str(), Jid::bare_str);
        let Some((event, mut fields)) = event_of(message, Some(from), me.as_str()) else {
            return;
        };
        let to = message.head.to.as_ref();
        let to = to.map_or(me.as_str(), Jid::bare_str).to_owned();
        fields.insert("to".into(), to.into());
        self.show(peer, event, &Value::Object(fields));
    }

    /// A message that came back with an error; tells whether it was one.
    fn take_refusal(&mut self, message: &Message) -> bool {
        if message.kind != MessageKind::Error {
            return false;
        }
        let response = refusal_in(&Stanza::Message(message.clone()));
        let errand = message.head.id.as_deref();
        match errand.and_then(|id| self.errands.take(id)) {
            Some(Errand::Message(origin)) => self.answer(&origin, Err(response)),
            Some(other) => {
                if let Some(id) = &message.head.id {
                    self.errands.add(id, other);
                }
            }
            // Later, from far away: the push has been answered.
            None => self.show_refusal(message, response),
        }
        true
    }

    fn show_refusal(&mut self, message: &Message, response: Value) {
        let Some(from) = &message.head.from else {
            return;
        };
        let Value::Object(mut fields) = response else {
            return;
        };
        if let Some(id) = &message.head.id {
            fields.insert("id".into(), id.as_ref().into());
        }
        fields.insert("from".into(), from.bare_str().into());
        let peer = from.bare();
        self.show(&peer, "error", &Value::Object(fields));
    }

    /// A copy of what another device has sent or got; tells whether it was one. Row R03: copies
    /// from anybody but the account itself are nothing.
    fn take_copy(&mut self, message: &Message) -> bool {
        let wrapper = message
            .payloads
            .iter()
            .find(|child| child.is_in(carbons::NS) && matches!(child.name(), "sent" | "received"));
        let Some(wrapper) = wrapper else {
            return false;
        };
        let is_sent = wrapper.name() == "sent";
        let from = message.head.from.as_ref();
        let is_own = from.is_none_or(|from| from.as_str() == self.me.bare_str());
        let Some(inner) = wrapper.element().as_ref().and_then(forwarded) else {
            return true;
        };
        if !is_own || !is_direct(&inner) {
            return true;
        }
        let peer = match is_sent {
            true => inner.head.to.as_ref(),
            false => inner.head.from.as_ref(),
        };
        if let Some(peer) = peer.map(Jid::bare) {
            self.show_message(&peer, &inner);
        }
        true
    }

    /// An invitation to a room (XEP-0045 §7.8.2, XEP-0249); tells whether it was one.
    fn take_invitation(&mut self, message: &Message) -> bool {
        let Some(from) = &message.head.from else {
            return false;
        };
        let direct = message.payloads.element("x", NS_CONFERENCE);
        let mediated = message.payloads.element("x", NS_USER);
        let invite = mediated.as_ref().and_then(|x| x.find("invite", NS_USER));
        let (room, by, why) = match (invite, &direct) {
            (Some(invite), _) => {
                let why = invite.find("reason", NS_USER).map(Element::text_content);
                (from.bare_str().to_owned(), invite.get("from"), why)
            }
            (None, Some(direct)) => {
                let Some(room) = direct.get("jid") else {
                    return false;
                };
                let why = direct.get("reason").map(str::to_owned);
                (room.to_owned(), Some(from.bare_str()), why)
            }
            (None, None) => return false,
        };
        let mut fields = Map::new();
        fields.insert("room".into(), room.into());
        fields.insert("from".into(), by.map_or(Value::Null, Value::from));
        fields.insert("reason".into(), why.map_or(Value::Null, Value::from));
        let me = self.me.bare();
        self.show(&me, "invitation", &Value::Object(fields));
        true
    }

    /// Somebody asks to see the user's presence, or answers such a question.
    pub(super) fn take_subscription(&mut self, presence: &Presence) {
        let event = match presence.kind {
            PresenceKind::Subscribe => "request",
            PresenceKind::Subscribed => "approved",
            PresenceKind::Unsubscribed => "refused",
            _ => return,
        };
        if let Some(from) = &presence.head.from {
            let me = self.me.bare();
            let payload = object([("from", from.bare_str().into())]);
            self.show(&me, event, &payload);
        }
    }

    /// A push on the topic of a conversation, or of all.
    pub(super) fn push_to_user(&mut self, origin: Origin, event: &str, fields: &Fields) {
        match event {
            "send" | "typing" => {
                let to = match self.recipient(&origin, fields) {
                    Ok(to) => to,
                    Err(response) => return self.answer(&origin, Err(response)),
                };
                let message = Element::new("message", ns::CLIENT)
                    .attr("to", to.as_str())
                    .attr("type", "chat");
                match event {
                    "send" => self.send_message(origin, message, fields),
                    _ => self.send_typing(&origin, message, fields),
                }
            }
            "history" => {
                let mut fields = fields.clone();
                if let Some(Peer::One(peer)) = self.peer_of(&origin) {
                    fields.insert("with".into(), peer.as_str().into());
                }
                self.ask_history(origin, None, &fields);
            }
            "subscribe" | "approve" | "refuse" => self.subscribe(&origin, event, fields),
            "status" => self.set_status(&origin, fields),
            _ => self.answer(&origin, Err(reason("unknown event"))),
        }
    }

    fn peer_of(&self, origin: &Origin) -> Option<Peer> {
        match &self.channels.get(&origin.topic)?.kind {
            Kind::User(peer) => Some(peer.clone()),
            Kind::Room(_) | Kind::Presence(_) | Kind::App(_) => None,
        }
    }

    fn recipient(&self, origin: &Origin, fields: &Fields) -> Result<Jid, Value> {
        match (self.peer_of(origin), text_of(fields, "to")) {
            (Some(Peer::One(peer)), None) => Ok(peer.into()),
            (Some(Peer::Everybody), Some(to)) => {
                Jid::parse(to).map_err(|_| reason("to is no address"))
            }
            (Some(Peer::Everybody), None) => Err(reason("to is missing")),
            _ => Err(reason("to is who the topic is about")),
        }
    }

    /// RFC 6121 §3: asks to see somebody, or lets them see the user, or not.
    fn subscribe(&mut self, origin: &Origin, event: &str, fields: &Fields) {
        let whom = text_of(fields, "jid").and_then(|jid| BareJid::parse(jid).ok());
        let Some(whom) = whom else {
            return self.answer(origin, Err(reason("jid is missing")));
        };
        let kind = match event {
            "subscribe" => "subscribe",
            "approve" => "subscribed",
            _ => "unsubscribed",
        };
        let presence = Element::new("presence", ns::CLIENT)
            .attr("to", whom.as_str())
            .attr("type", kind);
        let outcome = match self.say(&presence) {
            true => Ok(object([])),
            false => Err(reason("bad request")),
        };
        self.answer(origin, outcome);
    }
}
