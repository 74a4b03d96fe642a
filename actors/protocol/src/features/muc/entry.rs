//! Entering a room: XEP-0045 §7.2.
//!
//! The order of what somebody gets who enters is fixed (§7.1): who is there, themselves, what
//! was said, what it is about, then what is being said.

use super::NS;
use super::affiliation::Affiliation;
use super::effect::{Load, RoomEffect, RoomQuery};
use super::facts::RoomFacts;
use super::nick::{self, Nick};
use super::occupant::{Occupant, Session};
use super::occupant_id::occupant_id;
use super::presence::{Item, News, form_of, is_join, user_element};
use super::role::Role;
use super::room::{Room, trace};
use super::{history, sanitize};
use crate::jid::{BareJid, FullJid};
use crate::stanza::{ErrorKind, Presence, PresenceKind, Stanza, StanzaError};
use crate::xml::Payloads;

/// Stanzas for one session; nothing if there are none.
pub(super) fn show(session: &FullJid, stanzas: Vec<Stanza>) -> Vec<RoomEffect> {
    match stanzas.is_empty() {
        true => Vec::new(),
        false => vec![RoomEffect::Show(session.clone(), stanzas)],
    }
}

/// Why somebody's own presence has more to say than that it is theirs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entrance {
    pub(super) is_new_room: bool,
    pub(super) is_nick_changed: bool,
}

impl Room {
    pub(super) fn decide_presence(
        &mut self,
        presence: &Presence,
        sender: &FullJid,
        facts: &RoomFacts<'_>,
    ) -> Vec<RoomEffect> {
        // §17.3: available presence enters, unavailable leaves, and nothing else does.
        match presence.kind {
            PresenceKind::Available => {}
            PresenceKind::Unavailable => return self.leave(sender, presence),
            PresenceKind::Error => return self.bounced(sender, &presence.payloads),
            _ => return trace("presence that means nothing to a room"),
        }
        let stanza = Stanza::Presence(presence.clone());
        let nick = presence.head.to.as_ref().and_then(|to| to.resource());
        let Some(wanted) = nick else {
            // §7.2.1: no nick.
            return self.refuse(&stanza, StanzaError::jid_malformed());
        };
        let is_inside = self.occupants.of_session(sender).is_some();
        let decided = match (is_inside, is_join(presence)) {
            (false, false) => return self.turn_away(presence, wanted),
            (false, true) => self.enter(presence, sender, wanted, false, facts),
            (true, is_join) => self.enter_again(presence, sender, wanted, is_join, facts),
        };
        decided.unwrap_or_else(|error| self.refuse(&stanza, error))
    }

    /// §7.2.17: a client that believes itself inside is told that it is not.
    fn turn_away(&self, presence: &Presence, wanted: &str) -> Vec<RoomEffect> {
        let Ok(nick) = self.jid.with_resource(wanted) else {
            return trace("not a nick");
        };
        let item = Item {
            affiliation: Affiliation::None,
            role: Role::None,
            reason: Some("You are not in the room."),
            ..Item::default()
        };
        let payloads: Payloads = [user_element(item, &[110, 307, 333])].into_iter().collect();
        let mut kick = self.presence_from(nick.resource(), PresenceKind::Unavailable, payloads);
        kick.head.to = presence.head.from.clone();
        vec![RoomEffect::Send(kick.into())]
    }

    /// Lets somebody in, or says why not (§7.2.16).
    pub(super) fn enter(
        &mut self,
        presence: &Presence,
        sender: &FullJid,
        wanted: &str,
        is_new_room: bool,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        let account = sender.bare();
        self.check_door(presence, &account)?;
        let nick = self.check_nick(wanted, &account, facts)?;
        self.check_space(&nick, &account, facts)?;
        let entrance = Entrance {
            is_new_room,
            is_nick_changed: *nick != *wanted,
        };
        self.put(&nick, sender, presence, facts);
        let mut effects = self.show_occupants(&nick, sender);
        effects.extend(self.show_entrance(&nick, sender));
        effects.extend(self.welcome(presence, &nick, sender, entrance, facts));
        Ok(effects)
    }

    /// Whether somebody may come in at all (§7.2.5 to §7.2.7).
    fn check_door(&self, presence: &Presence, account: &BareJid) -> Result<(), StanzaError> {
        let affiliation = self.record.affiliation(account);
        if affiliation == Affiliation::Outcast {
            return Err(StanzaError::forbidden());
        }
        if self.record.config.members_only && affiliation == Affiliation::None {
            return Err(StanzaError::registration_required());
        }
        // Owners can read the password in the form; to ask them for it protects nothing.
        if let Some(password) = &self.record.config.password
            && affiliation != Affiliation::Owner
            && !is_same_secret(&password_of(presence).unwrap_or_default(), password)
        {
            return Err(StanzaError::not_authorized());
        }
        Ok(())
    }

    /// The nick somebody gets (§7.2.8): nobody else's, in whatever spelling, there or reserved.
    pub(super) fn check_nick(
        &self,
        wanted: &str,
        account: &BareJid,
        facts: &RoomFacts<'_>,
    ) -> Result<Nick, StanzaError> {
        let nick = nick::prepare(wanted, facts.settings)?;
        if let Some(holder) = self.occupants.like(&nick) {
            return match holder.account == *account {
                // One account's sessions share a nick, in the spelling it already has.
                true => Ok(holder.nick.clone()),
                false => Err(StanzaError::conflict()),
            };
        }
        match self.is_reserved(&nick, account) {
            true => Err(StanzaError::conflict()),
            false => Ok(nick),
        }
    }

    /// Whether a nick is reserved for somebody else (§7.10).
    pub(super) fn is_reserved(&self, nick: &str, account: &BareJid) -> bool {
        let keys = nick::keys(nick);
        let mut others = self.record.affiliations.iter();
        others.any(|(jid, affiliate)| {
            let reserved = affiliate.nick.as_deref();
            jid != account && reserved.is_some_and(|reserved| nick::have_common(&keys, reserved))
        })
    }

    /// §7.2.9: whether there is room. Admins and owners get in a little longer, so that nobody
    /// can shut them out by filling it.
    fn check_space(
        &self,
        nick: &Nick,
        account: &BareJid,
        facts: &RoomFacts<'_>,
    ) -> Result<(), StanzaError> {
        let settings = facts.settings;
        let full = || StanzaError::service_unavailable().with_kind(ErrorKind::Wait);
        let sharing = self.occupants.get(nick);
        if sharing.is_some_and(|it| it.sessions.len() >= settings.sessions_per_nick_max) {
            let error = StanzaError::resource_constraint();
            return Err(error.with_text("too many sessions under this nick"));
        }
        let reserve = match self.record.affiliation(account).manages() {
            true => settings.occupants_reserve,
            false => 0,
        };
        let most = self.record.config.occupants_max;
        let most = most.map_or(settings.occupants_max, |most| most as usize);
        let is_full = sharing.is_none() && self.occupants.len() >= most + reserve;
        let is_stuffed = self.occupants.sessions() >= settings.occupants_max + reserve;
        match is_full || is_stuffed {
            true => Err(full()),
            false => Ok(()),
        }
    }

    /// Puts a session into the room.
    pub(super) fn put(
        &mut self,
        nick: &Nick,
        sender: &FullJid,
        presence: &Presence,
        facts: &RoomFacts<'_>,
    ) {
        let account = sender.bare();
        let affiliation = self.record.affiliation(&account);
        let role = self.roles.get(&account).copied();
        let entry = Role::on_entry(affiliation, self.record.config.moderated);
        let session = Session {
            jid: sender.clone(),
            presence: sanitize::presence(&presence.payloads),
            priority: presence.priority(),
            joined: facts.now,
        };
        let occupant = Occupant {
            nick: nick.clone(),
            id: occupant_id(&self.record.secret, &account),
            account,
            role: role.unwrap_or(entry),
            sessions: vec![session.clone()],
            shown: Default::default(),
        };
        self.occupants.put(occupant, session);
        self.refresh(nick);
    }

    /// §7.2.2: who is already there, each in the form the new one may see.
    pub(super) fn show_occupants(&self, own: &Nick, sender: &FullJid) -> Vec<RoomEffect> {
        let role = self.role_of(sender.as_jid());
        let form = form_of(self.may_know(role));
        let others = self.occupants.iter().filter(|other| other.nick != *own);
        let shown = others.filter(|other| self.is_shown(other.role));
        let send = |other: &Occupant| {
            let payloads = other.shown[form].clone();
            let mut presence = self.presence_from(&other.nick, PresenceKind::Available, payloads);
            presence.head.to = Some(sender.into());
            presence.into()
        };
        show(sender, shown.map(send).collect())
    }

    /// §7.2.2: the new one for everybody else. Another session of somebody who is there is
    /// seen only if it speaks for them now.
    fn show_entrance(&self, nick: &Nick, sender: &FullJid) -> Vec<RoomEffect> {
        let occupant = self.occupants.get(nick);
        match occupant.is_some_and(|it| it.speaker().jid == *sender) {
            true => self.announce_to_others(nick, News::default()),
            false => Vec::new(),
        }
    }

    /// §7.2.2 and on: themselves, history, subject.
    pub(super) fn welcome(
        &self,
        presence: &Presence,
        nick: &Nick,
        sender: &FullJid,
        entrance: Entrance,
        facts: &RoomFacts<'_>,
    ) -> Vec<RoomEffect> {
        let Some(occupant) = self.occupants.get(nick) else {
            return Vec::new();
        };
        let is_kept = self.record.config.archived && facts.archive;
        let codes = [
            (100, self.record.config.non_anonymous),
            (170, is_kept),
            (201, entrance.is_new_room),
            (210, entrance.is_nick_changed),
        ];
        let codes: Vec<u16> = codes
            .iter()
            .filter(|(_, is)| *is)
            .map(|(code, _)| *code)
            .collect();
        let news = News {
            own_codes: &codes,
            ..News::default()
        };
        let payloads = self.own_payloads(occupant, news);
        let mut own = self.presence_from(nick, PresenceKind::Available, payloads);
        own.head.to = Some(sender.into());
        // §7.2.2: the client knows its own presence by the id it gave it.
        own.head.id = presence.head.id.clone();
        let mut effects = vec![RoomEffect::Send(own.into()), self.remember(sender)];
        match is_kept {
            true => effects.push(RoomEffect::Load(Box::new(Load {
                origin: presence.clone().into(),
                query: RoomQuery::History(history::query(
                    presence,
                    sender,
                    &self.record.config,
                    facts,
                )),
            }))),
            false => effects.extend(self.send_subject(sender)),
        }
        effects
    }
}

/// §7.2.5: the password somebody gives, in clear.
fn password_of(presence: &Presence) -> Option<String> {
    let x = presence.payloads.element("x", NS)?;
    let password = x.find("password", NS)?;
    Some(password.text_content())
}

/// Compared in constant time: a room's password is guessed over the network.
fn is_same_secret(given: &str, wanted: &str) -> bool {
    use subtle::ConstantTimeEq as _;
    given.as_bytes().ct_eq(wanted.as_bytes()).into()
}

#[cfg(test)]
mod tests;
