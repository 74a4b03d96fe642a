//! Messages as events: what a page may want to show of them, as plain JSON.
//!
//! Corrections (XEP-0308), retractions (XEP-0424), reactions (XEP-0444), chat states
//! (XEP-0085), markers (XEP-0333), subjects. Leaves out what is encrypted, and formatting.

use serde_json::{Map, Value};

use super::metas::Fields;
use crate::features::muc::moderation;
use crate::features::{carbons, chat, delay, stanza_id};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Message, MessageKind, Presence, Show, Stanza, StanzaError};
use crate::xml::{Element, Node};

const NS_CORRECT: &str = "urn:xmpp:message-correct:0";
const NS_REACTIONS: &str = "urn:xmpp:reactions:0";

/// Reactions of one message; clients offer a handful.
const REACTIONS_MAX: usize = 32;

/// An object of these fields.
pub(super) fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let fields = fields.map(|(name, value)| (name.to_owned(), value));
    Value::Object(Map::from_iter(fields))
}

/// A refusal as an answer says it.
pub(super) fn reason(reason: &str) -> Value {
    object([("reason", reason.into())])
}

/// A stanza error as an answer says it.
pub(super) fn refusal(error: &StanzaError) -> Value {
    let mut fields = Map::new();
    fields.insert("reason".into(), error.condition.as_str().into());
    if let Some(text) = &error.text {
        fields.insert("text".into(), text.as_ref().into());
    }
    Value::Object(fields)
}

/// A message as an event, by whom it is from and the archive that gave it its id; `None` when
/// there is nothing in it for a page.
pub(super) fn event_of(
    message: &Message,
    author: Option<&str>,
    archive: &str,
) -> Option<(&'static str, Fields)> {
    let (event, mut fields) = content_of(message)?;
    if let Some(author) = author {
        fields.insert("from".into(), author.into());
    }
    if let Some(id) = &message.head.id {
        fields.insert("id".into(), id.as_ref().into());
    }
    if let Some(id) = archive_id(message, archive) {
        fields.insert("stanza_id".into(), id.into());
    }
    let stamp = message.payloads.element("delay", delay::NS);
    if let Some(stamp) = stamp.as_ref().and_then(|delay| delay.get("stamp")) {
        fields.insert("stamp".into(), stamp.into());
    }
    Some((event, fields))
}

fn content_of(message: &Message) -> Option<(&'static str, Fields)> {
    let payloads = &message.payloads;
    let mut fields = Map::new();
    let target = |name, namespace| {
        let element = payloads.element(name, namespace)?;
        element.get("id").map(str::to_owned)
    };
    if let Some(id) = target("retract", moderation::NS_RETRACT) {
        fields.insert("target".into(), id.into());
        return Some(("retract", fields));
    }
    if let Some(reactions) = payloads.element("reactions", NS_REACTIONS) {
        fields.insert("target".into(), reactions.get("id")?.into());
        let emojis = reactions.children().take(REACTIONS_MAX);
        let emojis = emojis.map(|it| Value::from(it.text_content())).collect();
        fields.insert("reactions".into(), Value::Array(emojis));
        return Some(("reactions", fields));
    }
    if let Some(body) = message.body() {
        fields.insert("body".into(), body.as_ref().into());
        if let Some(id) = target("replace", NS_CORRECT) {
            fields.insert("replace".into(), id.into());
        }
        return Some(("message", fields));
    }
    if let Some(subject) = payloads.text_of("subject", ns::CLIENT) {
        fields.insert("subject".into(), subject.as_ref().into());
        return Some(("subject", fields));
    }
    if let Some(id) = target("displayed", chat::NS_MARKERS) {
        fields.insert("target".into(), id.into());
        return Some(("displayed", fields));
    }
    let state = payloads.iter().find(|it| it.is_in(chat::NS_CHATSTATES))?;
    fields.insert("state".into(), state.name().into());
    Some(("typing", fields))
}

/// The id that this archive gave the message (XEP-0359); the server takes out what others claim.
fn archive_id(message: &Message, archive: &str) -> Option<String> {
    let ids = message.payloads.iter();
    let mut ids = ids.filter(|child| child.is("stanza-id", stanza_id::NS));
    ids.find_map(|child| {
        let id = child.element()?;
        (id.get("by") == Some(archive)).then(|| id.get("id").map(str::to_owned))?
    })
}

/// What a device's presence says.
pub(super) fn presence_fields(presence: &Presence) -> Fields {
    let mut fields = Map::new();
    let show = match presence.show() {
        Show::Chat => "chat",
        Show::Online => "online",
        Show::Away => "away",
        Show::Xa => "xa",
        Show::Dnd => "dnd",
    };
    fields.insert("show".into(), show.into());
    if let Some(status) = presence.payloads.text_of("status", ns::CLIENT) {
        fields.insert("status".into(), status.as_ref().into());
    }
    fields
}

/// A chat state by its name (XEP-0085 §2).
pub(super) fn is_chat_state(name: &str) -> bool {
    matches!(
        name,
        "active" | "composing" | "paused" | "inactive" | "gone"
    )
}

/// The message in a copy of what another device has sent or got (XEP-0280 §6), or in a result of
/// an archive (XEP-0313 §4.3), with the time that goes with it.
pub(super) fn forwarded(wrapper: &Element) -> Option<Message> {
    let forwarded = wrapper.find("forwarded", carbons::NS_FORWARD)?;
    let inner = forwarded.nodes().iter().find_map(|node| match node {
        Node::Element(element) if element.is("message", ns::CLIENT) => Some(element.to_bytes()),
        Node::Element(_) | Node::Text(_) | Node::Raw(_) => None,
    })?;
    let Ok(Stanza::Message(mut message)) = Stanza::parse(&inner) else {
        return None;
    };
    if let Some(delay) = forwarded.find("delay", delay::NS)
        && !message.payloads.has("delay", delay::NS)
    {
        message.payloads.push(delay);
    }
    Some(message)
}

/// Whom a message in an account's log is from, as shown to people.
pub(super) fn author_of(from: Option<&Jid>) -> Option<&str> {
    from.map(Jid::bare_str)
}

/// Tells whether a message is one of a conversation of two.
pub(super) fn is_direct(message: &Message) -> bool {
    matches!(
        message.kind,
        MessageKind::Chat | MessageKind::Normal | MessageKind::Headline
    )
}
