//! `app:NAME:…`: topics of an integrator's own. What one client pushes, everybody on the topic
//! gets as it is, JSON or bytes; nothing is kept, and nothing of it becomes XMPP.
//!
//! The machine decides who may and what is written; who is on a topic, on this node and on the
//! others, is known where errands go.

use serde_json::Value;

use super::channel::Kind;
use super::crowd::CrowdState;
use super::errands::Origin;
use super::frame::{self, Payload};
use super::grant::is_app_name;
use super::metas::Fields;
use super::socket::{Action, Outgoing, Socket};
use super::translate::{object, reason};

/// What topics of apps begin with.
pub(super) const APP: &str = "app:";

/// In binary frames topics cannot be longer.
const TOPIC_BYTES_MAX: usize = 255;

/// Bytes of what a client shows of itself: a name, a colour, a place.
const SHOWN_BYTES_MAX: usize = 1024;

/// A topic of an app that the client is on.
#[derive(Debug)]
pub(super) struct App {
    may_push: bool,
    hears_itself: bool,
    /// What is shown of the client at first, written; `None`: it neither is seen nor sees.
    shown: Option<Box<str>>,
}

/// What is to be done where it is known who is on which topic.
#[derive(Debug, Clone, PartialEq)]
pub enum Errand {
    /// The client wants to be on a topic: [`Socket::entered`].
    Enter {
        /// Which.
        topic: Box<str>,
        /// What it shows of itself there; `None`: it neither is seen nor sees who is.
        shown: Option<Box<str>>,
        /// Whether it hears what it pushes itself.
        hears_itself: bool,
    },
    /// It is on a topic no longer.
    Leave(Box<str>),
    /// It shows something else of itself: [`Socket::app_done`].
    Show(Origin, Box<str>),
    /// Everybody on the topic is to hear this: [`Socket::app_done`].
    Publish(Origin, Outgoing),
}

/// Why something is not done on a topic of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppRefusal {
    /// The node has as many topics as it may.
    #[error("too many topics")]
    Topics,
    /// The topic has as many clients on this node as it may.
    #[error("too many subscribers")]
    Subscribers,
    /// The client pushes too fast.
    #[error("too many pushes")]
    Pace,
    /// The client is not shown on the topic, so it cannot show something else.
    #[error("not shown")]
    NotShown,
}

/// Leaves a topic.
pub(super) fn leave(topic: &str) -> Errand {
    Errand::Leave(topic.into())
}

impl App {
    /// What is to be done when it is joined.
    pub(super) fn enter(&self, topic: &str) -> Errand {
        Errand::Enter {
            topic: topic.into(),
            shown: self.shown.clone(),
            hears_itself: self.hears_itself,
        }
    }
}

impl Socket {
    pub(super) fn join_app(&mut self, topic: &str, fields: &Fields) -> Result<Kind, Value> {
        if topic.len() > TOPIC_BYTES_MAX {
            return Err(reason("topic too long"));
        }
        let name = topic
            .strip_prefix(APP)
            .and_then(|rest| rest.split_once(':'));
        let is_topic = |rest: &str| !rest.is_empty() && !rest.chars().any(char::is_control);
        let Some((name, _)) = name.filter(|(name, rest)| is_app_name(name) && is_topic(rest))
        else {
            return Err(reason("not a topic of an app"));
        };
        let Some(rule) = self.grant.rule(name, &self.settings.apps) else {
            return Err(reason("unauthorized"));
        };
        let may_push = rule.may_push();
        let shown = match flag(fields, "presence")? {
            true => Some(self.shown(fields.get("meta"))?),
            false => None,
        };
        Ok(Kind::App(App {
            may_push,
            hears_itself: flag(fields, "self")?,
            shown,
        }))
    }

    /// What is shown of the client: what it says, and which device says so.
    fn shown(&self, meta: Option<&Value>) -> Result<Box<str>, Value> {
        let mut fields = match meta {
            None | Some(Value::Null) => Fields::new(),
            Some(Value::Object(fields)) => fields.clone(),
            Some(_) => return Err(reason("meta is no object")),
        };
        // These are the server's to say.
        fields.retain(|name, _| !name.starts_with("phx_"));
        fields.insert("resource".into(), self.me.resource().into());
        let written = Value::Object(fields).to_string();
        match written.len() <= SHOWN_BYTES_MAX {
            true => Ok(written.into()),
            false => Err(reason("meta too large")),
        }
    }

    /// The client is on a topic from now on, or is not let in. With the state, it is one of
    /// those who see who is there.
    pub fn entered(
        &mut self,
        topic: &str,
        outcome: Result<Option<CrowdState>, AppRefusal>,
    ) -> Vec<Action> {
        let app = match self.channels.get(topic).map(|it| (&it.joining, &it.kind)) {
            Some((Some(_), Kind::App(app))) => app,
            _ => return Vec::new(),
        };
        let response = object([
            ("jid", self.me.as_str().into()),
            ("push", app.may_push.into()),
        ]);
        match outcome {
            Ok(state) => {
                self.joined(topic, response);
                if let Some(CrowdState(state)) = state {
                    self.push_to_client(topic, "presence_state", &state);
                }
            }
            Err(refusal) => self.denied(topic, reason(&refusal.to_string())),
        }
        self.take_actions()
    }

    /// What was pushed has been dealt with.
    pub fn app_done(&mut self, origin: &Origin, outcome: Result<(), AppRefusal>) -> Vec<Action> {
        let outcome = match outcome {
            Ok(()) => Ok(object([])),
            Err(refusal) => Err(reason(&refusal.to_string())),
        };
        self.answer(origin, outcome);
        self.take_actions()
    }

    /// Tells whether the client has joined a topic, so that it is to hear what is said there.
    #[must_use]
    pub fn is_on(&self, topic: &str) -> bool {
        let channel = self.channels.get(topic);
        channel.is_some_and(|channel| channel.joining.is_none())
    }

    pub(super) fn push_to_app(&mut self, origin: Origin, event: &str, payload: Payload) {
        let Some(Kind::App(app)) = self.channels.get(&origin.topic).map(|it| &it.kind) else {
            return;
        };
        let (may_push, is_shown) = (app.may_push, app.shown.is_some());
        if event.starts_with("phx_") || event.starts_with("presence_") || event.is_empty() {
            return self.answer(&origin, Err(reason("unknown event")));
        }
        if event == "presence" {
            return match (is_shown, payload) {
                (false, _) => {
                    self.answer(&origin, Err(reason(&AppRefusal::NotShown.to_string())));
                }
                (true, Payload::Json(meta)) => match self.shown(Some(&meta)) {
                    Ok(shown) => self.actions.push(Action::App(Errand::Show(origin, shown))),
                    Err(why) => self.answer(&origin, Err(why)),
                },
                (true, Payload::Binary(_)) => {
                    self.answer(&origin, Err(reason("meta is no object")));
                }
            };
        }
        if !may_push {
            return self.answer(&origin, Err(reason("unauthorized")));
        }
        match self.broadcast_of(&origin.topic, event, &payload) {
            Ok(frame) => {
                let publish = Errand::Publish(origin, frame);
                self.actions.push(Action::App(publish));
            }
            Err(why) => self.answer(&origin, Err(why)),
        }
    }

    /// What everybody on the topic hears, written once.
    fn broadcast_of(&self, topic: &str, event: &str, said: &Payload) -> Result<Outgoing, Value> {
        let bytes_max = self.settings.app_payload_bytes_max;
        let frame = match said {
            Payload::Binary(data) if data.len() <= bytes_max => {
                // Both names are short enough, as they have come in such a frame.
                let frame = frame::binary_broadcast(topic, event, data);
                Outgoing::Binary(frame.ok_or_else(|| reason("topic too long"))?)
            }
            Payload::Json(value) => {
                let frame = Outgoing::Text(frame::text(None, None, topic, event, value));
                // Quotes, commas and nulls around it.
                let names = topic.len() + event.len();
                match frame.len().saturating_sub(names) <= bytes_max.saturating_add(32) {
                    true => frame,
                    false => return Err(reason("payload too large")),
                }
            }
            Payload::Binary(_) => return Err(reason("payload too large")),
        };
        Ok(frame)
    }
}

/// A choice among the parameters of a join: yes unless it says no.
fn flag(fields: &Fields, name: &str) -> Result<bool, Value> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(true),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(reason(&format!("{name} is true or false"))),
    }
}
