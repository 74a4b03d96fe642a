//! What a room tells when somebody's affiliation has changed: XEP-0045 §9.1 to §9.5, §10.3 to
//! §10.8; also when it was changed through another node.

use super::NS_USER;
use super::affiliation::{Affiliation, AffiliationChange};
use super::effect::RoomEffect;
use super::facts::RoomFacts;
use super::leave::Farewell;
use super::nick::Nick;
use super::post::Post;
use super::presence::{Item, broadcast, status, user_element};
use super::record::RoomRecord;
use super::role::Role;
use super::room::{Room, answer};
use crate::jid::{BareJid, FullJid};
use crate::stanza::{IqKind, MessageKind, Stanza};
use crate::xml::Element;

impl Room {
    /// Affiliations are saved: the one who asked is told, then those concerned, then all.
    pub(super) fn tell_affiliations(
        &mut self,
        origin: &Stanza,
        changes: &[AffiliationChange],
        facts: &RoomFacts<'_>,
    ) -> Vec<RoomEffect> {
        let mut effects = answered(origin);
        let actor = origin.from().cloned();
        let nick = actor.as_ref().and_then(|actor| self.nick_of(actor));
        for change in changes {
            effects.extend(self.tell_change(change, nick.as_deref(), origin, facts));
        }
        effects.extend(self.end_if_empty());
        effects
    }

    /// A change of somebody's affiliation, to those inside and to whoever it is about.
    pub(super) fn tell_change(
        &mut self,
        change: &AffiliationChange,
        actor: Option<&str>,
        origin: &Stanza,
        facts: &RoomFacts<'_>,
    ) -> Vec<RoomEffect> {
        // Who is put out by it hears of it in the room.
        let is_elsewhere = self.concerned(&change.jid).is_empty();
        let mut effects = self.carry_out(change, actor);
        if is_elsewhere {
            effects.extend(self.send_word(change, origin, facts));
        }
        effects
    }

    /// What a change means to those who are inside.
    pub(super) fn carry_out(
        &mut self,
        change: &AffiliationChange,
        actor: Option<&str>,
    ) -> Vec<RoomEffect> {
        self.roles.remove(&change.jid);
        let mut effects = Vec::new();
        let concerned = self.concerned(&change.jid);
        if concerned.is_empty() {
            effects.extend(self.tell_of_absent(change));
        }
        for nick in concerned {
            effects.extend(self.carry_out_for(&nick, change, actor));
        }
        effects
    }

    /// The occupants whose affiliation this address decides (§9.2).
    fn concerned(&self, jid: &BareJid) -> Vec<Nick> {
        if jid.localpart().is_some() {
            let occupants = self.occupants.of_account(jid);
            return occupants.map(|it| it.nick.clone()).collect();
        }
        let is_concerned = |account: &BareJid| {
            account.domain() == jid.as_str() && !self.record.affiliations.contains_key(account)
        };
        let occupants = self.occupants.iter().filter(|it| is_concerned(&it.account));
        occupants.map(|it| it.nick.clone()).collect()
    }

    fn carry_out_for(
        &mut self,
        nick: &str,
        change: &AffiliationChange,
        actor: Option<&str>,
    ) -> Vec<RoomEffect> {
        let Some(occupant) = self.occupants.get(nick) else {
            return Vec::new();
        };
        let after = self.record.affiliation(&occupant.account);
        let reason = change.after.reason.as_deref();
        // §9.1: the banned are put out, §9.4: so are those who no longer may be inside. They
        // are told so, and not first that they lost their affiliation.
        let code = match after {
            Affiliation::Outcast => Some(301),
            Affiliation::None if self.record.config.members_only => Some(321),
            _ => None,
        };
        if let Some(code) = code {
            let farewell = Farewell {
                codes: &[code],
                affiliation: after,
                actor,
                reason,
                ..Farewell::default()
            };
            return self.turn_out(nick, &farewell).in_order();
        }
        let moderated = self.record.config.moderated;
        let role = occupant.role.after_change(change.before, after, moderated);
        if change.before == after && role == occupant.role {
            return Vec::new();
        }
        self.give_role(nick, role, reason)
    }

    /// §10.3: admins and owners change also while they are elsewhere. Those who may know
    /// addresses hear of it.
    fn tell_of_absent(&self, change: &AffiliationChange) -> Vec<RoomEffect> {
        let after = change.after.affiliation;
        if change.before == after || !change.before.manages() && !after.manages() {
            return Vec::new();
        }
        let jid = change.jid.as_jid();
        let item = Item {
            affiliation: after,
            role: Role::None,
            jid: Some(jid),
            reason: change.after.reason.as_deref(),
            ..Item::default()
        };
        let message = self.message_from_room(MessageKind::Normal, user_element(item, &[]));
        let knowing = self.occupants.iter().filter(|it| self.may_know(it.role));
        let to: Vec<FullJid> = knowing.flat_map(|it| it.jids().cloned()).collect();
        broadcast(message.into(), to)
    }

    /// Who was elsewhere hears of it themselves: new members of a room that others cannot
    /// enter are invited (§9.5), others get status 101 (§18.1, rule 2).
    fn send_word(
        &self,
        change: &AffiliationChange,
        origin: &Stanza,
        facts: &RoomFacts<'_>,
    ) -> Vec<RoomEffect> {
        let by = origin.from().map(|from| from.bare());
        let after = change.after.affiliation;
        let is_person = change.jid.localpart().is_some();
        if !is_person || change.before == after || after == Affiliation::Outcast {
            return Vec::new();
        }
        if Some(&change.jid) == by.as_ref() {
            return Vec::new();
        }
        let to = change.jid.clone().into();
        let config = &self.record.config;
        if config.members_only
            && change.before < Affiliation::Member
            && after >= Affiliation::Member
        {
            let reason = change.after.reason.as_deref();
            let x = self.invitation(by.as_ref(), reason, None);
            let sender = origin
                .from()
                .cloned()
                .unwrap_or_else(|| self.jid.clone().into());
            let letters = vec![self.letter_of(to, None, x)];
            let post = Post::invitations(origin.clone(), sender, letters, facts.archive);
            return vec![RoomEffect::Post(Box::new(post))];
        }
        let item = Item {
            affiliation: after,
            role: Role::None,
            ..Item::default()
        };
        vec![self.send_from_room(to, None, user_element(item, &[101]))]
    }

    /// Another node has changed the record: what is different is told as if it were done here.
    /// Then the stanza that met the stale version is decided again.
    pub fn reloaded(&mut self, record: RoomRecord, facts: &RoomFacts<'_>) -> Vec<RoomEffect> {
        let before = std::mem::replace(&mut self.record, record);
        self.locked_since = None;
        let mut effects = self.tell_differences(&before.config, facts);
        for change in differences(&before, &self.record) {
            effects.extend(self.carry_out(&change, None));
        }
        self.refresh_all();
        effects
    }
}

/// What has become of everybody's affiliation.
fn differences(before: &RoomRecord, after: &RoomRecord) -> Vec<AffiliationChange> {
    let jids: std::collections::BTreeSet<&BareJid> = before
        .affiliations
        .keys()
        .chain(after.affiliations.keys())
        .collect();
    let change = |jid: &BareJid| {
        let old = before.affiliations.get(jid);
        let new = after.affiliations.get(jid).cloned().unwrap_or_default();
        let old = old.map_or(Affiliation::None, |old| old.affiliation);
        (old != new.affiliation).then(|| AffiliationChange {
            jid: jid.clone(),
            before: old,
            after: new,
        })
    };
    jids.into_iter().filter_map(change).collect()
}

/// The answer to a request; messages get none.
pub(super) fn answered(origin: &Stanza) -> Vec<RoomEffect> {
    match origin {
        Stanza::Iq(iq) if matches!(iq.kind, IqKind::Get | IqKind::Set) => vec![answer(iq, None)],
        _ => Vec::new(),
    }
}

/// A status code alone, as the room says it.
pub(super) fn code_element(code: u16) -> Element {
    Element::new("x", NS_USER).child(status(code))
}
