//! Presence subscriptions: RFC 6121 §3 and appendix A, with pre-approval (§3.4).
//!
//! The states and their changes are data and stand in [`table`]; here is what goes with them.
//! Who see each other by the organisation's directory need none of it: `colleagues.rs`.
//! Left out: resending requests that no remote server has answered (§3.1.2, a SHOULD).

mod colleagues;
pub mod table;

use bytes::Bytes;

pub use table::{Request, State};

use super::{Feature, Spec, Status};
use crate::effect::{Answer, Change, Effect, Query};
use crate::facts::Facts;
use crate::features::pubsub::pep;
use crate::features::roster::set::{CONTACTS_MAX, tell};
use crate::features::roster::{RosterChange, RosterItem, Subscription, push_of, shared};
use crate::features::{blocking, invitation, presence as presences};
use crate::jid::{BareJid, FullJid, Jid};
use crate::pipeline::reply_error;
use crate::stanza::{Presence, PresenceKind, Stanza, StanzaError};
use crate::xml::Payloads;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "subscription",
    title: "Presence subscriptions",
    spec: Spec::Rfc {
        number: 6121,
        section: "3",
    },
    status: Status::Partial("requests nobody elsewhere answers are not sent again"),
    ..Feature::NONE
};

/// Requests of strangers that may wait for one account (row R17): more than anybody answers.
pub const WAITING_MAX: usize = 500;
/// A request larger than this is kept without its extensions. A nickname, a greeting and a
/// token fit many times.
pub const WAITING_BYTES_MAX: usize = 4096;

/// Decides a subscription stanza the user has sent.
pub fn decide_outbound(presence: &Presence, facts: &Facts<'_>) -> Vec<Effect> {
    let refuse = |error| reply_error(&Stanza::Presence(presence.clone()), &error);
    let Some(request) = Request::of(presence.kind) else {
        return vec![Effect::Trace("subscription", "no request")];
    };
    let Some(contact) = presence.head.to.as_ref().map(Jid::bare) else {
        return refuse(StanzaError::bad_request().with_text("a subscription is with somebody"));
    };
    // §4.2.2: an account sees its own resources without asking itself.
    if contact == *facts.account {
        return refuse(
            StanzaError::not_allowed().with_text("one's own presence needs no subscription"),
        );
    }
    if facts.is_colleague(contact.as_str()) {
        return colleagues::decide_outbound(presence, request, &contact, facts);
    }
    let roster = &facts.data.roster;
    let known = roster.items.get(&contact);
    if known.is_none() && roster.items.len() >= CONTACTS_MAX {
        return refuse(StanzaError::policy_violation().with_text("the roster is full"));
    }
    let state = State::of(known);
    let (passes, next) = table::outbound(state, request);
    let mut item = known
        .cloned()
        .unwrap_or_else(|| RosterItem::new(contact.clone()));
    enter(&mut item, next);
    item.approved = is_approved(item.approved, state, request);
    let mut effects = settle(known, item, facts);
    if passes {
        effects.extend(pass_on(presence, &contact, state, next, facts));
    }
    if effects.is_empty() {
        effects.push(Effect::Trace("subscription", "changes nothing"));
    }
    effects
}

/// Pre-approval (§3.4.2), which is decided beside the state.
fn is_approved(approved: bool, state: State, request: Request) -> bool {
    match request {
        // Rules 3 and 4: nobody has asked yet, so the approval is for later.
        Request::Subscribed => approved || (!state.shows() && !state.is_pending_in()),
        // §3.2.1.2: a refusal takes every approval back, or the next request would pass.
        Request::Unsubscribed => false,
        Request::Subscribe | Request::Unsubscribe => approved,
    }
}

/// Sends a subscription stanza on its way, with the presence that goes before or after it.
fn pass_on(
    presence: &Presence,
    contact: &BareJid,
    before: State,
    after: State,
    facts: &Facts<'_>,
) -> Vec<Effect> {
    let to = Jid::from(contact.clone());
    let mut effects = Vec::new();
    let is_colleague = facts.is_colleague(contact.as_str());
    // §3.2.1.2: first unavailable from every resource, while they still believe to see us.
    if before.shows() && !after.shows() && !is_colleague {
        effects.extend(presences::show_unavailable(&to, facts));
    }
    // §3.1.2 and its likes: between accounts, not resources.
    let stanza = between(presence, facts.account.clone(), to.clone());
    effects.push(Effect::Route(Stanza::Presence(stanza)));
    // §3.1.5: and then current presence from every resource.
    if !before.shows() && after.shows() && !is_colleague {
        effects.extend(presences::show_current(&to, facts));
        effects.extend(pep::introduce(contact, facts));
    }
    effects
}

fn between(presence: &Presence, from: BareJid, to: Jid) -> Presence {
    let mut presence = presence.clone();
    presence.head.from = Some(from.into());
    presence.head.to = Some(to);
    presence
}

/// Decides a subscription stanza that has come for this account.
pub fn decide_inbound(presence: &Presence, facts: &Facts<'_>) -> Vec<Effect> {
    let from = presence.head.from.as_ref().map(Jid::bare);
    let (Some(request), Some(contact)) = (Request::of(presence.kind), from) else {
        return vec![Effect::Trace("subscription", "no request, or from nobody")];
    };
    if contact == *facts.account {
        return vec![Effect::Trace("subscription", "from oneself")];
    }
    let known = facts.data.roster.items.get(&contact);
    if facts.is_colleague(contact.as_str()) {
        return colleagues::decide_inbound(request, contact, known, facts);
    }
    let state = State::of(known);
    if request == Request::Subscribe {
        return decide_request(presence, contact, known, facts);
    }
    let (passes, next) = table::inbound(state, request);
    let mut item = known
        .cloned()
        .unwrap_or_else(|| RosterItem::new(contact.clone()));
    enter(&mut item, next);
    let mut effects = settle(known, item, facts);
    // §3.1.6, §3.2.2, §3.3.3: to the resources that show a roster.
    if passes {
        let view = facts.resources();
        let interested = view
            .resources
            .iter()
            .filter(|resource| resource.roster_interest);
        effects.extend(deliver(
            presence,
            &contact,
            interested.map(|resource| &resource.jid),
        ));
    }
    // §3.3.3: whoever unsubscribes is told that nobody is there any more.
    if state.shows() && !next.shows() {
        effects.extend(presences::show_unavailable(&contact.into(), facts));
    }
    if effects.is_empty() {
        effects.push(Effect::Trace("subscription", "changes nothing"));
    }
    effects
}

/// Somebody asks to see the user's presence (§3.1.3).
fn decide_request(
    presence: &Presence,
    contact: BareJid,
    known: Option<&RosterItem>,
    facts: &Facts<'_>,
) -> Vec<Effect> {
    let state = State::of(known);
    if state.shows() || known.is_some_and(|item| item.approved) {
        return accept(contact, known, state, facts);
    }
    if let Some(token) = invitation::token_in(presence) {
        // XEP-0379 §3.5, which the server does for its user.
        let redeem = Query::Redeem(invitation::hash_of(&token));
        return vec![Effect::Load(redeem, decide_invited)];
    }
    decide_uninvited(presence, contact, known, facts)
}

/// Somebody has come with a token: a good one opens the door to both.
fn decide_invited(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Presence(presence) = stanza else {
        return Vec::new();
    };
    let Some(contact) = presence.head.from.as_ref().map(Jid::bare) else {
        return Vec::new();
    };
    if answer == Answer::Redeemed(true) {
        return welcome(&contact, facts);
    }
    // XEP-0379 §4.1: as if there were no token.
    let known = facts.data.roster.items.get(&contact);
    decide_uninvited(presence, contact, known, facts)
}

/// They see each other from now on, as far as that is ours to say.
fn welcome(contact: &BareJid, facts: &Facts<'_>) -> Vec<Effect> {
    let known = facts.data.roster.items.get(contact);
    let to = Jid::from(contact.clone());
    let mut item = known
        .cloned()
        .unwrap_or_else(|| RosterItem::new(contact.clone()));
    let (_, asked) = table::inbound(State::of(known), Request::Subscribe);
    let (_, granted) = table::outbound(asked, Request::Subscribed);
    let (asks, both) = table::outbound(granted, Request::Subscribe);
    enter(&mut item, both);
    let mut effects = settle(known, item, facts);
    effects.push(tell(PresenceKind::Subscribed, &to, facts));
    if asks {
        effects.push(tell(PresenceKind::Subscribe, &to, facts));
    }
    effects.extend(presences::show_current(&to, facts));
    effects.extend(pep::introduce(contact, facts));
    effects
}

/// Puts two accounts into each other's rosters when one has invited the other here; for each
/// of them (XEP-0401 §5.5).
pub fn befriend(contact: &BareJid, facts: &Facts<'_>) -> Vec<Effect> {
    let known = facts.data.roster.items.get(contact);
    if known.is_none() && facts.data.roster.items.len() >= CONTACTS_MAX {
        return vec![Effect::Trace("invitation", "the roster is full")];
    }
    let mut item = known
        .cloned()
        .unwrap_or_else(|| RosterItem::new(contact.clone()));
    item.subscription = Subscription::Both;
    item.ask = false;
    item.pending_in = None;
    settle(known, item, facts)
}

fn decide_uninvited(
    presence: &Presence,
    contact: BareJid,
    known: Option<&RosterItem>,
    facts: &Facts<'_>,
) -> Vec<Effect> {
    let (passes, next) = table::inbound(State::of(known), Request::Subscribe);
    if !passes {
        return vec![Effect::Trace("subscription", "asked before")];
    }
    if known.is_none() && waiting_strangers(facts) >= WAITING_MAX {
        return vec![Effect::Trace("subscription", "too many requests wait")];
    }
    let mut item = known
        .cloned()
        .unwrap_or_else(|| RosterItem::new(contact.clone()));
    enter(&mut item, next);
    item.pending_in = Some(to_keep(presence, &contact, facts));
    let mut effects = settle(known, item, facts);
    // §3.1.3: to every available resource, and kept until there is an answer.
    let view = facts.resources();
    effects.extend(deliver(
        presence,
        &contact,
        view.available().map(|resource| &resource.jid),
    ));
    effects
}

/// Answers in the user's name: they see the user already (§3.1.3 rule 2), or the user has
/// approved it in advance (§3.4.2).
fn accept(
    contact: BareJid,
    known: Option<&RosterItem>,
    state: State,
    facts: &Facts<'_>,
) -> Vec<Effect> {
    let to = Jid::from(contact.clone());
    let introduction = pep::introduce(&contact, facts);
    let mut item = known.cloned().unwrap_or_else(|| RosterItem::new(contact));
    if !state.shows() {
        // As if the request had been delivered and the user had said yes.
        let (_, asked) = table::inbound(state, Request::Subscribe);
        let (_, granted) = table::outbound(asked, Request::Subscribed);
        enter(&mut item, granted);
    }
    let mut effects = settle(known, item, facts);
    effects.push(tell(PresenceKind::Subscribed, &to, facts));
    // Also where they were subscribed before: that they ask says that they see nothing.
    effects.extend(presences::show_current(&to, facts));
    effects.extend(introduction);
    effects
}

/// Puts an item into a state. A request that waits is added by whoever has it at hand.
fn enter(item: &mut RosterItem, state: State) {
    item.subscription = state.subscription();
    item.ask = state.is_pending_out();
    if !state.is_pending_in() {
        item.pending_in = None;
    }
}

/// Remembers what has become of a contact, and shows it where it shows.
fn settle(before: Option<&RosterItem>, mut after: RosterItem, facts: &Facts<'_>) -> Vec<Effect> {
    // §3.1.2, §3.1.5, §3.4.2: a contact by subscription, by request or by approval is listed.
    let state = State::of(Some(&after));
    after.listed |= !matches!(state, State::None | State::NoneIn) || after.approved;
    let is_known = before.is_some();
    if before == Some(&after) || (!is_known && after.is_blank()) {
        return Vec::new();
    }
    if after.is_blank() {
        let change = RosterChange::Remove(after.jid);
        return vec![Effect::Change(Change::Roster(vec![change]))];
    }
    let book = facts.views.book();
    let colleague = book.colleague(facts.account, &after.jid);
    let was_shown = shared::shown(before, colleague.as_ref());
    let is_shown = shared::shown(Some(&after), colleague.as_ref());
    // §3.1.3: a request alone is neither pushed nor shown in the roster.
    let push =
        (after.listed && was_shown != is_shown).then(|| push_of(&after.jid, Some(&after), facts));
    let change = Effect::Change(Change::Roster(vec![RosterChange::Put(after)]));
    std::iter::once(change).chain(push).collect()
}

fn deliver<'a>(
    presence: &Presence,
    contact: &BareJid,
    resources: impl Iterator<Item = &'a FullJid>,
) -> Vec<Effect> {
    let stanza = |to: &FullJid| between(presence, contact.clone(), to.clone().into());
    resources
        .map(|to| Effect::Route(Stanza::Presence(stanza(to))))
        .collect()
}

fn waiting_strangers(facts: &Facts<'_>) -> usize {
    facts
        .data
        .roster
        .items
        .values()
        .filter(|item| !item.listed)
        .count()
}

/// The request as it is kept (§3.1.3: complete, with its extensions).
fn to_keep(presence: &Presence, contact: &BareJid, facts: &Facts<'_>) -> Bytes {
    let mut stanza = between(presence, contact.clone(), facts.account.clone().into());
    if stanza.payloads.bytes().len() > WAITING_BYTES_MAX {
        stanza.payloads = Payloads::default();
    }
    Stanza::Presence(stanza).to_bytes()
}

/// The requests that wait for the user, for a resource that has just become available.
pub(crate) fn waiting(facts: &Facts<'_>) -> Vec<Effect> {
    let items = facts.data.roster.items.values();
    items
        // Row R16: blocked since it asked.
        .filter(|item| !blocking::is_blocked(&item.jid.clone().into(), facts))
        .filter_map(|item| item.pending_in.as_ref())
        .filter_map(|kept| Stanza::parse(kept).ok())
        .map(Effect::Reply)
        .collect()
}

#[cfg(test)]
mod tests;
