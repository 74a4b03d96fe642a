//! Who is told of presence: RFC 6121 §4.2.2, §4.4.2, §4.5.2.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::wish;
use crate::effect::Effect;
use crate::facts::{AccountView, Facts, Resource, SessionFacts};
use crate::features::blocking;
use crate::features::roster::RosterItem;
use crate::jid::{BareJid, Jid};
use crate::stanza::{Head, Presence, PresenceKind, Stanza};
use crate::xml::Payloads;

/// A session's presence to all who see it: contacts with a subscription, and the account's
/// available resources, for an account is subscribed to itself (§4.2.2).
///
/// Who these resources are is found out on the way, after the presence was published: two
/// resources that come at the same moment would not know of each other here.
pub(crate) fn tell_everybody(presence: &Presence, facts: &Facts<'_>) -> Vec<Effect> {
    let presence = &wish::laid_over(presence, facts.data.wish.as_ref());
    let partly = blocking::partly_blocked(facts);
    let contacts = facts
        .data
        .roster
        .viewers()
        .flat_map(|item| addresses_of(item, &partly, facts));
    let own = std::iter::once(Jid::from(facts.account.clone()));
    contacts
        .chain(own)
        .map(|to| route(presence.clone(), to))
        .collect()
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
    let gone = |presence: Presence| Presence {
        kind: PresenceKind::Unavailable,
        head: Head {
            from: presence.head.from,
            to: None,
            id: None,
            lang: None,
        },
        payloads: Payloads::default(),
    };
    current(facts)
        .into_iter()
        .map(|presence| route(gone(presence), to.clone()))
        .collect()
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
pub(super) fn route(mut presence: Presence, to: Jid) -> Effect {
    presence.head.to = Some(to);
    Effect::Route(Stanza::Presence(presence))
}

/// Where a contact's presence goes: to its account, but when one of its resources alone is
/// blocked, around that one (row R16).
fn addresses_of(item: &RosterItem, partly: &BTreeSet<BareJid>, facts: &Facts<'_>) -> Vec<Jid> {
    let contact = Jid::from(item.jid.clone());
    if blocking::is_blocked(&contact, facts) {
        return Vec::new();
    }
    if !partly.contains(&item.jid) || !facts.host.serves(item.jid.domain()) {
        return vec![contact];
    }
    let view = facts.views.view(&item.jid);
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
