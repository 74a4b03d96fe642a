//! Messages of a room and what newcomers get of them: XEP-0045 §7.2.13 to §7.2.15.

use std::sync::Arc;

use super::NS;
use super::config::Config;
use super::effect::{Broadcast, HistoryQuery, RoomEffect};
use super::entry::show;
use super::facts::RoomFacts;
use super::moderation;
use super::record::Subject;
use super::room::Room;
use crate::archive::Entry;
use crate::features::{delay, hints, stanza_id};
use crate::jid::{FullJid, Jid};
use crate::ns;
use crate::stanza::{Head, Message, MessageKind, Presence, Stanza};
use crate::time::Timestamp;
use crate::xml::Element;

/// What somebody wants who enters (§7.2.14), within what the room gives.
pub(super) fn query(
    presence: &Presence,
    session: &FullJid,
    config: &Config,
    facts: &RoomFacts<'_>,
) -> HistoryQuery {
    let wanted = presence.payloads.element("x", NS);
    let wanted = wanted.as_ref().and_then(|x| x.find("history", NS));
    let number = |name| wanted.and_then(|it| it.get(name)).and_then(read_number);
    let seconds = number("seconds").map(|seconds| {
        let ago = std::time::Duration::from_secs(seconds);
        facts.now.minus(ago)
    });
    let since = wanted.and_then(|it| it.get("since"));
    let since = since.and_then(Timestamp::parse_xep0082);
    let most = u64::from(config.history_max.min(facts.settings.history_max));
    let stanzas_max = number("maxstanzas").map_or(most, |wanted| wanted.min(most));
    let chars_max = number("maxchars").map(|chars| usize::try_from(chars).unwrap_or(usize::MAX));
    HistoryQuery {
        session: session.clone(),
        stanzas_max: match chars_max {
            // §7.2.14: no history is asked for that way.
            Some(0) => 0,
            _ => u32::try_from(stanzas_max).unwrap_or(u32::MAX),
        },
        // The smallest amount that meets all that was said.
        since: since.max(seconds),
        chars_max,
    }
}

fn read_number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // More than there can be is as good as all there is.
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Tells whether a room keeps a message: what a person would miss, and changes of subject.
pub(super) fn is_kept(message: &Message) -> bool {
    let as_chat = Message {
        kind: MessageKind::Chat,
        ..message.clone()
    };
    hints::is_kept(&as_chat) || message.payloads.has("subject", ns::CLIENT)
}

/// §8.1: a message with a subject and neither body nor thread is a change of subject.
pub(super) fn is_subject_change(message: &Message) -> bool {
    let has = |name| message.payloads.has(name, ns::CLIENT);
    has("subject") && !has("body") && !has("thread")
}

/// What an entry of the room's log is to one session: the same for all, live or late.
///
/// Sessions that missed a hint read the log themselves and write entries with this.
pub fn entry_message(room: &crate::jid::BareJid, entry: &Entry) -> Option<Message> {
    match Stanza::parse(&entry.stanza) {
        Ok(Stanza::Message(message)) => Some(stanza_id::stamp(message, room, entry.id)),
        _ => None,
    }
}

/// An entry that a session reads from the room's log because it missed it: with the time at
/// which it was said (XEP-0203). Nothing of what was retracted since (XEP-0424 §5).
pub fn missed_message(room: &crate::jid::BareJid, entry: &Entry) -> Option<Message> {
    let mut message = entry_message(room, entry)?;
    if moderation::is_tombstone(&message) {
        return None;
    }
    let delay = delay::delay(Some(room.as_jid()), entry.stamp);
    message.payloads.push(&delay);
    Some(message)
}

impl Room {
    /// Reflects a message to everybody (§7.4).
    pub(super) fn reflect(&mut self, message: &Message, entry: Option<u64>) -> Vec<RoomEffect> {
        let everyone = self.occupants.everyone();
        if everyone.is_empty() {
            return Vec::new();
        }
        vec![self.reflection(message, entry, everyone)]
    }

    pub(super) fn reflection(
        &self,
        message: &Message,
        entry: Option<u64>,
        to: Arc<[FullJid]>,
    ) -> RoomEffect {
        let message = message.clone();
        // XEP-0359 §3: the id the room's archive gave it.
        let message = match entry {
            Some(id) => stanza_id::stamp(message, &self.jid, id),
            None => message,
        };
        let stanza = Stanza::Message(message);
        RoomEffect::Broadcast(Broadcast { stanza, to, entry })
    }

    /// §7.2.13: what was said, as far as it was asked for, then the subject.
    pub(super) fn deliver_history(
        &self,
        query: &HistoryQuery,
        entries: &[Entry],
        head: u64,
    ) -> Vec<RoomEffect> {
        let late = |entry: &Entry| self.late_message(entry, &query.session);
        let mut messages: Vec<Stanza> = entries.iter().filter_map(late).collect();
        if let Some(most) = query.chars_max {
            messages = last_within(messages, most);
        }
        let mut effects = show(&query.session, messages);
        effects.extend(self.send_subject(&query.session));
        effects.push(RoomEffect::CaughtUp(query.session.clone(), head));
        effects
    }

    /// Subjects are no history (§7.2.13), and what was retracted is told to nobody (XEP-0424
    /// §5).
    fn late_message(&self, entry: &Entry, session: &FullJid) -> Option<Stanza> {
        let mut message = entry_message(&self.jid, entry)?;
        if is_subject_change(&message) || moderation::is_tombstone(&message) {
            return None;
        }
        message.head.to = Some(session.into());
        message.payloads.push(&self.delay(entry.stamp));
        Some(message.into())
    }

    fn delay(&self, stamp: Timestamp) -> Element {
        let room = Jid::from(self.jid.clone());
        delay::delay(Some(&room), stamp)
    }

    /// §7.2.15: the subject, or an empty one if there is none.
    pub(super) fn send_subject(&self, session: &FullJid) -> Vec<RoomEffect> {
        let mut message = match &self.record.subject {
            Some(Subject { message, stamp }) => {
                let payloads = message.payloads.with(&self.delay(*stamp));
                Message {
                    payloads,
                    ..message.clone()
                }
            }
            None => Message {
                head: Head {
                    from: Some(self.jid.clone().into()),
                    ..Head::default()
                },
                kind: MessageKind::Groupchat,
                payloads: [Element::new("subject", ns::CLIENT)].into_iter().collect(),
            },
        };
        message.head.to = Some(session.into());
        vec![RoomEffect::Send(message.into())]
    }
}

/// §7.2.14: the last complete stanzas with so many characters in all.
fn last_within(stanzas: Vec<Stanza>, chars_max: usize) -> Vec<Stanza> {
    let chars = |stanza: &Stanza| String::from_utf8_lossy(&stanza.to_bytes()).chars().count();
    let mut left = chars_max;
    let fits = |stanza: &&Stanza| match left.checked_sub(chars(stanza)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    let count = stanzas.iter().rev().take_while(fits).count();
    let from = stanzas.len() - count;
    stanzas.into_iter().skip(from).collect()
}

#[cfg(test)]
mod tests;
