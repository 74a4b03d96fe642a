//! A room's occupants come back: what sessions remember of a room becomes its occupants again
//! after its actor died or moved, and nobody notices.
//!
//! When two nodes had the room, each with occupants of its own, one nick may be held twice
//! (row M05). Who came later, or else has the higher address, leaves with status 333; all
//! nodes come to the same end whatever the order in which they hear of it.

use super::affiliation::Affiliation;
use super::effect::{Occupancy, RoomEffect};
use super::facts::RoomFacts;
use super::leave::Farewell;
use super::nick::Nick;
use super::occupant::Session;
use super::presence::News;
use super::role::Role;
use super::room::Room;
use crate::jid::{BareJid, FullJid};
use crate::stanza::{Presence, PresenceKind};
use crate::time::Timestamp;
use crate::xml::{Element, Payloads};

impl Room {
    /// What a session is to remember of the room; `None`: nothing, it is not inside.
    pub fn occupancy(&self, session: &FullJid) -> Option<Occupancy> {
        let occupant = self.occupants.of_session(session)?;
        let known = occupant.session(session)?;
        let presence = Presence {
            payloads: known.presence.clone(),
            ..Presence::default()
        };
        Some(Occupancy {
            room: self.jid.clone(),
            nick: (*occupant.nick).into(),
            role: occupant.role,
            joined: known.joined,
            presence: Box::new(presence),
        })
    }

    /// A session says that it is inside. It comes from the session's record and never from a
    /// client. Nobody is told of somebody whom all have seen before: `is_news` says that
    /// the session was inside the other half of the room during a split; it is then shown who
    /// else is there.
    pub fn rejoin(
        &mut self,
        session: &FullJid,
        occupancy: &Occupancy,
        is_news: bool,
        facts: &RoomFacts<'_>,
    ) -> Vec<RoomEffect> {
        let account = session.bare();
        let affiliation = self.record.affiliation(&account);
        let is_barred = affiliation == Affiliation::Outcast
            || self.record.config.members_only && affiliation == Affiliation::None;
        if is_barred {
            return self.lose(session, occupancy, &account);
        }
        let mut effects = Vec::new();
        if let Some(holder) = self.occupants.like(&occupancy.nick)
            && holder.account != account
        {
            let nick = holder.nick.clone();
            let first = holder
                .jids()
                .min()
                .map(|jid| (holder.joined(), jid.clone()));
            if first <= Some((occupancy.joined, session.clone())) {
                return self.lose(session, occupancy, &account);
            }
            effects.extend(self.fault(&nick));
        }
        let nick: Nick = match self.occupants.like(&occupancy.nick) {
            Some(holder) => holder.nick.clone(),
            None => (*occupancy.nick).into(),
        };
        // A hint that is late speaks of a nick the session has no more.
        if let Some(known) = self.nick_of(session.as_jid())
            && known != nick
        {
            return effects;
        }
        self.put(&nick, session, &occupancy.presence, facts);
        self.restore(&nick, session, occupancy, affiliation);
        if is_news {
            effects.extend(self.show_occupants(&nick, session));
            effects.extend(self.announce_to_others(&nick, News::default()));
        }
        effects
    }

    /// The role and the time it had, which entering anew would not give.
    fn restore(
        &mut self,
        nick: &Nick,
        session: &FullJid,
        occupancy: &Occupancy,
        affiliation: Affiliation,
    ) {
        let entry = Role::on_entry(affiliation, self.record.config.moderated);
        let role = match affiliation.manages() {
            true => Role::Moderator,
            false if occupancy.role == Role::None => entry,
            false => occupancy.role,
        };
        if let Some(occupant) = self.occupants.get_mut(nick) {
            occupant.role = role;
            let known = occupant.session(session).cloned();
            if let Some(known) = known {
                occupant.put(Session {
                    joined: occupancy.joined,
                    ..known
                });
            }
        }
        self.refresh(nick);
    }

    /// An occupant goes because of a fault of the service.
    fn fault(&mut self, nick: &str) -> Vec<RoomEffect> {
        let affiliation = self.occupants.get(nick);
        let affiliation = affiliation.map(|it| self.record.affiliation(&it.account));
        let farewell = Farewell {
            codes: &[333],
            affiliation: affiliation.unwrap_or_default(),
            ..Farewell::default()
        };
        self.turn_out(nick, &farewell).in_order()
    }

    /// A session that believes to be inside is told that it no longer is.
    fn lose(&self, session: &FullJid, occupancy: &Occupancy, account: &BareJid) -> Vec<RoomEffect> {
        let item = super::presence::Item {
            affiliation: self.record.affiliation(account),
            role: Role::None,
            ..Default::default()
        };
        let x: Element = super::presence::user_element(item, &[110, 333]);
        let payloads: Payloads = [x].into_iter().collect();
        let mut presence = self.presence_from(&occupancy.nick, PresenceKind::Unavailable, payloads);
        presence.head.to = Some(session.into());
        vec![
            RoomEffect::Send(presence.into()),
            RoomEffect::Forget(session.clone(), occupancy.joined),
        ]
    }

    /// When the earliest of a nick's sessions came in.
    pub fn joined(&self, nick: &str) -> Option<Timestamp> {
        Some(self.occupants.get(nick)?.joined())
    }
}

#[cfg(test)]
mod tests;
