//! The life of a channel: joined, spoken on, left, closed, and what of that is dropped.
//!
//! The rules are those of Phoenix's server, with its references and in its order.

use serde_json::{Map, Value};

use super::app::{APP, App, leave};
use super::errands::Origin;
use super::frame::{Frame, Payload};
use super::metas::Fields;
use super::presence::Audience;
use super::room::Room;
use super::socket::{Action, Socket};
use super::translate::{object, reason};
use super::user::Peer;
use crate::xml::has_only_chars;

/// The topic of the connection itself.
pub(super) const PHOENIX: &str = "phoenix";

/// A topic that the client has joined, or is about to.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) join_ref: Option<Box<str>>,
    /// The join that has not been answered yet.
    pub(super) joining: Option<Origin>,
    pub(super) kind: Kind,
}

/// What a topic is.
#[derive(Debug)]
pub(super) enum Kind {
    Room(Box<Room>),
    User(Peer),
    Presence(Audience),
    App(App),
}

/// Why a channel ends that its client has not left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// For good: the client does not come back by itself.
    Close,
    /// It failed: the client joins again.
    Error,
}

/// Why a text is refused that would not arrive as it was sent.
const NOT_WRITABLE: &str = "a text has characters that XML cannot have";

/// Tells whether XML can carry these texts (XML 1.0 §2.2). Our writer would replace what it
/// cannot (row X12), and what is acknowledged is kept as it was said.
fn can_be_written(fields: &Fields) -> bool {
    let mut texts = fields.values().filter_map(Value::as_str);
    texts.all(|text| has_only_chars(text.as_bytes()))
}

impl Socket {
    pub(super) fn take_frame(&mut self, frame: Frame) {
        let Frame {
            join_ref,
            reference,
            topic,
            event,
            payload,
        } = frame;
        let origin = Origin {
            topic,
            join_ref,
            reference,
        };
        if &*origin.topic == PHOENIX && &*event == "heartbeat" {
            return self.answer(&origin, Ok(object([])));
        }
        if &*event == "phx_join" {
            return self.join(origin, payload);
        }
        let Some(channel) = self.channels.get(&origin.topic) else {
            return match &*event {
                // There is nothing to leave, which is what was wanted.
                "phx_leave" => self.answer(&origin, Ok(object([]))),
                _ => self.unmatched(origin),
            };
        };
        // A word to an earlier life of the channel; one without a life goes to this one.
        if origin.join_ref.is_some() && origin.join_ref != channel.join_ref {
            return;
        }
        match &*event {
            "phx_leave" => self.leave(&origin),
            _ if channel.joining.is_some() => self.answer(&origin, Err(reason("not joined"))),
            _ => self.push(origin, &event, payload),
        }
    }

    fn unmatched(&mut self, origin: Origin) {
        let origin = Origin {
            join_ref: None,
            ..origin
        };
        self.answer(&origin, Err(reason("unmatched topic")));
    }

    fn join(&mut self, origin: Origin, payload: Payload) {
        let before = self.channels.remove(&origin.topic);
        if let Some(before) = &before {
            // The client has begun again; the old life ends before the new one begins.
            self.close(&origin.topic, before.join_ref.as_deref(), Ending::Close);
        } else if self.channels.len() >= self.settings.channels_max {
            return self.answer(&origin, Err(reason("too many channels joined")));
        }
        let fields = match payload {
            Payload::Json(Value::Object(fields)) => fields,
            Payload::Json(Value::Null) => Map::new(),
            _ => return self.turn_away(&origin, before, reason("join with an object")),
        };
        if !origin.topic.starts_with(APP) && !can_be_written(&fields) {
            return self.turn_away(&origin, before, reason(NOT_WRITABLE));
        }
        let outcome = match origin.topic.split_once(':') {
            Some(("app", _)) => self.join_app(&origin.topic, &fields),
            // Whose token is for apps alone is nobody in rooms and to contacts.
            Some(("room" | "user" | "presence", _)) if !self.grant.is_account() => {
                Err(reason("unauthorized"))
            }
            Some(("room", room)) => self.join_room(&origin, room, &fields),
            Some(("user", peer)) => self.join_user(peer),
            Some(("presence", whom)) => self.join_presence(whom),
            _ => {
                let unmatched = Origin {
                    join_ref: None,
                    ..origin.clone()
                };
                return self.turn_away(&unmatched, before, reason("unmatched topic"));
            }
        };
        match outcome {
            Ok(kind) => {
                if let Some(Kind::App(_)) = before.map(|it| it.kind) {
                    self.actions.push(Action::App(leave(&origin.topic)));
                }
                self.enter(origin, kind);
            }
            Err(response) => self.turn_away(&origin, before, response),
        }
    }

    /// A join is refused. What its channel had before is given up.
    fn turn_away(&mut self, origin: &Origin, before: Option<Channel>, response: Value) {
        if let Some(before) = before {
            self.give_up(&origin.topic, &before);
        }
        self.answer(origin, Err(response));
    }

    fn enter(&mut self, origin: Origin, kind: Kind) {
        let is_user = matches!(kind, Kind::User(_));
        let enters = match &kind {
            Kind::App(app) => Some(app.enter(&origin.topic)),
            _ => None,
        };
        let topic = origin.topic.clone();
        let channel = Channel {
            join_ref: origin.join_ref.clone(),
            joining: Some(origin),
            kind,
        };
        self.channels.insert(topic.clone(), channel);
        if is_user {
            // Nothing more has to be known, and what waits for the user comes behind this.
            let jid = object([("jid", self.me.as_str().into())]);
            self.joined(&topic, jid);
        }
        self.actions.extend(enters.map(Action::App));
        self.show_standing();
        self.admit_to_presence();
    }

    /// A channel is there for its client.
    pub(super) fn joined(&mut self, topic: &str, response: Value) {
        let Some(channel) = self.channels.get_mut(topic) else {
            return;
        };
        if let Some(origin) = channel.joining.take() {
            self.answer(&origin, Ok(response));
        }
    }

    /// A channel is refused to its client.
    pub(super) fn denied(&mut self, topic: &str, response: Value) {
        let Some(channel) = self.channels.remove(topic) else {
            return;
        };
        if let Some(origin) = channel.joining {
            self.answer(&origin, Err(response));
        }
    }

    fn leave(&mut self, origin: &Origin) {
        let Some(channel) = self.channels.remove(&origin.topic) else {
            return;
        };
        self.give_up(&origin.topic, &channel);
        self.answer(origin, Ok(object([])));
        self.close(&origin.topic, channel.join_ref.as_deref(), Ending::Close);
    }

    /// Ends what a channel stood for.
    pub(super) fn give_up(&mut self, topic: &str, channel: &Channel) {
        match &channel.kind {
            Kind::Room(room) => {
                let leave = room.leave();
                self.say(&leave);
            }
            Kind::User(_) => self.show_standing(),
            Kind::Presence(_) => {}
            Kind::App(_) => self.actions.push(Action::App(leave(topic))),
        }
    }

    /// A channel ends by itself.
    pub(super) fn end(&mut self, topic: &str, ending: Ending) {
        if let Some(channel) = self.channels.remove(topic) {
            self.close(topic, channel.join_ref.as_deref(), ending);
        }
    }

    pub(super) fn close(&mut self, topic: &str, join_ref: Option<&str>, ending: Ending) {
        let event = match ending {
            Ending::Close => "phx_close",
            Ending::Error => "phx_error",
        };
        self.send_text(join_ref, join_ref, topic, event, &object([]));
    }

    fn push(&mut self, origin: Origin, event: &str, payload: Payload) {
        if origin.topic.starts_with(APP) {
            return self.push_to_app(origin, event, payload);
        }
        let fields = match payload {
            Payload::Json(Value::Object(fields)) => fields,
            Payload::Json(Value::Null) => Map::new(),
            Payload::Json(_) => return self.answer(&origin, Err(reason("push an object"))),
            Payload::Binary(_) => {
                return self.answer(&origin, Err(reason("binary payload on a topic of JSON")));
            }
        };
        if !can_be_written(&fields) {
            return self.answer(&origin, Err(reason(NOT_WRITABLE)));
        }
        if self.errands.is_full() {
            return self.answer(&origin, Err(reason("too much is unanswered")));
        }
        self.take_push(origin, event, &fields);
    }
}
