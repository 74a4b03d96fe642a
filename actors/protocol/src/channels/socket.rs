//! One connection of a channels client as a state machine: frames and stanzas in, frames and
//! stanzas out.
//!
//! A frame that cannot be read is answered with an error and harms nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::app::Errand as AppErrand;
use super::channel::{Channel, PHOENIX};
use super::errands::{Errand, Errands, Origin};
use super::frame::{self, Frame, FrameError};
use super::grant::{AppRule, Grant};
use super::metas::Fields;
use super::presence::{Contacts, Standing};
use super::translate::{object, reason, refusal};
use crate::jid::{BareJid, FullJid};
use crate::ns;
use crate::stanza::{Iq, IqKind, Stanza, StanzaError};
use crate::stream::sm;
use crate::xml::{Element, Fragment, Limits, parse_fragment};

/// What a connection may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Topics that a connection may have joined at a time.
    pub channels_max: usize,
    /// The hosts of rooms.
    pub room_hosts: Vec<String>,
    /// Bytes of a stanza that a push may become.
    pub stanza_bytes_max: usize,
    /// The apps whose topics accounts may join without a token for it.
    pub apps: Vec<AppRule>,
    /// Bytes of what is pushed to a topic of an app.
    pub app_payload_bytes_max: usize,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// To the client.
    Send(Outgoing),
    /// To the session.
    Stanza(Fragment),
    /// For the topics of apps.
    App(AppErrand),
}

/// A frame for the client. A clone shares the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// A text frame: JSON in UTF-8.
    Text(Bytes),
    /// A binary frame.
    Binary(Bytes),
}

impl Outgoing {
    /// What it weighs.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Tells whether there is nothing in it, which does not happen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One connection.
#[derive(Debug)]
pub struct Socket {
    pub(super) me: FullJid,
    pub(super) settings: Arc<Settings>,
    pub(super) grant: Grant,
    pub(super) channels: BTreeMap<Box<str>, Channel>,
    pub(super) errands: Errands,
    pub(super) contacts: Contacts,
    pub(super) standing: Standing,
    /// What ids of ours begin with: the same on no other connection.
    seed: String,
    count: u64,
    /// Stanzas from the session since it counts (XEP-0198).
    received: u32,
    is_asked_for_count: bool,
    pub(super) actions: Vec<Action>,
}

impl Socket {
    /// The connection of a session that has just been bound; `seed` is random.
    #[must_use]
    pub fn new(me: FullJid, settings: Arc<Settings>, grant: Grant, seed: u64) -> Self {
        Self {
            me,
            settings,
            grant,
            channels: BTreeMap::new(),
            errands: Errands::default(),
            contacts: Contacts::default(),
            standing: Standing::default(),
            seed: format!("{seed:016x}"),
            count: 0,
            received: 0,
            is_asked_for_count: false,
            actions: Vec::new(),
        }
    }

    /// What the session hears first: it is to count, so that it tells what is kept.
    pub fn begin(&mut self) -> Vec<Action> {
        self.tell(&Element::new("enable", sm::NS));
        self.take_actions()
    }

    /// The client has sent a text frame.
    pub fn hear_text(&mut self, text: &str) -> Vec<Action> {
        self.hear(Frame::parse_text(text))
    }

    /// The client has sent a binary frame.
    pub fn hear_binary(&mut self, bytes: &Bytes) -> Vec<Action> {
        self.hear(Frame::parse_binary(bytes))
    }

    /// Says that what the client has sent is no frame.
    pub fn refuse_frame(&mut self, error: &str) -> Vec<Action> {
        let response = object([("status", "error".into()), ("response", reason(error))]);
        self.send_text(None, None, PHOENIX, "phx_reply", &response);
        self.take_actions()
    }

    /// The session has a stanza for the client.
    pub fn take_stanza(&mut self, stanza: &Stanza) -> Vec<Action> {
        self.received = self.received.wrapping_add(1);
        match stanza {
            Stanza::Message(message) => self.take_message(message),
            Stanza::Presence(presence) => self.take_presence(presence),
            Stanza::Iq(iq) => self.take_iq(iq),
        }
        self.take_actions()
    }

    /// The topic of a room that everybody on it gets the same event for, if the client is on it:
    /// the event is then [`Socket::room_event`], whoever writes it, and nothing else is to be
    /// done but [`Socket::passed_on`].
    #[must_use]
    pub fn common_topic(&self, stanza: &Stanza) -> Option<&str> {
        let Stanza::Message(message) = stanza else {
            return None;
        };
        self.topic_of_broadcast(message)
    }

    /// What everybody on a room's topic gets of a message that is for all; `None` when there
    /// is nothing in it for a page.
    #[must_use]
    pub fn room_event(stanza: &Stanza, topic: &str) -> Option<Outgoing> {
        let Stanza::Message(message) = stanza else {
            return None;
        };
        let (event, fields) = super::room::event_of(message)?;
        let payload = Value::Object(fields);
        let written = frame::text(None, None, topic, event, &payload);
        Some(Outgoing::Text(written))
    }

    /// A stanza was dealt with without this machine.
    pub fn passed_on(&mut self) {
        self.received = self.received.wrapping_add(1);
    }

    /// The session has something for the client that is no stanza: XEP-0198's.
    pub fn take_nonza(&mut self, element: &Element) -> Vec<Action> {
        if element.is("enabled", sm::NS) {
            self.received = 0;
        } else if element.is("r", sm::NS) {
            self.is_asked_for_count = true;
        } else if element.is("a", sm::NS)
            && let Some(h) = element.get("h").and_then(sm::parse_h)
        {
            for (id, origin) in self.errands.acknowledge(h) {
                let id = object([("id", id.as_ref().into())]);
                self.answer(&origin, Ok(id));
            }
        }
        self.take_actions()
    }

    /// What the session is told when everything has been written to the client, if it has asked.
    pub fn acknowledgement(&mut self) -> Option<Fragment> {
        if !std::mem::take(&mut self.is_asked_for_count) {
            return None;
        }
        self.fragment(&sm::answer(self.received))
    }

    fn hear(&mut self, frame: Result<Frame, FrameError>) -> Vec<Action> {
        match frame {
            Ok(frame) => self.take_frame(frame),
            Err(error) => return self.refuse_frame(&format!("malformed frame: {error}")),
        }
        self.take_actions()
    }

    fn take_iq(&mut self, iq: &Iq) {
        match iq.kind {
            IqKind::Result | IqKind::Error => self.take_answer(iq),
            IqKind::Get | IqKind::Set if self.take_roster_push(iq) => {}
            IqKind::Get | IqKind::Set => {
                let error = StanzaError::service_unavailable();
                if let Some(refusal) = Stanza::Iq(iq.clone()).error_reply(&error) {
                    self.say_stanza(&refusal);
                }
            }
        }
    }

    fn take_answer(&mut self, iq: &Iq) {
        let Some(errand) = iq.head.id.as_deref().and_then(|id| self.errands.take(id)) else {
            return;
        };
        match errand {
            Errand::Roster => self.take_roster(iq),
            Errand::History(history) if iq.kind == IqKind::Result => {
                let (origin, outcome) = history.finish(iq);
                self.answer(&origin, outcome);
            }
            Errand::History(history) => {
                let origin = history.origin();
                self.answer(&origin, Err(refusal_in(&Stanza::Iq(iq.clone()))));
            }
            // An id that a client has given a message, and that happens to be an answer's.
            Errand::Message(origin) => {
                if let Some(id) = &iq.head.id {
                    self.errands.add(id, Errand::Message(origin));
                }
            }
        }
    }

    /// Answers a join or a push.
    pub(super) fn answer(&mut self, origin: &Origin, outcome: Result<Value, Value>) {
        if origin.reference.is_none() {
            return;
        }
        let (status, response) = match outcome {
            Ok(response) => ("ok", response),
            Err(response) => ("error", response),
        };
        let payload = object([("status", status.into()), ("response", response)]);
        let (join_ref, reference) = (origin.join_ref.as_deref(), origin.reference.as_deref());
        self.send_text(join_ref, reference, &origin.topic, "phx_reply", &payload);
    }

    /// Tells everybody on a topic here, which is this client.
    pub(super) fn broadcast(&mut self, topic: &str, event: &str, payload: &Value) {
        self.send_text(None, None, topic, event, payload);
    }

    /// Tells the client in the present life of a channel.
    pub(super) fn push_to_client(&mut self, topic: &str, event: &str, payload: &Value) {
        let join_ref = self.channels.get(topic).and_then(|it| it.join_ref.clone());
        self.send_text(join_ref.as_deref(), None, topic, event, payload);
    }

    pub(super) fn send_text(
        &mut self,
        join_ref: Option<&str>,
        reference: Option<&str>,
        topic: &str,
        event: &str,
        payload: &Value,
    ) {
        let written = frame::text(join_ref, reference, topic, event, payload);
        self.actions.push(Action::Send(Outgoing::Text(written)));
    }

    /// Gives the session a stanza; false when it is too large.
    pub(super) fn say(&mut self, stanza: &Element) -> bool {
        let Some(fragment) = self.fragment(stanza) else {
            return false;
        };
        self.errands.count();
        self.actions.push(Action::Stanza(fragment));
        true
    }

    fn say_stanza(&mut self, stanza: &Stanza) {
        if let Ok(fragment) = parse_fragment(&stanza.to_bytes(), &Limits::CANONICAL) {
            self.errands.count();
            self.actions.push(Action::Stanza(fragment));
        }
    }

    /// Gives the session an element that is no stanza.
    pub(super) fn tell(&mut self, element: &Element) {
        self.actions
            .extend(self.fragment(element).map(Action::Stanza));
    }

    fn fragment(&self, element: &Element) -> Option<Fragment> {
        let limits = Limits {
            stanza_bytes: self.settings.stanza_bytes_max,
            ..Limits::AFTER_LOGIN
        };
        parse_fragment(&element.to_bytes(), &limits).ok()
    }

    /// An id that no other stanza of anybody has.
    pub(super) fn next_id(&mut self) -> Box<str> {
        self.count += 1;
        format!("{}-{}", self.seed, self.count).into()
    }

    pub(super) fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }
}

/// Why a stanza was refused, as an answer says it.
pub(super) fn refusal_in(stanza: &Stanza) -> Value {
    let error = stanza.payloads().element("error", ns::CLIENT);
    let error = error.map_or_else(StanzaError::internal_server_error, |error| {
        StanzaError::from_element(&error)
    });
    refusal(&error)
}

/// An address as a topic has it: as the server writes it, so that everybody's topic is the same.
pub(super) fn address(text: &str) -> Result<BareJid, Value> {
    let jid = BareJid::parse(text).map_err(|_| reason("not an address"))?;
    match jid.as_str() == text {
        true => Ok(jid),
        false => Err(object([
            ("reason", "write the address as it is written here".into()),
            ("address", jid.as_str().into()),
        ])),
    }
}

/// A text among the fields; `None` when it is not there, or no text.
pub(super) fn text_of<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.get(name).and_then(Value::as_str)
}
