//! Creating, configuring and destroying rooms: XEP-0045 §10.1, §10.2, §10.9.

use super::NS_OWNER;
use super::affiliation::{self, Affiliation, AffiliationChange};
use super::change::{answered, code_element};
use super::config::Config;
use super::effect::{RoomEffect, Save, Then};
use super::facts::{Creator, RoomFacts};
use super::form::{self, Filled};
use super::leave::Farewell;
use super::message::reason_of;
use super::nick::Nick;
use super::presence::is_join;
use super::record::{RoomChange, RoomRecord};
use super::room::{self, Room, answer, trace};
use crate::features::data_forms;
use crate::features::ping;
use crate::jid::{BareJid, Jid};
use crate::stanza::{ErrorKind, Iq, MessageKind, Presence, PresenceKind, Stanza, StanzaError};
use crate::xml::Element;

/// What a submitted form changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Reconfigured {
    /// How the room was configured.
    pub before: Config,
    /// Who gains or loses admin or owner status by the form's lists.
    pub affiliations: Vec<AffiliationChange>,
}

/// Decides a stanza to a room that is not there, or not yet: all but entering is refused.
pub fn decide_absent(jid: &BareJid, stanza: &Stanza) -> Vec<RoomEffect> {
    let error = match stanza {
        Stanza::Presence(presence) if presence.kind != PresenceKind::Available => {
            return trace("presence to a room that is not there");
        }
        // XEP-0410 §4: whoever pings themselves is not inside.
        Stanza::Iq(iq) if is_self_ping(iq) => {
            StanzaError::not_acceptable().with_kind(ErrorKind::Cancel)
        }
        _ => StanzaError::item_not_found(),
    };
    room::refuse(jid, stanza, &error)
}

fn is_self_ping(iq: &Iq) -> bool {
    let is_ping = iq.payload().is_some_and(|child| child.is("ping", ping::NS));
    is_ping && iq.head.to.as_ref().is_some_and(|to| !to.is_bare())
}

impl Room {
    /// §10.1.1: makes a room for whoever enters it first. `None` and a refusal when they may
    /// not, or when the stanza is no entry.
    pub fn create(
        jid: BareJid,
        stanza: &Stanza,
        creator: Creator,
        facts: &RoomFacts<'_>,
    ) -> (Option<Self>, Vec<RoomEffect>) {
        let Stanza::Presence(presence) = stanza else {
            return (None, decide_absent(&jid, stanza));
        };
        let sender = stanza.from().and_then(Jid::to_full);
        let (Some(sender), PresenceKind::Available) = (sender, presence.kind) else {
            return (None, decide_absent(&jid, stanza));
        };
        let mut record = RoomRecord::new(&sender.bare(), facts.random, facts.now);
        record.config = facts.settings.new_rooms.clone();
        let mut room = Self::open(jid, record);
        // Whoever says nothing of rooms believes to be inside already (§7.2.17).
        if !is_join(presence) {
            return (None, room.decide(stanza, facts));
        }
        let nick = presence.head.to.as_ref().and_then(|to| to.resource());
        let entered = check_creation(creator, facts)
            .and_then(|()| nick.ok_or_else(StanzaError::jid_malformed))
            .and_then(|nick| {
                room.locked_since = Some(facts.now);
                room.enter(presence, &sender, nick, true, facts)
            });
        match entered {
            Ok(effects) => (Some(room), effects),
            Err(error) => (None, room.refuse(stanza, error)),
        }
    }

    /// §10.1.1 step 5: an owner who says nothing has accepted the default configuration.
    pub fn tick(&self, facts: &RoomFacts<'_>) -> Vec<RoomEffect> {
        let is_due = self
            .locked_since
            .is_some_and(|since| facts.now.since(since) >= facts.settings.lock_time());
        match is_due {
            true => vec![self.unlock(
                Stanza::Presence(Presence::default()),
                self.record.config.clone(),
                Vec::new(),
            )],
            false => Vec::new(),
        }
    }

    /// §10.1.3, §10.2: the form with what holds.
    pub(super) fn offer_config(
        &self,
        iq: &Iq,
        by: &BareJid,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        self.check_owner(by, facts)?;
        let form = form::offer(self, facts);
        let query = Element::new("query", NS_OWNER).child(form);
        Ok(vec![answer(iq, Some(query))])
    }

    fn check_owner(&self, by: &BareJid, facts: &RoomFacts<'_>) -> Result<(), StanzaError> {
        let is_owner = self.standing(by, facts) == Affiliation::Owner;
        is_owner.then_some(()).ok_or_else(StanzaError::forbidden)
    }

    /// A form filled in or cancelled, or the end of the room.
    pub(super) fn decide_owner(
        &mut self,
        iq: &Iq,
        sender: &Jid,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        self.check_owner(&sender.bare(), facts)?;
        let query = iq.payloads.element("query", NS_OWNER);
        let query = query.ok_or_else(StanzaError::bad_request)?;
        if let Some(destroy) = query.find("destroy", NS_OWNER) {
            return self.destroy(iq, destroy, facts);
        }
        let form = query.find("x", data_forms::NS);
        let form = form.ok_or_else(StanzaError::bad_request)?;
        match form.get("type") {
            Some("submit") => self.configure(iq, form, sender, facts),
            Some("cancel") => Ok(self.cancel(iq)),
            _ => Err(StanzaError::bad_request()),
        }
    }

    fn configure(
        &self,
        iq: &Iq,
        form: &Element,
        sender: &Jid,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        let Filled {
            config,
            affiliations,
        } = form::read(self, form, facts)?;
        let by = sender.bare();
        for change in &affiliations {
            affiliation::check_change(&by, Affiliation::Owner, change)?;
        }
        self.check_changes(&affiliations, facts)?;
        let origin = iq.clone().into();
        if self.is_locked() {
            return Ok(vec![self.unlock(origin, config, affiliations)]);
        }
        let mut changes = vec![RoomChange::Config(Box::new(config))];
        changes.extend(affiliations.iter().cloned().map(RoomChange::Affiliation));
        Ok(vec![self.save_config(origin, changes, affiliations)])
    }

    /// §10.1.1 step 6: the room is there for all from now on.
    fn unlock(
        &self,
        origin: Stanza,
        config: Config,
        affiliations: Vec<AffiliationChange>,
    ) -> RoomEffect {
        let mut record = self.record.clone();
        record.config = config;
        for change in &affiliations {
            record.apply(&RoomChange::Affiliation(change.clone()));
        }
        self.save_config(
            origin,
            vec![RoomChange::Create(Box::new(record))],
            affiliations,
        )
    }

    fn save_config(
        &self,
        origin: Stanza,
        changes: Vec<RoomChange>,
        affiliations: Vec<AffiliationChange>,
    ) -> RoomEffect {
        RoomEffect::Save(Box::new(Save {
            origin,
            changes,
            then: Then::Config(Box::new(Reconfigured {
                before: self.record.config.clone(),
                affiliations,
            })),
        }))
    }

    /// §10.1.1 step 6: a room that is not yet there never comes; §10.2: one that is stays.
    fn cancel(&mut self, iq: &Iq) -> Vec<RoomEffect> {
        let mut effects = vec![answer(iq, None)];
        if self.is_locked() {
            effects.extend(self.turn_all_out(Element::new("destroy", super::NS_USER)));
            effects.push(RoomEffect::Vanish);
        }
        effects
    }

    /// A configuration is saved.
    pub(super) fn tell_config(
        &mut self,
        origin: &Stanza,
        reconfigured: &Reconfigured,
        facts: &RoomFacts<'_>,
    ) -> Vec<RoomEffect> {
        let mut effects = answered(origin);
        effects.extend(self.tell_differences(&reconfigured.before, facts));
        for change in &reconfigured.affiliations {
            effects.extend(self.tell_change(change, None, origin, facts));
        }
        effects.extend(self.end_if_empty());
        effects
    }

    /// §10.2: who may no longer be inside goes; §10.2.1: the others are told what is
    /// different.
    pub(super) fn tell_differences(
        &mut self,
        before: &Config,
        facts: &RoomFacts<'_>,
    ) -> Vec<RoomEffect> {
        let now = self.record.config.clone();
        if now == *before {
            return Vec::new();
        }
        self.refresh_all();
        let mut effects = Vec::new();
        if now.members_only && !before.members_only {
            effects.extend(self.turn_strangers_out());
        }
        let is_kept = |config: &Config| config.archived && facts.archive;
        let codes = [
            (170, is_kept(&now) && !is_kept(before)),
            (171, !is_kept(&now) && is_kept(before)),
            (172, now.non_anonymous && !before.non_anonymous),
            (173, !now.non_anonymous && before.non_anonymous),
        ];
        let codes: Vec<u16> = codes
            .iter()
            .filter(|(_, is)| *is)
            .map(|(code, _)| *code)
            .collect();
        match codes.is_empty() {
            true => effects.extend(self.tell_codes(&[104])),
            false => {
                effects.extend(self.tell_codes(&codes));
                if is_more_than_privacy(before, &now) {
                    effects.extend(self.tell_codes(&[104]));
                }
            }
        }
        effects
    }

    fn turn_strangers_out(&mut self) -> Vec<RoomEffect> {
        let strangers = self
            .occupants
            .iter()
            .filter(|it| self.record.affiliation(&it.account) == Affiliation::None);
        let strangers: Vec<Nick> = strangers.map(|it| it.nick.clone()).collect();
        let farewell = Farewell {
            codes: &[322],
            ..Farewell::default()
        };
        let turned = strangers.iter().flat_map(|nick| {
            let departure = self.turn_out(nick, &farewell);
            departure.in_order()
        });
        turned.collect()
    }

    /// §10.9: the end of the room, with the way to another.
    fn destroy(
        &self,
        iq: &Iq,
        destroy: &Element,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        read_destroy(destroy, facts)?;
        Ok(vec![RoomEffect::Save(Box::new(Save {
            origin: iq.clone().into(),
            changes: vec![RoomChange::Destroy],
            then: Then::Destroyed,
        }))])
    }

    pub(super) fn tell_destroyed(&mut self, origin: &Stanza) -> Vec<RoomEffect> {
        let query = origin.payloads().element("query", NS_OWNER);
        let destroy = query.as_ref().and_then(|it| it.find("destroy", NS_OWNER));
        let element = destroy.map_or_else(|| Element::new("destroy", super::NS_USER), as_told);
        let mut effects = self.turn_all_out(element);
        effects.extend(answered(origin));
        effects.push(RoomEffect::Vanish);
        effects
    }

    /// Ends the room in the name of the server: everybody is told why and where to go.
    pub fn destroy_by_operator(&mut self, reason: Option<&str>) -> Vec<RoomEffect> {
        let reason = reason.map(|text| Element::new("reason", super::NS_USER).text(text));
        let element = Element::new("destroy", super::NS_USER).children_from(reason);
        let mut effects = self.turn_all_out(element);
        effects.push(RoomEffect::Vanish);
        effects
    }

    /// §10.9: one presence for each occupant, and not for each pair of them.
    fn turn_all_out(&mut self, destroy: Element) -> Vec<RoomEffect> {
        let nicks: Vec<Nick> = self.occupants.iter().map(|it| it.nick.clone()).collect();
        let farewell = Farewell {
            destroy: Some(destroy),
            ..Farewell::default()
        };
        let out = nicks
            .iter()
            .flat_map(|nick| self.turn_out(nick, &farewell).own);
        out.collect()
    }

    /// What the service calls a room that has no name.
    pub(super) fn title(&self) -> &str {
        self.record.config.title(&self.jid)
    }

    /// The room's vCard changed (XEP-0486 §4.2).
    pub(super) fn tell_avatar(&mut self, origin: &Stanza) -> Vec<RoomEffect> {
        let message = self.message_from_room(MessageKind::Groupchat, code_element(104));
        let mut effects = answered(origin);
        effects.extend(self.reflect(&message, None));
        effects
    }
}

/// §10.1.1: whether somebody may make a room (row M09).
fn check_creation(creator: Creator, facts: &RoomFacts<'_>) -> Result<(), StanzaError> {
    if creator.is_operator {
        return Ok(());
    }
    if facts.settings.restrict_creation {
        return Err(StanzaError::not_allowed());
    }
    match creator.rooms < facts.settings.rooms_per_account_max {
        true => Ok(()),
        false => Err(StanzaError::resource_constraint().with_text("you have too many rooms")),
    }
}

/// Whether more is different than what the codes for privacy say.
fn is_more_than_privacy(before: &Config, now: &Config) -> bool {
    let same = Config {
        archived: now.archived,
        non_anonymous: now.non_anonymous,
        ..before.clone()
    };
    same != *now
}

fn read_destroy(destroy: &Element, facts: &RoomFacts<'_>) -> Result<(), StanzaError> {
    reason_of(destroy, facts)?;
    let alternate = destroy.get("jid").map(Jid::parse).transpose();
    alternate.map_err(|_| StanzaError::jid_malformed())?;
    let password = destroy
        .find("password", NS_OWNER)
        .map(Element::text_content);
    match password {
        Some(password) if password.len() > facts.settings.text_bytes_max => {
            Err(StanzaError::policy_violation())
        }
        _ => Ok(()),
    }
}

/// What the owner says of the end, as the room says it.
fn as_told(destroy: &Element) -> Element {
    let alternate = destroy.get("jid").and_then(|jid| Jid::parse(jid).ok());
    let element = Element::new("destroy", super::NS_USER);
    let element = element.attr_opt("jid", alternate.as_ref().map(Jid::as_str));
    let told = destroy.children().filter_map(|child| match child.name() {
        "reason" => Some(Element::new("reason", super::NS_USER).text(child.text_content())),
        "password" => Some(Element::new("password", super::NS_USER).text(child.text_content())),
        _ => None,
    });
    element.children_from(told)
}

#[cfg(test)]
mod tests;
