//! Lists of roles and affiliations, read and changed: `muc#admin`, XEP-0045 §8.2 to §8.5,
//! §9.1 to §9.8, §10.3 to §10.8.
//!
//! A request for changes is carried out as a whole or not at all.

use super::NS_ADMIN;
use super::affiliation::{self, Affiliate, Affiliation, AffiliationChange};
use super::effect::{RoomEffect, Save, Then};
use super::facts::RoomFacts;
use super::message::reason_of;
use super::nick;
use super::occupant::Occupant;
use super::record::RoomChange;
use super::role::Role;
use super::room::{Room, answer};
use crate::jid::{BareJid, Jid};
use crate::stanza::{Iq, StanzaError};
use crate::xml::Element;

impl Room {
    /// Answers who has a role or an affiliation.
    pub(super) fn answer_list(
        &self,
        iq: &Iq,
        by: &BareJid,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        let query = iq.payloads.element("query", NS_ADMIN);
        let query = query.ok_or_else(StanzaError::bad_request)?;
        let item = query.find("item", NS_ADMIN);
        let item = item.ok_or_else(StanzaError::bad_request)?;
        let items = match (item.get("affiliation"), item.get("role")) {
            (Some(affiliation), None) => {
                let affiliation = Affiliation::parse(affiliation);
                let affiliation = affiliation.ok_or_else(StanzaError::bad_request)?;
                self.check_may_list(affiliation, by, facts)?;
                self.affiliation_items(affiliation)
            }
            (None, Some(role)) => {
                let role = Role::parse(role).ok_or_else(StanzaError::bad_request)?;
                self.check_may_list_roles(role, by, facts)?;
                self.role_items(role)
            }
            _ => return Err(StanzaError::bad_request()),
        };
        let answered = Element::new("query", NS_ADMIN).children_from(items);
        Ok(vec![answer(iq, Some(answered))])
    }

    /// Row M02: the one gate in front of every list of affiliations.
    pub(super) fn check_may_list(
        &self,
        affiliation: Affiliation,
        by: &BareJid,
        facts: &RoomFacts<'_>,
    ) -> Result<(), StanzaError> {
        let own = self.standing(by, facts);
        let config = &self.record.config;
        let belongs =
            own >= Affiliation::Member || config.member_list.contains(&self.role_of_account(by));
        let may = match affiliation {
            // §9.2: whom a room has banned is its managers' business.
            Affiliation::Outcast | Affiliation::None => own.manages(),
            // §9.5: where addresses are no secret, those who belong to it may read them.
            Affiliation::Member => own.manages() || config.non_anonymous && belongs,
            // §10.5, §10.8.
            Affiliation::Admin | Affiliation::Owner => {
                own == Affiliation::Owner || config.non_anonymous && belongs
            }
        };
        let may = may && own != Affiliation::Outcast;
        may.then_some(()).ok_or_else(StanzaError::forbidden)
    }

    /// §8.5: moderators read who has voice; §9.8: admins read who moderates.
    fn check_may_list_roles(
        &self,
        role: Role,
        by: &BareJid,
        facts: &RoomFacts<'_>,
    ) -> Result<(), StanzaError> {
        let is_admin = self.standing(by, facts).manages();
        let may = match role {
            Role::None => return Err(StanzaError::bad_request()),
            Role::Moderator => is_admin,
            _ => is_admin || self.role_of_account(by) == Role::Moderator,
        };
        may.then_some(()).ok_or_else(StanzaError::forbidden)
    }

    /// §17.4 rule 6: without roles; a nick is the reserved one.
    fn affiliation_items(&self, affiliation: Affiliation) -> Vec<Element> {
        let item = |(jid, affiliate): (&BareJid, &Affiliate)| {
            let item = Element::new("item", NS_ADMIN)
                .attr("affiliation", affiliation.as_str())
                .attr("jid", jid.as_str())
                .attr_opt("nick", affiliate.nick.as_deref());
            let reason = affiliate.reason.as_deref();
            item.children_from(reason.map(|text| Element::new("reason", NS_ADMIN).text(text)))
        };
        self.record.affiliates(affiliation).map(item).collect()
    }

    /// §17.4 rule 5: nick, role, affiliation and the full address. Whoever may read this list
    /// is a moderator, who may know addresses.
    fn role_items(&self, role: Role) -> Vec<Element> {
        let item = |occupant: &Occupant| {
            Element::new("item", NS_ADMIN)
                .attr(
                    "affiliation",
                    self.record.affiliation(&occupant.account).as_str(),
                )
                .attr("jid", occupant.speaker().jid.as_str())
                .attr("nick", &*occupant.nick)
                .attr("role", role.as_str())
        };
        let having = self.occupants.iter().filter(|it| it.role == role);
        having.map(item).collect()
    }

    /// Changes roles at once, or asks to have affiliations saved.
    pub(super) fn change_list(
        &mut self,
        iq: &Iq,
        sender: &Jid,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        let query = iq.payloads.element("query", NS_ADMIN);
        let query = query.ok_or_else(StanzaError::bad_request)?;
        let items: Vec<&Element> = query
            .children()
            .filter(|child| child.is("item", NS_ADMIN))
            .collect();
        if items.is_empty() {
            return Err(StanzaError::bad_request());
        }
        if items.len() > facts.settings.items_max {
            return Err(StanzaError::policy_violation().with_text("too many items"));
        }
        let with = |name| items.iter().filter(|item| item.get(name).is_some()).count();
        // §17.4 rule 4: the one or the other.
        match (with("affiliation"), with("role")) {
            (0, roles) if roles == items.len() => self.change_roles(iq, &items, sender, facts),
            (affiliations, 0) if affiliations == items.len() => {
                self.change_affiliations(iq, &items, sender, facts)
            }
            _ => Err(StanzaError::bad_request()),
        }
    }

    fn change_affiliations(
        &self,
        iq: &Iq,
        items: &[&Element],
        sender: &Jid,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        let by = sender.bare();
        let own = self.standing(&by, facts);
        let mut changes = Vec::with_capacity(items.len());
        for item in items {
            let change = self.read_affiliation(item, facts)?;
            affiliation::check_change(&by, own, &change)?;
            changes.push(change);
        }
        self.check_changes(&changes, facts)?;
        Ok(vec![save_affiliations(iq.clone().into(), changes)])
    }

    /// §10.4: what the changes leave behind must be a room.
    ///
    /// # Errors
    /// `conflict` without an owner, `resource-constraint` with more people than a room
    /// remembers.
    pub(super) fn check_changes(
        &self,
        changes: &[AffiliationChange],
        facts: &RoomFacts<'_>,
    ) -> Result<(), StanzaError> {
        if !changes.is_empty() && !self.record.keeps_an_owner(changes.iter()) {
            return Err(StanzaError::conflict().with_text("a room has an owner"));
        }
        let is_new = |change: &&AffiliationChange| {
            change.after.affiliation != Affiliation::None
                && !self.record.affiliations.contains_key(&change.jid)
        };
        let new = changes.iter().filter(is_new).count();
        let known = self.record.affiliations.len();
        if new > 0 && known + new > facts.settings.affiliations_max {
            let error = StanzaError::resource_constraint();
            return Err(error.with_text("the room remembers no more people"));
        }
        Ok(())
    }

    fn read_affiliation(
        &self,
        item: &Element,
        facts: &RoomFacts<'_>,
    ) -> Result<AffiliationChange, StanzaError> {
        let affiliation = item.get("affiliation").and_then(Affiliation::parse);
        let affiliation = affiliation.ok_or_else(StanzaError::bad_request)?;
        // COMPAT: old clients name an occupant by nick where §17.4 rule 6 wants an address.
        let jid = match (item.get("jid"), item.get("nick")) {
            (Some(jid), _) => {
                let jid = Jid::parse(jid).map_err(|_| StanzaError::jid_malformed())?;
                jid.bare()
            }
            (None, Some(nick)) => {
                let occupant = self.occupants.get(nick);
                let occupant = occupant.ok_or_else(StanzaError::item_not_found)?;
                occupant.account.clone()
            }
            (None, None) => return Err(StanzaError::bad_request()),
        };
        let nick = match item.get("jid").and(item.get("nick")) {
            // §9.5: an empty nick is no longer reserved, a missing one stays.
            Some("") => None,
            Some(wanted) => Some(self.read_reserved(wanted, &jid, facts)?),
            None => self.record.reserved_nick(&jid).map(Into::into),
        };
        Ok(self.affiliation_change(jid, affiliation, nick, reason_of(item, facts)?))
    }

    fn read_reserved(
        &self,
        wanted: &str,
        jid: &BareJid,
        facts: &RoomFacts<'_>,
    ) -> Result<Box<str>, StanzaError> {
        let nick = nick::prepare(wanted, facts.settings)?;
        match self.is_reserved(&nick, jid) {
            true => Err(StanzaError::conflict()),
            false => Ok((*nick).into()),
        }
    }

    /// A change from what is to this.
    pub(super) fn affiliation_change(
        &self,
        jid: BareJid,
        affiliation: Affiliation,
        nick: Option<Box<str>>,
        reason: Option<Box<str>>,
    ) -> AffiliationChange {
        let known = self.record.affiliations.get(&jid);
        AffiliationChange {
            before: known.map_or(Affiliation::None, |known| known.affiliation),
            jid,
            after: Affiliate {
                affiliation,
                // §9.1: who is banned, or nobody in particular, has no nick reserved.
                nick: nick.filter(|_| affiliation >= Affiliation::Member),
                reason,
            },
        }
    }
}

/// Has affiliations saved; then everybody is told.
pub(super) fn save_affiliations(
    origin: crate::stanza::Stanza,
    changes: Vec<AffiliationChange>,
) -> RoomEffect {
    let saved = changes.iter().cloned().map(RoomChange::Affiliation);
    RoomEffect::Save(Box::new(Save {
        origin,
        changes: saved.collect(),
        then: Then::Affiliations(changes),
    }))
}

#[cfg(test)]
mod tests;
