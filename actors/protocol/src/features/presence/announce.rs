//! Who is told of presence: RFC 6121 §4.2.2, §4.4.2, §4.5.2.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::wish;
use crate::colleagues::Shift;
use crate::effect::Effect;
use crate::facts::{AccountView, Facts, Resource, SessionFacts};
use crate::features::blocking;
use crate::jid::{BareJid, Jid};
use crate::stanza::{Head, Presence, PresenceKind, Stanza};
use crate::xml::Payloads;

/// A session's presence to all who see it: contacts with a subscription, and the account's
/// available resources, for an account is subscribed to itself (§4.2.2).
///
/// Who these resources are is found out on the way, after the presence was published: two
/// resources that come at the same moment would not know of each other here.
///
/// The same holds of colleagues, of whom those alone are told who are there: they are found when
/// that is carried out, so that none is missed who has come meanwhile.
pub(crate) fn tell_everybody(presence: &Presence, facts: &Facts<'_>) -> Vec<Effect> {
    let presence = &wish::laid_over(presence, facts.data.wish.as_ref());
    let partly = blocking::partly_blocked(facts);
    let contacts = facts
        .data
        .roster
        .viewers()
        .flat_map(|contact| addresses_of(contact, &partly, facts));
    let own = std::iter::once(Jid::from(facts.account.clone()));
    let told = contacts.chain(own);
    let mut effects: Vec<Effect> = told.map(|to| route(presence.clone(), to)).collect();
    if facts.has_colleagues() {
        effects.push(Effect::Spread(Box::new(presence.clone())));
    }
    effects
}

/// A presence to the colleagues who are there, but for those who have it as contacts; what
/// [`Effect::Spread`] asks for.
pub fn to_colleagues(presence: &Presence, facts: &Facts<'_>) -> Vec<Stanza> {
    let partly = blocking::partly_blocked(facts);
    let there = facts.colleagues_there();
    let others = there
        .iter()
        .filter(|it| !facts.data.roster.shows(it.as_str()));
    let addresses = others.flat_map(|colleague| addresses_of(colleague, &partly, facts));
    addresses
        .map(|to| Stanza::Presence(addressed(presence.clone(), to)))
        .collect()
}

/// A session's presence to those who have become colleagues, and its absence to those who are
/// none any more, unless they see it as contacts.
pub(super) fn tell_shifted(
    presence: &Presence,
    shifts: &[Shift],
    session: &SessionFacts,
    facts: &Facts<'_>,
) -> Vec<Effect> {
    let mut shown = wish::laid_over(presence, facts.data.wish.as_ref());
    shown.head.from = Some(session.jid.clone().into());
    let absence = absence_of(&shown);
    let partly = blocking::partly_blocked(facts);
    let is_concerned = |shift: &&Shift| {
        shift.was != shift.is
            && !facts.data.roster.shows(shift.account.as_str())
            && facts.views.is_there(&shift.account)
    };
    let concerned = shifts.iter().filter(is_concerned);
    let effects = concerned.flat_map(|shift| {
        let presence = if shift.is { &shown } else { &absence };
        let addresses = addresses_of(&shift.account, &partly, facts).into_iter();
        addresses.map(|to| route(presence.clone(), to))
    });
    effects.collect()
}

/// The presence of the account's other available resources, for this one (§4.2.2).
pub(super) fn own_others(session: &SessionFacts, facts: &Facts<'_>) -> Vec<Effect> {
    let view = facts.resources();
    others(&view, session)
        .filter_map(presence_of)
        .map(|presence| reply_to(presence, session))
        .collect()
}

/// The account's presence, of each of its available resources, for one address.
pub(crate) fn show_current(to: &Jid, facts: &Facts<'_>) -> Vec<Effect> {
    current(facts)
        .into_iter()
        .map(|presence| route(presence, to.clone()))
        .collect()
}

/// Takes that back: unavailable presence of each of the account's available resources.
pub(crate) fn show_unavailable(to: &Jid, facts: &Facts<'_>) -> Vec<Effect> {
    current(facts)
        .iter()
        .map(|presence| route(absence_of(presence), to.clone()))
        .collect()
}

/// The session that shows this presence is gone.
fn absence_of(presence: &Presence) -> Presence {
    Presence {
        kind: PresenceKind::Unavailable,
        head: Head {
            from: presence.head.from.clone(),
            to: None,
            id: None,
            lang: None,
        },
        payloads: Payloads::default(),
    }
}

/// The presence each available resource of an account has last published.
pub(super) fn presences_of(view: &Arc<AccountView>) -> Vec<Presence> {
    view.available().filter_map(presence_of).collect()
}

/// A presence for the client of this session.
pub(super) fn reply_to(mut presence: Presence, session: &SessionFacts) -> Effect {
    presence.head.to = Some(session.jid.clone().into());
    Effect::Reply(Stanza::Presence(presence))
}

/// A presence for an address.
pub(super) fn route(presence: Presence, to: Jid) -> Effect {
    Effect::Route(Stanza::Presence(addressed(presence, to)))
}

fn addressed(mut presence: Presence, to: Jid) -> Presence {
    presence.head.to = Some(to);
    presence
}

/// Where a contact's presence goes: to its account, but when one of its resources alone is
/// blocked, around that one (row R16).
fn addresses_of(account: &BareJid, partly: &BTreeSet<BareJid>, facts: &Facts<'_>) -> Vec<Jid> {
    let contact = Jid::from(account.clone());
    if blocking::is_blocked(&contact, facts) {
        return Vec::new();
    }
    if !partly.contains(account) || !facts.host.serves(account.domain()) {
        return vec![contact];
    }
    let view = facts.views.view(account);
    let resources = view
        .available()
        .map(|resource| Jid::from(resource.jid.clone()));
    resources
        .filter(|resource| !blocking::is_blocked(resource, facts))
        .collect()
}

fn current(facts: &Facts<'_>) -> Vec<Presence> {
    let view = facts.resources();
    let Some(session) = facts.session else {
        return presences_of(&view);
    };
    // What the session knows of itself is newer than what everybody sees of it.
    let own = session.presence.as_deref();
    let own = own.map(|presence| wish::laid_over(presence, facts.data.wish.as_ref()));
    let own = own.map(|mut presence| {
        presence.head.from = Some(session.jid.clone().into());
        presence
    });
    own.into_iter()
        .chain(others(&view, session).filter_map(presence_of))
        .collect()
}

fn others<'a>(view: &'a AccountView, session: &SessionFacts) -> impl Iterator<Item = &'a Resource> {
    let me = session.jid.clone();
    view.available().filter(move |resource| resource.jid != me)
}

fn presence_of(resource: &Resource) -> Option<Presence> {
    let mut presence = resource.presence.as_deref()?.clone();
    presence.head.from = Some(resource.jid.clone().into());
    presence.head.to = None;
    Some(presence)
}
