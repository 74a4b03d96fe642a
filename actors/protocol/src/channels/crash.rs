//! What becomes of a channel when a defect of ours ends the work on it half-way: as in Phoenix
//! it has failed, its client joins again with its back-off, and the other channels of the
//! connection hear nothing of it.
//!
//! The machine cannot see its own failure: whoever drives it tells it what was being dealt with.

use bytes::Bytes;

use super::channel::{Channel, Ending, Kind, PHOENIX};
use super::errands::Origin;
use super::frame::Frame;
use super::socket::{Action, Socket};
use super::translate::reason;
use crate::jid::Jid;
use crate::stanza::Stanza;

/// What was being dealt with.
#[derive(Debug, Clone, Copy)]
pub enum Cause<'a> {
    /// A text frame of the client.
    Text(&'a str),
    /// A binary frame of the client.
    Binary(&'a Bytes),
    /// A stanza from the session.
    Stanza(&'a Stanza),
}

impl Socket {
    /// The work on this has failed. The channels it was for end as failed; `None`: it was for
    /// none, so that nothing less than the connection can end.
    ///
    /// What was said before the failure stays said: stanzas among it have been counted.
    pub fn crashed(&mut self, cause: Cause<'_>) -> Option<Vec<Action>> {
        match cause {
            Cause::Text(text) => self.crashed_at(Frame::parse_text(text).ok()?),
            Cause::Binary(bytes) => self.crashed_at(Frame::parse_binary(bytes).ok()?),
            Cause::Stanza(stanza) => self.crashed_with(stanza),
        }?;
        Some(self.take_actions())
    }

    fn crashed_with(&mut self, stanza: &Stanza) -> Option<()> {
        let topics = self.concerned_by(stanza);
        for topic in &topics {
            self.fail(topic);
        }
        (!topics.is_empty()).then_some(())
    }

    fn crashed_at(&mut self, frame: Frame) -> Option<()> {
        let Frame {
            join_ref,
            reference,
            topic,
            event,
            ..
        } = frame;
        match &*event {
            _ if &*topic == PHOENIX => None,
            "phx_join" => {
                if let Some(channel) = self.channels.remove(&topic) {
                    self.give_up(&topic, &channel);
                }
                let origin = Origin {
                    topic,
                    join_ref,
                    reference,
                };
                self.answer(&origin, Err(reason("join crashed")));
                Some(())
            }
            _ => self.fail(&topic),
        }
    }

    /// A channel ends as failed; `None`: there is none.
    fn fail(&mut self, topic: &str) -> Option<()> {
        let channel = self.channels.remove(topic)?;
        self.give_up(topic, &channel);
        match &channel.joining {
            Some(origin) => self.answer(origin, Err(reason("join crashed"))),
            None => self.close(topic, channel.join_ref.as_deref(), Ending::Error),
        }
        Some(())
    }

    /// The channels that a stanza is for: that of its room, or all of its kind. An answer is for
    /// whoever has asked, which is not known any more.
    fn concerned_by(&self, stanza: &Stanza) -> Vec<Box<str>> {
        let room = format!("room:{}", stanza.from().map_or("", Jid::bare_str));
        if self.channels.contains_key(&*room) {
            return vec![room.into()];
        }
        let is_concerned = |channel: &Channel| match stanza {
            Stanza::Message(_) => matches!(channel.kind, Kind::User(_)),
            Stanza::Presence(_) => matches!(channel.kind, Kind::User(_) | Kind::Presence(_)),
            Stanza::Iq(_) => false,
        };
        let concerned = self.channels.iter().filter(|(_, it)| is_concerned(it));
        concerned.map(|(topic, _)| topic.clone()).collect()
    }
}
