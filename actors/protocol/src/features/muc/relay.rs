//! Requests from one occupant to another: XEP-0045 §17.4; and to oneself: XEP-0410 version
//! 1.1.0, <https://xmpp.org/extensions/xep-0410.html>
//!
//! Neither side learns the other's address (row M06), so the room remembers whose request it
//! was until the answer comes. Where addresses are hidden, only requests pass whose answers
//! hold none.

use std::collections::VecDeque;

use super::effect::RoomEffect;
use super::facts::RoomFacts;
use super::occupant::Occupant;
use super::role::Role;
use super::room::{Room, trace};
use super::{avatar, disco, sanitize};
use crate::features::{Feature, Spec, ping};
use crate::jid::{FullJid, Jid};
use crate::stanza::{ErrorKind, Head, Iq, IqKind, Stanza, StanzaError};

/// The room answers for an occupant who pings themselves (XEP-0410 §3.3).
pub const NS_SELF_PING: &str = "http://jabber.org/protocol/muc#self-ping-optimization";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "muc::relay",
    title: "MUC Self-Ping (Schrödinger's Chat)",
    spec: Spec::Xep {
        number: 410,
        version: "1.1.0",
    },
    disco_room: &[NS_SELF_PING],
    ..Feature::NONE
};

/// What may be asked where addresses are hidden. Calls and files are set up elsewhere: their
/// offers name the network addresses of who makes them.
const HARMLESS: &[&str] = &[
    disco::NS_INFO,
    disco::NS_ITEMS,
    ping::NS,
    avatar::NS,
    "jabber:iq:version",
    "jabber:iq:last",
    "urn:xmpp:time",
];

/// Requests that wait for an answer.
#[derive(Debug, Clone, Default)]
pub struct Relayed(VecDeque<Waiting>);

#[derive(Debug, Clone)]
struct Waiting {
    /// The id the other one sees.
    id: Box<str>,
    /// Who was asked, really.
    asked: Jid,
    /// Who asked.
    by: FullJid,
    /// The head of the request, which the answer turns round.
    head: Head,
}

impl Relayed {
    fn push(&mut self, waiting: Waiting, most: usize) {
        if self.0.len() >= most {
            self.0.pop_front();
        }
        self.0.push_back(waiting);
    }

    fn take(&mut self, id: &str, from: &Jid) -> Option<Waiting> {
        let is_it = |waiting: &Waiting| {
            *waiting.id == *id
                && (waiting.asked == *from || waiting.asked.as_str() == from.bare_str())
        };
        let at = self.0.iter().position(is_it)?;
        self.0.remove(at)
    }

    /// Whoever leaves waits for nothing.
    pub(super) fn forget(&mut self, session: &FullJid) {
        self.0.retain(|waiting| waiting.by != *session);
    }
}

impl Room {
    /// A request or an answer to an occupant.
    pub(super) fn decide_relayed(
        &mut self,
        iq: &Iq,
        sender: &Jid,
        facts: &RoomFacts<'_>,
    ) -> Vec<RoomEffect> {
        if !matches!(iq.kind, IqKind::Get | IqKind::Set) {
            return self.decide_relayed_answer(iq, sender);
        }
        let decided = self.relay(iq, sender, facts);
        decided.unwrap_or_else(|error| self.refuse(&iq.clone().into(), error))
    }

    fn relay(
        &mut self,
        iq: &Iq,
        sender: &Jid,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        let session = sender.to_full();
        let from = session
            .as_ref()
            .and_then(|it| self.occupants.of_session(it));
        let payload = iq.payload().ok_or_else(StanzaError::bad_request)?;
        let (Some(from), Some(by)) = (from, session.clone()) else {
            // §6.6 for disco, XEP-0410 §3.2 for the rest.
            let is_disco = payload.is_in(disco::NS_INFO) || payload.is_in(disco::NS_ITEMS);
            return Err(match is_disco {
                true => StanzaError::bad_request(),
                false => StanzaError::not_acceptable().with_kind(ErrorKind::Cancel),
            });
        };
        let nick = iq
            .head
            .to
            .as_ref()
            .and_then(Jid::resource)
            .unwrap_or_default();
        let to = self
            .occupants
            .get(nick)
            .ok_or_else(StanzaError::item_not_found)?;
        if to.nick == from.nick && payload.is("ping", ping::NS) {
            return Ok(vec![super::room::answer(iq, None)]);
        }
        self.check_harmless(from, to, payload.namespace())?;
        // The avatar in a vCard is the account's; a client knows nothing of it.
        let asked: Jid = match payload.is_in(avatar::NS) {
            true => to.account.clone().into(),
            false => to.speaker().jid.clone().into(),
        };
        let id: Box<str> = facts.fresh_id().into();
        let relayed = Iq {
            head: Head {
                to: Some(asked.clone()),
                from: Some(self.address_of(&from.nick)),
                id: Some(id.clone()),
                lang: iq.head.lang.clone(),
            },
            kind: iq.kind,
            payloads: iq.payloads.clone(),
        };
        let waiting = Waiting {
            id,
            asked,
            by,
            head: iq.head.clone(),
        };
        self.relayed.push(waiting, facts.settings.relayed_max);
        Ok(vec![RoomEffect::Send(relayed.into())])
    }

    fn check_harmless(
        &self,
        from: &Occupant,
        to: &Occupant,
        namespace: &str,
    ) -> Result<(), StanzaError> {
        if !self.record.config.private_messages.allows(from.role) && to.role != Role::Moderator {
            return Err(StanzaError::forbidden());
        }
        let is_open = self.record.config.non_anonymous || HARMLESS.contains(&namespace);
        is_open
            .then_some(())
            .ok_or_else(StanzaError::service_unavailable)
    }

    /// The answer goes to whoever asked, in the name of the nick they asked.
    pub(super) fn decide_relayed_answer(&mut self, iq: &Iq, sender: &Jid) -> Vec<RoomEffect> {
        let id = iq.head.id.as_deref().unwrap_or_default();
        let Some(waiting) = self.relayed.take(id, sender) else {
            return trace("an answer nobody waits for");
        };
        let payloads = match self.record.config.non_anonymous {
            true => iq.payloads.clone(),
            false => sanitize::unnamed(&iq.payloads, sender),
        };
        let answer = Iq {
            head: waiting.head.reply(),
            kind: iq.kind,
            payloads,
        };
        vec![RoomEffect::Send(Stanza::Iq(answer))]
    }
}

#[cfg(test)]
mod tests;
