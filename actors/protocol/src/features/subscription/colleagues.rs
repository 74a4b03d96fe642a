//! Subscription stanzas between people who see each other by the organisation's directory.
//!
//! They need none, so none is asked for, and none that ends changes what they see. What the two
//! have in their own rosters besides is kept in step all the same, for the directory may show them
//! to each other no longer one day; only nobody is bothered with it.

use super::{Request, State, enter, is_approved, pass_on, settle, table};
use crate::effect::Effect;
use crate::facts::Facts;
use crate::features::presence as presences;
use crate::features::pubsub::pep;
use crate::features::roster::set::tell;
use crate::features::roster::{RosterItem, push_again};
use crate::jid::{BareJid, Jid};
use crate::stanza::{Head, Presence, PresenceKind, Stanza};
use crate::xml::Payloads;

/// Decides what the user has sent to a colleague.
pub(super) fn decide_outbound(
    presence: &Presence,
    request: Request,
    contact: &BareJid,
    facts: &Facts<'_>,
) -> Vec<Effect> {
    match request {
        Request::Subscribe => welcome(presence, contact, facts),
        _ => settle_quietly(presence, request, contact, facts),
    }
}

/// Asking is answered at once, and nothing is asked: the colleague's clients would show a question
/// that needs no answer. Whoever asks says that they see nothing, so the colleague is probed.
fn welcome(presence: &Presence, contact: &BareJid, facts: &Facts<'_>) -> Vec<Effect> {
    let head = Head {
        to: presence.head.from.clone(),
        from: Some(contact.clone().into()),
        id: presence.head.id.clone(),
        lang: None,
    };
    let subscribed = Presence {
        head,
        kind: PresenceKind::Subscribed,
        payloads: Payloads::default(),
    };
    let mut effects = vec![
        Effect::Reply(Stanza::Presence(subscribed)),
        push_again(contact, facts),
    ];
    let session = facts.session.filter(|session| session.presence.is_some());
    effects.extend(session.map(|session| presences::probe(&contact.clone().into(), session)));
    effects
}

/// What the two have of their own ends or is agreed to; what they see stays, and the user's
/// clients are shown that it does.
fn settle_quietly(
    presence: &Presence,
    request: Request,
    contact: &BareJid,
    facts: &Facts<'_>,
) -> Vec<Effect> {
    let known = facts.data.roster.items.get(contact);
    let state = State::of(known);
    let (passes, next) = table::outbound(state, request);
    let mut effects = Vec::new();
    // With nothing of their own there is nothing to end; nor is a colleague approved in advance.
    if let Some(known) = known {
        let mut item = known.clone();
        enter(&mut item, next);
        item.approved = item.approved && is_approved(item.approved, state, request);
        effects.extend(settle(Some(known), item, facts));
        let has_changed = !effects.is_empty();
        if passes && has_changed {
            effects.extend(pass_on(presence, contact, state, next, facts));
        }
    }
    let is_shown = |effect: &Effect| matches!(effect, Effect::Push(..));
    if !effects.iter().any(is_shown) {
        let changes = effects
            .iter()
            .take_while(|it| matches!(it, Effect::Change(_)));
        let place = changes.count();
        effects.insert(place, push_again(contact, facts));
    }
    effects
}

/// Decides what a colleague has sent.
pub(super) fn decide_inbound(
    request: Request,
    contact: BareJid,
    known: Option<&RosterItem>,
    facts: &Facts<'_>,
) -> Vec<Effect> {
    if request == Request::Subscribe {
        return accept(&contact, facts);
    }
    let (_, next) = table::inbound(State::of(known), request);
    let mut item = known.cloned().unwrap_or_else(|| RosterItem::new(contact));
    enter(&mut item, next);
    let effects = settle(known, item, facts);
    match effects.is_empty() {
        true => vec![Effect::Trace(
            "subscription",
            "of a colleague: changes nothing",
        )],
        false => effects,
    }
}

/// They see the user already; that they ask says that they see nothing.
fn accept(contact: &BareJid, facts: &Facts<'_>) -> Vec<Effect> {
    let to = Jid::from(contact.clone());
    let mut effects = vec![tell(PresenceKind::Subscribed, &to, facts)];
    effects.extend(presences::show_current(&to, facts));
    effects.extend(pep::introduce(contact, facts));
    effects
}
