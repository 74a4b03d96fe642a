//! The roster: RFC 6121 §2, with roster versioning (§2.6).
//!
//! Here: what a roster is, how it is read. How it is changed by its user: [`set`].
//! Left out: items addressed by a full JID, as some gateways once used them; a contact is an
//! account or a domain, and an address is taken without its resource.

pub mod set;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Feature, Scope, Spec, blocking, get as get_rule, refuse, set as set_rule};
use crate::effect::{Effect, Flag, Interest};
use crate::facts::Facts;
use crate::jid::BareJid;
use crate::stanza::{Head, Iq, IqKind, Stanza, StanzaError};
use crate::xml::{Child, Element, Payloads};

/// Namespace of the roster (RFC 6121 §2.1).
pub const NS: &str = "jabber:iq:roster";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "roster",
    title: "Roster",
    spec: Spec::Rfc {
        number: 6121,
        section: "2",
    },
    // Whose roster it is, is decided by the rules themselves, so that a stranger is told
    // `forbidden` (§2.3.3) and not that there are no rosters.
    iq: &[
        get_rule(Scope::Account, NS, "query", get),
        set_rule(Scope::Account, NS, "query", set::decide),
    ],
    ..Feature::NONE
};

/// An account's contacts with the version of the whole (RFC 6121 §2.6).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// Raised by every change, by one.
    pub version: u64,
    /// The contacts, also those of whom only a request is known.
    pub items: BTreeMap<BareJid, RosterItem>,
    /// Contacts removed lately, with the version that removed them. Complete from its oldest
    /// entry on; empty only when nothing was ever removed.
    pub removed: Vec<(BareJid, u64)>,
}

impl Roster {
    /// The contacts the user sees in the roster.
    pub fn listed(&self) -> impl Iterator<Item = &RosterItem> {
        self.items.values().filter(|item| item.listed)
    }

    /// The contacts who see the user's presence.
    pub fn viewers(&self) -> impl Iterator<Item = &RosterItem> {
        self.items.values().filter(|item| item.subscription.shows())
    }

    /// The version the next change makes.
    pub fn next_version(&self) -> u64 {
        self.version.saturating_add(1)
    }
}

/// A contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterItem {
    /// Its address.
    pub jid: BareJid,
    /// The name the user gave it.
    pub name: Option<String>,
    /// The groups it is in.
    pub groups: Vec<String>,
    /// Who sees whose presence.
    pub subscription: Subscription,
    /// The user has asked and waits for an answer ("pending out").
    pub ask: bool,
    /// The contact has asked and waits: its request, to be shown at every login ("pending in").
    pub pending_in: Option<Bytes>,
    /// The user has approved a request in advance (RFC 6121 §3.4).
    pub approved: bool,
    /// False: only a pending request is known; the user has no such contact.
    pub listed: bool,
    /// The roster's version at the last change of this contact.
    pub version: u64,
}

impl RosterItem {
    /// A contact nothing is known of yet.
    pub fn new(jid: BareJid) -> Self {
        Self {
            jid,
            name: None,
            groups: Vec::new(),
            subscription: Subscription::None,
            ask: false,
            pending_in: None,
            approved: false,
            listed: false,
            version: 0,
        }
    }

    /// Tells whether nothing is left that would have to be remembered.
    pub fn is_blank(&self) -> bool {
        !self.listed && self.pending_in.is_none()
    }

    /// The contact as the user's clients see it (§2.1.2). A pending request is not shown:
    /// §3.1.3 wants it delivered as presence only.
    pub fn to_element(&self) -> Element {
        let mut element = Element::new("item", NS).attr("jid", self.jid.as_str());
        if let Some(name) = &self.name {
            element = element.attr("name", name);
        }
        element = element.attr("subscription", self.subscription.as_str());
        if self.ask {
            element = element.attr("ask", "subscribe");
        }
        if self.approved {
            element = element.attr("approved", "true");
        }
        let groups = self
            .groups
            .iter()
            .map(|group| Element::new("group", NS).text(group));
        groups.fold(element, Element::child)
    }
}

/// Who sees whose presence (RFC 6121 §2.1.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Subscription {
    /// Neither.
    #[default]
    None,
    /// The user sees the contact.
    To,
    /// The contact sees the user.
    From,
    /// Both.
    Both,
}

impl Subscription {
    /// The value of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::To => "to",
            Self::From => "from",
            Self::Both => "both",
        }
    }

    /// The user sees the contact.
    pub fn sees(self) -> bool {
        matches!(self, Self::To | Self::Both)
    }

    /// The contact sees the user.
    pub fn shows(self) -> bool {
        matches!(self, Self::From | Self::Both)
    }
}

/// A change of one contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RosterChange {
    /// This contact is now so; the store fills in its version.
    Put(RosterItem),
    /// This contact is gone.
    Remove(BareJid),
}

/// Tells whether this is a roster or block list push that is not of the account's own server
/// (row R04).
///
/// A client believes pushes that come from nobody or from its own account (§2.1.6), and some
/// clients believe any. So none that somebody else has made is let through.
pub fn is_forged_push(stanza: &Stanza, facts: &Facts<'_>) -> bool {
    let Stanza::Iq(iq) = stanza else { return false };
    let is_push = |child: Child| child.namespace() == NS || child.namespace() == blocking::NS;
    if iq.kind != IqKind::Set || !iq.payload().is_some_and(is_push) {
        return false;
    }
    iq.head
        .from
        .as_ref()
        .is_some_and(|from| from.as_str() != facts.account.as_str())
}

/// The payload of a push that shows a contact as the next change will leave it (§2.1.6).
pub(crate) fn push_of(item: Element, facts: &Facts<'_>) -> Effect {
    let version = facts.data.roster.next_version();
    Effect::Push(Interest::Roster, query(version).child(item))
}

/// The `<item/>` of a contact that is gone (§2.5).
pub(crate) fn removed_element(jid: &BareJid) -> Element {
    Element::new("item", NS)
        .attr("jid", jid.as_str())
        .attr("subscription", "remove")
}

fn query(version: u64) -> Element {
    Element::new("query", NS).attr("ver", version.to_string())
}

/// Answers a request for the roster (§2.2), in full or by what has changed (§2.6.3).
fn get(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    // §2.2: nobody but the account itself reads its roster.
    let Some(session) = facts.session else {
        return refuse(iq, StanzaError::forbidden());
    };
    let roster = &facts.data.roster;
    let asked = iq
        .payloads
        .element("query", NS)
        .and_then(|query| query.get("ver").map(str::to_owned));
    // §2.1.6: whoever has asked is told of changes. First, so that no change falls between.
    let mut effects = vec![Effect::Flag(Flag::Interested(Interest::Roster))];
    let known = asked.as_deref().and_then(|ver| ver.parse::<u64>().ok());
    let Some(missed) = known.and_then(|version| changes_since(roster, version)) else {
        effects.push(Effect::Reply(Stanza::Iq(
            iq.result(Some(whole(roster, asked.is_some()))),
        )));
        return effects;
    };
    // §2.6.3: an empty result says that what is cached holds; pushes say what does not.
    effects.push(Effect::Reply(Stanza::Iq(iq.result(None))));
    let to = &session.jid;
    effects.extend(
        missed
            .into_iter()
            .enumerate()
            .map(|(place, (version, item))| {
                let head = Head {
                    to: Some(to.clone().into()),
                    from: None,
                    // Unique within the stream as long as the roster moves on between two logins.
                    id: Some(format!("roster-{version}-{place}").into()),
                    lang: None,
                };
                let mut payloads = Payloads::default();
                payloads.push(&query(version).child(item));
                Effect::Reply(Stanza::Iq(Iq {
                    head,
                    kind: IqKind::Set,
                    payloads,
                }))
            }),
    );
    effects
}

pub(crate) fn whole(roster: &Roster, is_versioned: bool) -> Element {
    let items = roster.listed().map(RosterItem::to_element);
    // §2.6.2: versions are for those who have asked with one, be it empty.
    let query = if is_versioned {
        query(roster.version)
    } else {
        Element::new("query", NS)
    };
    items.fold(query, Element::child)
}

/// What a client that knows this version has missed, each change with the version it leaves
/// the client at; `None` when the whole roster tells it better.
fn changes_since(roster: &Roster, known: u64) -> Option<Vec<(u64, Element)>> {
    // A version of the future is of another life of the account, or made up.
    if known > roster.version {
        return None;
    }
    // What was removed before the oldest removal remembered cannot be told any more.
    let oldest = roster.removed.iter().map(|(_, version)| *version).min();
    if oldest.is_some_and(|oldest| known.saturating_add(1) < oldest) {
        return None;
    }
    let mut missed: Vec<(u64, Element)> = roster
        .listed()
        .filter(|item| item.version > known)
        .map(|item| (item.version, item.to_element()))
        .collect();
    // Of a contact who was removed a request may be left, and that is no contact either.
    let unlisted = roster
        .items
        .values()
        .filter(|item| !item.listed && item.version > known);
    missed.extend(unlisted.map(|item| (item.version, removed_element(&item.jid))));
    let is_back = |jid: &BareJid| roster.items.contains_key(jid);
    missed.extend(
        roster
            .removed
            .iter()
            .filter(|(jid, version)| *version > known && !is_back(jid))
            .map(|(jid, version)| (*version, removed_element(jid))),
    );
    // As many pushes as contacts would cost more than the roster they save.
    if missed.len() > 16 && missed.len() * 2 > roster.items.len() {
        return None;
    }
    missed.sort_by_key(|(version, _)| *version);
    Some(number(missed, known, roster.version))
}

/// Gives each push the version up to which nothing is missing once it has arrived: of changes
/// made together only the last one may say that they all are there.
fn number(missed: Vec<(u64, Element)>, known: u64, last: u64) -> Vec<(u64, Element)> {
    let versions: Vec<u64> = missed.iter().map(|(version, _)| *version).collect();
    let mut safe = known;
    let reached = |place: usize, safe: u64| match versions.get(place + 1) {
        None => last,
        Some(next) if *next > versions[place] => versions[place],
        Some(_) => safe,
    };
    missed
        .into_iter()
        .enumerate()
        .map(|(place, (_, element))| {
            safe = reached(place, safe);
            (safe, element)
        })
        .collect()
}

#[cfg(test)]
mod tests;
