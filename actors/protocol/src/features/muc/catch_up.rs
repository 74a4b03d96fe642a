//! What an occupant may have missed of the others: between nodes presence may be lost, and a
//! room shows it again as it is now (XEP-0045 §7.2.2 who is there, §7.14 who is not).

use super::affiliation::Affiliation;
use super::effect::RoomEffect;
use super::entry::show;
use super::nick::Nick;
use super::presence::{Item, form_of, is_join, user_element};
use super::role::Role;
use super::room::Room;
use crate::jid::FullJid;
use crate::stanza::{PresenceKind, Stanza};
use crate::xml::Payloads;

impl Room {
    /// Shows an occupant who of these is inside, and who is not. Themselves they know.
    pub fn show_again(&self, session: &FullJid, nicks: &[Nick]) -> Vec<RoomEffect> {
        let Some(viewer) = self.occupants.of_session(session) else {
            return Vec::new();
        };
        let form = form_of(self.may_know(viewer.role));
        let others = nicks.iter().filter(|nick| **nick != viewer.nick);
        let stanza = |nick: &Nick| -> Stanza {
            let occupant = self.occupants.get(nick);
            let shown = occupant.filter(|it| self.is_shown(it.role));
            let mut presence = match shown {
                Some(it) => {
                    self.presence_from(nick, PresenceKind::Available, it.shown[form].clone())
                }
                None => self.presence_from(nick, PresenceKind::Unavailable, not_inside()),
            };
            presence.head.to = Some(session.into());
            presence.into()
        };
        show(session, others.map(stanza).collect())
    }

    /// The nick of whoever asks to be let in (§7.2.1) and is inside already: for the others that
    /// is no news, unless they have been told elsewhere that they had left.
    pub fn enters_again(&self, stanza: &Stanza) -> Option<Nick> {
        match stanza {
            Stanza::Presence(presence) if is_join(presence) => {
                self.nick_of(presence.head.from.as_ref()?)
            }
            _ => None,
        }
    }
}

fn not_inside() -> Payloads {
    let item = Item {
        affiliation: Affiliation::None,
        role: Role::None,
        ..Item::default()
    };
    [user_element(item, &[])].into_iter().collect()
}

#[cfg(test)]
mod tests {
    use crate::features::muc::testkit::*;
    use crate::stanza::Stanza;
    use crate::testkit::full;

    #[test]
    fn an_occupant_is_shown_who_is_inside_and_who_is_not() {
        let mut room = room();
        room.enters(HAG, "thirdwitch");
        let nicks = ["thirdwitch", "firstwitch", "nobody"].map(Into::into);
        let effects = room.room().show_again(&full(HAG), &nicks);
        let out = room.does(effects);
        assert_eq!(out.raw.len(), 2, "{:?}", out.raw);
        assert!(
            out.raw
                .iter()
                .any(|it| it.contains("/firstwitch") && !it.contains("unavailable"))
        );
        assert!(
            out.raw
                .iter()
                .any(|it| it.contains("/nobody") && it.contains("unavailable"))
        );
    }

    #[test]
    fn whoever_asks_to_be_let_in_where_they_are_enters_again() {
        let mut room = room();
        room.enters(HAG, "thirdwitch");
        let to = room.room().jid();
        let presence = |payload: &str| {
            let head = format!("xmlns='jabber:client' from='{HAG}' to='{to}/thirdwitch'");
            format!("<presence {head}>{payload}</presence>")
        };
        let again = |xml: &str| {
            room.room()
                .enters_again(&Stanza::parse(xml.as_bytes()).unwrap())
        };
        let join = presence("<x xmlns='http://jabber.org/protocol/muc'/>");
        assert_eq!(again(&join), Some("thirdwitch".into()));
        assert_eq!(again(&presence("<show>away</show>")), None);
        assert_eq!(
            again(&join.replace(HAG, "stranger@shakespeare.lit/x")),
            None
        );
    }

    #[test]
    fn whoever_is_not_inside_is_shown_nothing() {
        let room = room();
        let stranger = full("stranger@shakespeare.lit/x");
        assert!(
            room.room()
                .show_again(&stranger, &["firstwitch".into()])
                .is_empty()
        );
    }
}
