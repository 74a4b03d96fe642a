//! What a client says on its line, and what it hears on topics of apps.

use std::sync::Arc;

use bytes::Bytes;
use klatsch_actors::topics::Subscriber;
use klatsch_protocol::channels::{Action, Cause, CrowdState, Errand, Outgoing, Socket};

use super::line::Line;

impl Line {
    /// The client has sent a text frame.
    pub(super) fn hear_text(self: &Arc<Self>, text: &str) {
        self.hear(Cause::Text(text), |socket| {
            #[cfg(feature = "broken")]
            super::contained::fail_on_purpose(text);
            socket.hear_text(text)
        });
    }

    /// The client has sent a binary frame.
    pub(super) fn hear_binary(self: &Arc<Self>, bytes: &Bytes) {
        self.hear(Cause::Binary(bytes), |socket| socket.hear_binary(bytes));
    }

    /// What the client has said, and what that leads to on topics of apps: they tell their
    /// clients, of whom this is one, so it must not be locked.
    fn hear(self: &Arc<Self>, cause: Cause<'_>, work: impl FnOnce(&mut Socket) -> Vec<Action>) {
        let mut errands = Vec::new();
        self.turn_for(Some(cause), work, |actions| {
            let mut others = Vec::with_capacity(actions.len());
            for action in actions {
                match action {
                    Action::App(errand) => errands.push(errand),
                    other => others.push(other),
                }
            }
            others
        });
        for errand in errands {
            self.run(errand);
        }
    }

    fn run(self: &Arc<Self>, errand: Errand) {
        match errand {
            Errand::Enter {
                topic,
                shown,
                hears_itself,
            } => {
                let me = Arc::clone(self) as Arc<dyn Subscriber>;
                let entered = self.membership.enter(&topic, me, shown, hears_itself);
                if let Err(refusal) = entered {
                    self.turn(|socket| socket.entered(&topic, Err(refusal)));
                }
            }
            Errand::Leave(topic) => self.membership.leave(&topic),
            Errand::Show(origin, fields) => {
                let outcome = self.membership.show(origin.topic(), fields);
                self.turn(|socket| socket.app_done(&origin, outcome));
            }
            Errand::Publish(origin, frame) => {
                let outcome = self.membership.say(origin.topic(), &frame);
                self.turn(|socket| socket.app_done(&origin, outcome));
            }
        }
    }

    /// The client is on no topic of an app any more.
    pub(super) fn leave_topics(&self) {
        self.membership.leave_all();
    }
}

impl Subscriber for Line {
    fn entered(&self, topic: &str, state: Option<CrowdState>) {
        self.turn(|socket| socket.entered(topic, Ok(state)));
    }

    fn said(&self, topic: &str, frame: &Outgoing) {
        self.turn(|socket| match socket.is_on(topic) {
            true => vec![Action::Send(frame.clone())],
            false => Vec::new(),
        });
    }
}
