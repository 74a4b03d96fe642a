//! What the client pushes, on whatever topic: messages, chat states.

use serde_json::Value;

use super::channel::Kind;
use super::errands::{Errand, Origin};
use super::metas::Fields;
use super::socket::{Socket, text_of};
use super::translate::{is_chat_state, object, reason};
use crate::features::{chat, hints, stanza_id};
use crate::ns;
use crate::stream::sm;
use crate::xml::Element;

/// An id that the client gives a message, so that sending it again is the same message.
const ID_BYTES_MAX: usize = 128;

impl Socket {
    /// A push on a channel that is joined.
    pub(super) fn take_push(&mut self, origin: Origin, event: &str, fields: &Fields) {
        match self.channels.get(&origin.topic).map(|it| &it.kind) {
            Some(Kind::Room(_)) => self.push_to_room(origin, event, fields),
            Some(Kind::User(_)) => self.push_to_user(origin, event, fields),
            Some(Kind::Presence(_)) => self.push_to_presence(&origin, event, fields),
            Some(Kind::App(_)) | None => {}
        }
    }

    /// `send`: a message, under the client's own id or a new one.
    pub(super) fn send_message(&mut self, origin: Origin, message: Element, fields: &Fields) {
        let Some(body) = text_of(fields, "body").filter(|body| !body.is_empty()) else {
            return self.answer(&origin, Err(reason("body is missing")));
        };
        let id = match fields.get("id") {
            None | Some(Value::Null) => None,
            Some(Value::String(id)) if !id.is_empty() && id.len() <= ID_BYTES_MAX => Some(&**id),
            Some(_) => return self.answer(&origin, Err(reason("id is no short text"))),
        };
        let message = message.child(Element::new("body", ns::CLIENT).text(body));
        self.send_kept(origin, message, id);
    }

    /// Sends a message; the push is answered when it is kept, or refused.
    pub(super) fn send_kept(&mut self, origin: Origin, message: Element, id: Option<&str>) {
        let id = id.map_or_else(|| self.next_id(), Box::from);
        // What is sent again under its id is recognised by this (XEP-0359, DESIGN's D2).
        let origin_id = Element::new("origin-id", stanza_id::NS).attr("id", &*id);
        let message = message.attr("id", &*id).child(origin_id);
        match self.say(&message) {
            true => {
                self.errands.add(&id, Errand::Message(origin));
                self.ask_for_acknowledgement(&id);
            }
            false => self.answer(&origin, Err(reason("bad request"))),
        }
    }

    /// The session is to say when it has dealt with the last stanza.
    pub(super) fn ask_for_acknowledgement(&mut self, id: &str) {
        self.errands.await_acknowledgement(id);
        self.tell(&sm::request());
    }

    /// `typing`: a chat state (XEP-0085); nobody waits for it, and nothing keeps it.
    pub(super) fn send_typing(&mut self, origin: &Origin, message: Element, fields: &Fields) {
        let state = match fields.get("state") {
            None | Some(Value::Null) => "composing",
            Some(Value::String(state)) if is_chat_state(state) => state,
            Some(_) => return self.answer(origin, Err(reason("no such state"))),
        };
        let state = Element::new(state.to_owned(), chat::NS_CHATSTATES);
        let message = message.child(state);
        let outcome = match self.say(&message.child(Element::new("no-store", hints::NS))) {
            true => Ok(object([])),
            false => Err(reason("bad request")),
        };
        self.answer(origin, outcome);
    }
}
