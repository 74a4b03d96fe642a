//! Presence in a room: XEP-0045 §7.2.2 to §7.2.4, §7.7, §17.3.
//!
//! Every presence of an occupant has two forms: one with the real address, for those who may
//! know it, and one without. Both are kept ready, because a room sends them again and again.

use super::occupant::Occupant;
use super::room::Room;
use super::{NS, NS_USER, hats, occupant_id, sanitize};
use crate::features::muc::effect::{Broadcast, RoomEffect};
use crate::features::muc::nick::Nick;
use crate::jid::{FullJid, Jid};
use crate::stanza::{Head, Presence, PresenceKind, Stanza};
use crate::xml::{Element, Payloads};

use super::affiliation::Affiliation;
use super::role::Role;

/// What a room says of somebody (`<item/>`).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Item<'a> {
    pub(super) affiliation: Affiliation,
    pub(super) role: Role,
    pub(super) jid: Option<&'a Jid>,
    pub(super) nick: Option<&'a str>,
    /// Who has done it, by nick.
    pub(super) actor: Option<&'a str>,
    pub(super) reason: Option<&'a str>,
}

/// What goes with an occupant's presence when there is something to say.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct News<'a> {
    /// For everybody.
    pub(super) codes: &'a [u16],
    /// For the occupant's own sessions, beside 110.
    pub(super) own_codes: &'a [u16],
    pub(super) actor: Option<&'a str>,
    pub(super) reason: Option<&'a str>,
}

/// The `<x/>` of a room (§17.3 rule 6: rooms alone say such things).
pub(super) fn user_element(item: Item<'_>, codes: &[u16]) -> Element {
    let mut element = Element::new("item", NS_USER)
        .attr("affiliation", item.affiliation.as_str())
        .attr_opt("jid", item.jid.map(Jid::as_str))
        .attr_opt("nick", item.nick)
        .attr("role", item.role.as_str());
    if let Some(actor) = item.actor {
        element = element.child(Element::new("actor", NS_USER).attr("nick", actor));
    }
    if let Some(reason) = item.reason {
        element = element.child(Element::new("reason", NS_USER).text(reason));
    }
    let x = Element::new("x", NS_USER).child(element);
    x.children_from(codes.iter().map(|code| status(*code)))
}

/// A status code.
pub(super) fn status(code: u16) -> Element {
    Element::new("status", NS_USER).attr("code", code.to_string())
}

/// Both forms of a stanza that some may read with addresses and others without.
pub(super) type Forms = [Payloads; 2];

/// Which form somebody gets.
pub(super) fn form_of(knows: bool) -> usize {
    usize::from(!knows)
}

impl Room {
    /// Whether somebody with this role may know real addresses (§7.2.3, §7.2.4).
    pub(super) fn may_know(&self, role: Role) -> bool {
        self.record.config.non_anonymous || role == Role::Moderator
    }

    /// Whether others see the presence of somebody with this role.
    pub(super) fn is_shown(&self, role: Role) -> bool {
        self.record.config.presence_broadcast.contains(&role)
    }

    /// What the room says of an occupant, with the address.
    pub(super) fn item<'a>(&self, occupant: &'a Occupant) -> Item<'a> {
        Item {
            affiliation: self.record.affiliation(&occupant.account),
            role: occupant.role,
            jid: Some(occupant.speaker().jid.as_jid()),
            ..Item::default()
        }
    }

    /// Makes an occupant's presence anew after something of theirs has changed.
    pub(super) fn refresh(&mut self, nick: &str) {
        let Some(occupant) = self.occupants.get(nick) else {
            return;
        };
        let forms = self.forms(occupant, self.item(occupant), &[]);
        if let Some(occupant) = self.occupants.get_mut(nick) {
            occupant.shown = forms;
        }
    }

    /// Makes everybody's presence anew.
    pub(super) fn refresh_all(&mut self) {
        let nicks: Vec<Nick> = self.occupants.iter().map(|it| it.nick.clone()).collect();
        nicks.iter().for_each(|nick| self.refresh(nick));
    }

    /// An occupant's presence in both forms.
    fn forms(&self, occupant: &Occupant, item: Item<'_>, codes: &[u16]) -> Forms {
        let form = |knows| {
            let jid = item.jid.filter(|_| knows);
            self.payloads(occupant, Item { jid, ..item }, codes)
        };
        [form(true), form(false)]
    }

    fn payloads(&self, occupant: &Occupant, item: Item<'_>, codes: &[u16]) -> Payloads {
        let mut payloads = occupant.speaker().presence.clone();
        payloads.push(&user_element(item, codes));
        payloads.push(&occupant_id::element(&occupant.id));
        if let Some(hats) = hats::element(&self.record.hats, &occupant.account) {
            payloads.push(&hats);
        }
        payloads
    }

    /// A presence of this nick.
    pub(super) fn presence_from(
        &self,
        nick: &str,
        kind: PresenceKind,
        payloads: Payloads,
    ) -> Presence {
        let from = Some(self.address_of(nick));
        let head = Head {
            from,
            ..Head::default()
        };
        Presence {
            head,
            kind,
            payloads,
        }
    }

    /// Tells the whole room of an occupant: their own sessions always, others if presence of
    /// that role is shown.
    pub(super) fn announce(&self, nick: &str, news: News<'_>) -> Vec<RoomEffect> {
        let mut effects = self.announce_to_others(nick, news);
        effects.extend(self.announce_to_self(nick, news));
        effects
    }

    pub(super) fn announce_to_others(&self, nick: &str, news: News<'_>) -> Vec<RoomEffect> {
        let Some(occupant) = self.occupants.get(nick) else {
            return Vec::new();
        };
        if !self.is_shown(occupant.role) {
            return Vec::new();
        }
        let is_plain = news.codes.is_empty() && news.actor.is_none() && news.reason.is_none();
        let forms = match is_plain {
            true => occupant.shown.clone(),
            false => {
                let item = Item {
                    actor: news.actor,
                    reason: news.reason,
                    ..self.item(occupant)
                };
                self.forms(occupant, item, news.codes)
            }
        };
        self.tell_others(nick, PresenceKind::Available, &forms)
    }

    fn announce_to_self(&self, nick: &str, news: News<'_>) -> Vec<RoomEffect> {
        let Some(occupant) = self.occupants.get(nick) else {
            return Vec::new();
        };
        let payloads = self.own_payloads(occupant, news);
        let presence = self.presence_from(nick, PresenceKind::Available, payloads);
        let to = occupant.jids().cloned().collect();
        broadcast(presence.into(), to)
    }

    /// An occupant's presence for their own eyes (§7.2.2: status 110).
    pub(super) fn own_payloads(&self, occupant: &Occupant, news: News<'_>) -> Payloads {
        let item = Item {
            actor: news.actor,
            reason: news.reason,
            ..self.item(occupant)
        };
        let mut codes = [news.codes, news.own_codes, &[110]].concat();
        codes.sort_unstable();
        self.payloads(occupant, item, &codes)
    }

    /// Sends a presence to everybody but its occupant, in the form they may see.
    pub(super) fn tell_others(
        &self,
        nick: &str,
        kind: PresenceKind,
        forms: &Forms,
    ) -> Vec<RoomEffect> {
        let mut to: [Vec<FullJid>; 2] = Default::default();
        for other in self.occupants.iter().filter(|other| &*other.nick != nick) {
            let form = form_of(self.may_know(other.role));
            to[form].extend(other.jids().cloned());
        }
        let mut effects = Vec::new();
        for (to, payloads) in to.into_iter().zip(forms) {
            let presence = self.presence_from(nick, kind, payloads.clone());
            effects.extend(broadcast(presence.into(), to));
        }
        effects
    }

    /// §7.7: an occupant says something new of themselves.
    pub(super) fn update_presence(
        &mut self,
        sender: &FullJid,
        presence: &Presence,
    ) -> Vec<RoomEffect> {
        let Some(occupant) = self.occupants.of_session(sender) else {
            return Vec::new();
        };
        let nick = occupant.nick.clone();
        let before = occupant.shown.clone();
        self.put_presence(&nick, sender, presence);
        let mut effects = vec![self.remember(sender)];
        let is_same = self
            .occupants
            .get(&nick)
            .is_some_and(|occupant| occupant.shown == before);
        // What another session of theirs says counts more, or it is what was said before.
        match is_same {
            true => effects.extend(self.announce_to_self(&nick, News::default())),
            false => effects.extend(self.announce(&nick, News::default())),
        }
        effects
    }

    /// Writes down what a session of an occupant says of itself.
    pub(super) fn put_presence(&mut self, nick: &str, sender: &FullJid, presence: &Presence) {
        if let Some(occupant) = self.occupants.get_mut(nick)
            && let Some(session) = occupant.session(sender).cloned()
        {
            occupant.put(super::occupant::Session {
                presence: sanitize::presence(&presence.payloads),
                priority: presence.priority(),
                ..session
            });
        }
        self.refresh(nick);
    }
}

/// A stanza to many; nothing if there is nobody.
pub(super) fn broadcast(stanza: Stanza, to: Vec<FullJid>) -> Vec<RoomEffect> {
    if to.is_empty() {
        return Vec::new();
    }
    vec![RoomEffect::Broadcast(Broadcast {
        stanza,
        to: to.into(),
        entry: None,
    })]
}

/// Whether a presence asks to be let in (§7.2.1).
pub(super) fn is_join(presence: &Presence) -> bool {
    presence.payloads.has("x", NS)
}
