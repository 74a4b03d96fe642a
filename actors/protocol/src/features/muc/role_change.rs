//! Changing roles: kicks, voice, moderators. XEP-0045 §8.2 to §8.5, §9.6 to §9.8.
//!
//! Roles are of the visit, so nothing is saved: the change is made at once and told to all.

use super::effect::RoomEffect;
use super::facts::RoomFacts;
use super::leave::{Departure, Farewell};
use super::message::reason_of;
use super::nick::Nick;
use super::presence::{Item, News, user_element};
use super::role::{self, Role, RoleChange};
use super::room::{ROLES_REMEMBERED_MAX, Room, answer};
use crate::jid::Jid;
use crate::stanza::{Iq, PresenceKind, StanzaError};
use crate::xml::Element;

/// One role to change.
struct NewRole {
    nick: Nick,
    role: Role,
    reason: Option<Box<str>>,
}

impl Room {
    pub(super) fn change_roles(
        &mut self,
        iq: &Iq,
        items: &[&Element],
        sender: &Jid,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        let read = |item: &&Element| self.read_role(item, sender, facts);
        let changes: Vec<NewRole> = items.iter().map(read).collect::<Result<_, _>>()?;
        let actor = self.nick_of(sender);
        let (mut first, mut then) = (Vec::new(), Vec::new());
        for NewRole { nick, role, reason } in changes {
            if role == Role::None {
                let departure = self.kick(&nick, actor.as_deref(), reason.as_deref());
                first.extend(departure.own);
                then.extend(departure.others);
            } else {
                self.remember_role(&nick, role);
                then.extend(self.give_role(&nick, role, reason.as_deref()));
            }
        }
        // §8.2: who is kicked first, then the one who asked, then everybody.
        let mut effects = first;
        effects.push(answer(iq, None));
        effects.extend(then);
        effects.extend(self.end_if_empty());
        Ok(effects)
    }

    fn read_role(
        &self,
        item: &Element,
        sender: &Jid,
        facts: &RoomFacts<'_>,
    ) -> Result<NewRole, StanzaError> {
        let role = item.get("role").and_then(Role::parse);
        let after = role.ok_or_else(StanzaError::bad_request)?;
        let nick = item.get("nick").ok_or_else(StanzaError::bad_request)?;
        let own_role = self
            .role_of(sender)
            .max(self.role_of_account(&sender.bare()));
        let own = self.record.affiliation(&sender.bare());
        // Who is inside is for those to know who may ask at all.
        if own_role != Role::Moderator && !own.manages() {
            return Err(StanzaError::forbidden());
        }
        let occupant = self.occupants.get(nick);
        let occupant = occupant.ok_or_else(StanzaError::item_not_found)?;
        if after == Role::None && occupant.account == sender.bare() {
            // §8.2: a service may refuse that; leaving is done by presence.
            return Err(StanzaError::conflict());
        }
        role::check_change(RoleChange {
            own_role,
            own,
            target: self.record.affiliation(&occupant.account),
            before: occupant.role,
            after,
        })?;
        Ok(NewRole {
            nick: occupant.nick.clone(),
            role: after,
            reason: reason_of(item, facts)?,
        })
    }

    fn kick(&mut self, nick: &str, actor: Option<&str>, reason: Option<&str>) -> Departure {
        let Some(occupant) = self.occupants.get(nick) else {
            return Default::default();
        };
        let farewell = Farewell {
            codes: &[307],
            affiliation: self.record.affiliation(&occupant.account),
            actor,
            reason,
            ..Farewell::default()
        };
        self.turn_out(nick, &farewell)
    }

    /// Gives an occupant a role and tells everybody (§8.3, §8.4, §9.6, §9.7).
    pub(super) fn give_role(
        &mut self,
        nick: &str,
        role: Role,
        reason: Option<&str>,
    ) -> Vec<RoomEffect> {
        let Some(occupant) = self.occupants.get_mut(nick) else {
            return Vec::new();
        };
        let before = occupant.role;
        occupant.role = role;
        self.refresh(nick);
        let news = News {
            reason,
            ..News::default()
        };
        let mut effects = self.hide_if_no_longer_shown(nick, before, role);
        effects.extend(self.announce(nick, news));
        let occupant = self.occupants.get(nick);
        let sessions = occupant.into_iter().flat_map(|it| it.jids().cloned());
        let sessions: Vec<_> = sessions.collect();
        effects.extend(sessions.iter().map(|session| self.remember(session)));
        effects
    }

    /// Where the new role's presence is not shown and the old one's was, the occupant goes
    /// out of sight.
    fn hide_if_no_longer_shown(&self, nick: &str, before: Role, after: Role) -> Vec<RoomEffect> {
        let Some(occupant) = self.occupants.get(nick) else {
            return Vec::new();
        };
        if !self.is_shown(before) || self.is_shown(after) {
            return Vec::new();
        }
        let forms = [true, false].map(|knows| {
            let item = Item {
                role: Role::None,
                jid: knows.then_some(occupant.speaker().jid.as_jid()),
                ..self.item(occupant)
            };
            let x = user_element(item, &[]);
            let id = super::occupant_id::element(&occupant.id);
            [x, id].into_iter().collect()
        });
        self.tell_others(nick, PresenceKind::Unavailable, &forms)
    }

    /// §5.1: what a moderator has said of somebody's voice outlives their visit.
    fn remember_role(&mut self, nick: &str, role: Role) {
        let Some(occupant) = self.occupants.get(nick) else {
            return;
        };
        let account = occupant.account.clone();
        let affiliation = self.record.affiliation(&account);
        if role == Role::on_entry(affiliation, self.record.config.moderated) {
            self.roles.remove(&account);
        } else if self.roles.len() < ROLES_REMEMBERED_MAX && role != Role::Moderator {
            self.roles.insert(account, role);
        }
    }
}
