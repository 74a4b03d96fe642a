//! Reading and changing the block list: XEP-0191 §2.2 to §2.5.

use crate::effect::{Change, Effect, Flag, Interest};
use crate::facts::Facts;
use crate::features::blocking::{Blocklist, BlocklistChange, NS, is_exempt};
use crate::features::presence::{show_current, show_unavailable};
use crate::features::refuse;
use crate::jid::Jid;
use crate::stanza::{Head, Iq, Presence, PresenceKind, Stanza, StanzaError};
use crate::xml::{Element, Payloads};

/// Addresses an account may block. Every stanza is held against the list, which costs three
/// look-ups whatever its length; the bound is for what a login has to load.
pub const BLOCKED_MAX: usize = 10_000;

/// §2.2: the list; who has read it is told of changes.
pub(super) fn get(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    let list = element("blocklist", facts.data.blocklist.jids.iter());
    vec![
        Effect::Flag(Flag::Interested(Interest::Blocklist)),
        Effect::Reply(Stanza::Iq(iq.result(Some(list)))),
    ]
}

/// §2.3.
pub(super) fn block(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    let jids = match parse(iq, "block") {
        Ok(jids) if jids.is_empty() => {
            let error = StanzaError::bad_request().with_text("nobody to block");
            return refuse(iq, error);
        }
        Ok(jids) => jids,
        Err(error) => return refuse(iq, error),
    };
    let before = &facts.data.blocklist;
    let add: Vec<Jid> = jids.iter().filter(|jid| !before.jids.contains(jid)).cloned().collect();
    if before.jids.len() + add.len() > BLOCKED_MAX {
        let error = StanzaError::policy_violation().with_text("the block list is full");
        return refuse(iq, error);
    }
    let mut after = before.clone();
    after.jids.extend(add.iter().cloned());
    let mut effects = change(BlocklistChange { add, remove: Vec::new() });
    effects.extend(hide(before, &after, facts));
    effects.push(Effect::Push(Interest::Blocklist, element("block", jids.iter())));
    effects.push(Effect::Reply(Stanza::Iq(iq.result(None))));
    effects
}

/// §2.4, and §2.5 without items.
pub(super) fn unblock(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    let jids = match parse(iq, "unblock") {
        Ok(jids) => jids,
        Err(error) => return refuse(iq, error),
    };
    let before = &facts.data.blocklist;
    let remove: Vec<Jid> = match jids.is_empty() {
        true => before.jids.iter().cloned().collect(),
        false => jids.iter().filter(|jid| before.jids.contains(jid)).cloned().collect(),
    };
    let mut after = before.clone();
    after.jids.retain(|jid| !remove.contains(jid));
    let mut effects = change(BlocklistChange { add: Vec::new(), remove });
    // §2.4: those who may see the user see them again.
    let shown = hidden_between(&after, before, facts);
    effects.extend(shown.iter().flat_map(|to| show_current(to, facts)));
    effects.push(Effect::Push(Interest::Blocklist, element("unblock", jids.iter())));
    effects.push(Effect::Reply(Stanza::Iq(iq.result(None))));
    effects
}

fn change(change: BlocklistChange) -> Vec<Effect> {
    if change == BlocklistChange::default() {
        return Vec::new();
    }
    vec![Effect::Change(Change::Blocklist(change))]
}

/// §2.3: those who see the user and are blocked now see them go.
fn hide(before: &Blocklist, after: &Blocklist, facts: &Facts<'_>) -> Vec<Effect> {
    let hidden = hidden_between(before, after, facts);
    let mut effects: Vec<Effect> =
        hidden.iter().flat_map(|to| show_unavailable(to, facts)).collect();
    effects.extend(take_back_directed(before, after, &hidden, facts));
    effects
}

/// The addresses that see the user by subscription and are blocked by one list but not by
/// the other.
fn hidden_between(open: &Blocklist, closed: &Blocklist, facts: &Facts<'_>) -> Vec<Jid> {
    let is_hidden =
        |jid: &Jid| !is_exempt(jid, facts) && !open.covers(jid) && closed.covers(jid);
    let roster = &facts.data.roster;
    let contacts = roster.viewers().map(|item| Jid::from(item.jid.clone()));
    let mut hidden: Vec<Jid> = contacts.filter(&is_hidden).collect();
    // A single resource of a contact who is not blocked.
    let resources = closed.jids.difference(&open.jids).filter(|jid| {
        let bare = jid.bare();
        let shows = roster.items.get(&bare).is_some_and(|item| item.subscription.shows());
        jid.resource().is_some() && shows && is_hidden(jid) && !closed.covers(&bare.into())
    });
    hidden.extend(resources.cloned());
    hidden
}

/// Directed presence was shown too (RFC 6121 §4.6), by this session at least.
fn take_back_directed(
    before: &Blocklist,
    after: &Blocklist,
    told: &[Jid],
    facts: &Facts<'_>,
) -> Vec<Effect> {
    let Some(session) = facts.session else { return Vec::new() };
    let hidden = session.directed.iter().filter(|jid| {
        !is_exempt(jid, facts) && !before.covers(jid) && after.covers(jid)
    });
    let mut effects = Vec::new();
    for to in hidden {
        if !told.contains(to) {
            let from = Some(session.jid.clone().into());
            let head = Head { to: Some(to.clone()), from, id: None, lang: None };
            let kind = PresenceKind::Unavailable;
            let presence = Presence { head, kind, payloads: Payloads::default() };
            effects.push(Effect::Route(Stanza::Presence(presence)));
        }
        effects.push(Effect::Flag(Flag::Directed(to.clone(), false)));
    }
    effects
}

fn element<'a>(name: &'static str, jids: impl Iterator<Item = &'a Jid>) -> Element {
    let items = jids.map(|jid| Element::new("item", NS).attr("jid", jid.as_str()));
    Element::new(name, NS).children(items)
}

fn parse(iq: &Iq, name: &str) -> Result<Vec<Jid>, StanzaError> {
    let command = iq.payloads.element(name, NS).ok_or_else(StanzaError::bad_request)?;
    let mut jids = Vec::new();
    for item in command.children().filter(|child| child.is("item", NS)) {
        let jid = item.get("jid").ok_or_else(StanzaError::bad_request)?;
        let jid = Jid::parse(jid).map_err(|_| StanzaError::jid_malformed())?;
        if !jids.contains(&jid) {
            jids.push(jid);
        }
    }
    Ok(jids)
}
