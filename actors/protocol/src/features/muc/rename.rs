//! What somebody inside says of themselves: a new state, a new nick (XEP-0045 §7.6), or that
//! they want to hear everything again.

use super::effect::RoomEffect;
use super::entry::Entrance;
use super::facts::RoomFacts;
use super::nick::{self, Nick};
use super::occupant_id;
use super::presence::{Item, News, user_element};
use super::room::Room;
use crate::jid::FullJid;
use crate::stanza::{Presence, PresenceKind, StanzaError};

impl Room {
    /// Somebody who is inside sends presence: a new state, a new nick, or, with `<x/>`, the
    /// wish to hear everything again (§17.3 rule 3).
    pub(super) fn enter_again(
        &mut self,
        presence: &Presence,
        sender: &FullJid,
        wanted: &str,
        is_join: bool,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        let Some(occupant) = self.occupants.of_session(sender) else {
            return Ok(Vec::new());
        };
        let old = occupant.nick.clone();
        let prepared = nick::prepare(wanted, facts.settings)?;
        let mut effects = match prepared == old {
            true if is_join => {
                let before = occupant.shown.clone();
                self.put_presence(&old, sender, presence);
                match self
                    .occupants
                    .get(&old)
                    .is_some_and(|it| it.shown != before)
                {
                    true => self.announce_to_others(&old, News::default()),
                    false => Vec::new(),
                }
            }
            true => return Ok(self.update_presence(sender, presence)),
            false => self.change_nick(presence, sender, wanted, facts)?,
        };
        if is_join && let Some(nick) = self.nick_of(sender.as_jid()) {
            effects.extend(self.show_occupants(&nick, sender));
            effects.extend(self.welcome(presence, &nick, sender, Entrance::default(), facts));
        }
        Ok(effects)
    }

    /// §7.6: a new nick, told as a departure to it and an arrival under it.
    fn change_nick(
        &mut self,
        presence: &Presence,
        sender: &FullJid,
        wanted: &str,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        let account = sender.bare();
        let own = self.occupants.of_session(sender).map(|it| it.nick.clone());
        let own = own.unwrap_or_else(|| wanted.into());
        let nick = match self.occupants.like(wanted) {
            // Only the spelling is new: there is nobody to conflict with.
            Some(holder) if holder.nick == own => nick::prepare(wanted, facts.settings)?,
            _ => self.check_nick(wanted, &account, facts)?,
        };
        if nick == own {
            return Ok(self.update_presence(sender, presence));
        }
        let mut effects = self.tell_renaming(&own, &nick, sender);
        let role = self.role_of(sender.as_jid());
        self.occupants.take(sender);
        self.refresh(&own);
        let is_arrival = self.occupants.get(&nick).is_none();
        self.put(&nick, sender, presence, facts);
        if is_arrival && let Some(occupant) = self.occupants.get_mut(&nick) {
            occupant.role = role;
            self.refresh(&nick);
        }
        effects.extend(self.announce_to_others(&own, News::default()));
        let news = News {
            own_codes: if *nick == *wanted { &[] } else { &[210] },
            ..News::default()
        };
        effects.extend(self.announce(&nick, news));
        effects.push(self.remember(sender));
        Ok(effects)
    }

    /// The departure half. When other sessions stay under the old nick, nobody departs but for
    /// the session itself.
    fn tell_renaming(&self, old: &Nick, new: &Nick, sender: &FullJid) -> Vec<RoomEffect> {
        let Some(occupant) = self.occupants.get(old) else {
            return Vec::new();
        };
        let forms = [true, false].map(|knows| {
            let item = Item {
                nick: Some(new),
                jid: knows.then_some(sender.as_jid()),
                ..self.item(occupant)
            };
            (
                item,
                [
                    user_element(item, &[303]),
                    occupant_id::element(&occupant.id),
                ],
            )
        });
        let is_alone = occupant.sessions.len() == 1;
        let mut effects = Vec::new();
        if is_alone && self.is_shown(occupant.role) {
            let payloads = forms
                .clone()
                .map(|(_, payloads)| payloads.into_iter().collect());
            effects.extend(self.tell_others(old, PresenceKind::Unavailable, &payloads));
        }
        let own = user_element(forms[0].0, &[110, 303]);
        let own = [own, occupant_id::element(&occupant.id)];
        let own = own.into_iter().collect();
        let mut own = self.presence_from(old, PresenceKind::Unavailable, own);
        own.head.to = Some(sender.into());
        effects.push(RoomEffect::Send(own.into()));
        effects
    }
}
