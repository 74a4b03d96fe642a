//! Asking for voice, and giving it: XEP-0045 §7.13 and §8.6.

use super::effect::RoomEffect;
use super::form::{read_switch, value_field};
use super::presence::broadcast;
use super::role::{self, Role, RoleChange};
use super::room::Room;
use crate::features::data_forms::{self, Submitted};
use crate::jid::{FullJid, Jid};
use crate::stanza::{MessageKind, StanzaError};
use crate::xml::Element;

/// The form's purpose (XEP-0068).
pub(super) const NS_REQUEST: &str = "http://jabber.org/protocol/muc#request";

impl Room {
    /// A form about voice: of a visitor who asks, or of a moderator who answers.
    pub(super) fn decide_voice(
        &mut self,
        form: &Submitted,
        sender: &Jid,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        match form.names().any(|name| name == "muc#request_allow") {
            true => self.answer_voice(form, sender),
            false => self.ask_for_voice(form, sender),
        }
    }

    /// §7.13: the moderators are asked.
    fn ask_for_voice(
        &self,
        form: &Submitted,
        sender: &Jid,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        let session = sender.to_full();
        let occupant = session.and_then(|session| self.occupants.of_session(&session));
        let occupant = occupant.ok_or_else(StanzaError::not_acceptable)?;
        if form.value("muc#role") != Some(Role::Participant.as_str()) {
            return Err(StanzaError::bad_request());
        }
        if occupant.role != Role::Visitor {
            return Err(StanzaError::not_acceptable().with_text("you have voice"));
        }
        let form = approval(sender, &occupant.nick);
        let message = self.message_from_room(MessageKind::Normal, form);
        let moderators = self
            .occupants
            .iter()
            .filter(|it| it.role == Role::Moderator);
        let to: Vec<FullJid> = moderators.flat_map(|it| it.jids().cloned()).collect();
        if to.is_empty() {
            return Err(StanzaError::recipient_unavailable().with_text("no moderator is here"));
        }
        Ok(broadcast(message.into(), to))
    }

    /// §8.6: a moderator answers. The nick must still be the one who asked.
    fn answer_voice(
        &mut self,
        form: &Submitted,
        sender: &Jid,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        let own_role = self.role_of(sender);
        if own_role != Role::Moderator {
            return Err(StanzaError::forbidden());
        }
        if read_switch(form, "muc#request_allow")? != Some(true) {
            return Ok(super::room::trace("voice is not granted"));
        }
        let nick = form
            .value("muc#roomnick")
            .ok_or_else(StanzaError::bad_request)?;
        let asked = form
            .value("muc#jid")
            .and_then(|jid| FullJid::parse(jid).ok());
        let occupant = self.occupants.get(nick);
        let occupant = occupant.filter(|it| asked.is_none_or(|jid| it.session(&jid).is_some()));
        let occupant = occupant.ok_or_else(StanzaError::item_not_found)?;
        if occupant.role != Role::Visitor {
            return Ok(super::room::trace("they have voice"));
        }
        role::check_change(RoleChange {
            own_role,
            own: self.record.affiliation(&sender.bare()),
            target: self.record.affiliation(&occupant.account),
            before: occupant.role,
            after: Role::Participant,
        })?;
        let nick = occupant.nick.clone();
        Ok(self.give_role(&nick, Role::Participant, None))
    }
}

/// §8.6: what moderators fill in.
fn approval(jid: &Jid, nick: &str) -> Element {
    data_forms::form(NS_REQUEST)
        .child(Element::new("title", data_forms::NS).text("Voice request"))
        .child(value_field(
            "muc#role",
            "list-single",
            "Requested role",
            ["participant"],
        ))
        .child(value_field(
            "muc#jid",
            "jid-single",
            "User ID",
            [jid.as_str()],
        ))
        .child(value_field(
            "muc#roomnick",
            "text-single",
            "Room Nickname",
            [nick],
        ))
        .child(value_field(
            "muc#request_allow",
            "boolean",
            "Grant voice to this person?",
            ["false"],
        ))
}

#[cfg(test)]
mod tests;
