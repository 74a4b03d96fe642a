//! The roster: RFC 6121 §2, with roster versioning (§2.6).
//!
//! Here: what a roster is, how it is read. How it is changed by its user: [`set`]. What the
//! organisation's directory adds to it: [`shared`]; who sees whom by both: [`sight`].
//! Left out: items addressed by a full JID, as some gateways once used them; a contact is an
//! account or a domain, and an address is taken without its resource.

pub mod set;
pub mod shared;
pub mod sight;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use self::shared::Version;
use super::{Feature, Scope, Spec, blocking, get as get_rule, refuse, set as set_rule};
use crate::colleagues::{Book, Colleague};
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

    /// The contacts who see the user's presence by a subscription.
    pub(crate) fn viewers(&self) -> impl Iterator<Item = &BareJid> {
        let viewers = self.items.values().filter(|item| item.subscription.shows());
        viewers.map(|item| &item.jid)
    }

    /// The contacts whose presence the user sees by a subscription; [`sight`] knows of the others.
    pub fn seen(&self) -> impl Iterator<Item = &BareJid> {
        let seen = self.items.values().filter(|item| item.subscription.sees());
        seen.map(|item| &item.jid)
    }

    /// Tells whether a contact sees the user's presence by a subscription; colleagues do so
    /// without one ([`sight`]).
    pub fn shows(&self, contact: &str) -> bool {
        let item = self.items.get(contact);
        item.is_some_and(|item| item.subscription.shows())
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
    fn sees(self) -> bool {
        matches!(self, Self::To | Self::Both)
    }

    /// The contact sees the user.
    fn shows(self) -> bool {
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

/// The push that shows a contact as the next change will leave it (§2.1.6): its own item, or none,
/// and what the directory says of it.
pub(crate) fn push_of(jid: &BareJid, own: Option<&RosterItem>, facts: &Facts<'_>) -> Effect {
    let version = facts.data.roster.next_version();
    push_as(version, jid, own, facts)
}

/// The push that shows a contact that stays as it was, for a client that may believe otherwise.
pub(crate) fn push_again(jid: &BareJid, facts: &Facts<'_>) -> Effect {
    let version = facts.data.roster.version;
    push_as(version, jid, facts.data.roster.items.get(jid), facts)
}

fn push_as(version: u64, jid: &BareJid, own: Option<&RosterItem>, facts: &Facts<'_>) -> Effect {
    let item = shared::shown_now(jid, own, &facts.views.book(), facts.account);
    let query = Element::new("query", NS).attr("ver", version.to_string());
    Effect::Push(Interest::Roster, query.child(item))
}

/// The `<item/>` of a contact that is gone (§2.5).
pub(crate) fn removed_element(jid: &BareJid) -> Element {
    Element::new("item", NS)
        .attr("jid", jid.as_str())
        .attr("subscription", "remove")
}

fn query(version: Version) -> Element {
    Element::new("query", NS).attr("ver", version.to_string())
}

/// Answers a request for the roster (§2.2), in full or by what has changed (§2.6.3).
fn get(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    // §2.2: nobody but the account itself reads its roster.
    let Some(session) = facts.session else {
        return refuse(iq, StanzaError::forbidden());
    };
    let book = facts.views.book();
    let now = Version {
        own: facts.data.roster.version,
        shared: book.digest(facts.account),
    };
    let asked = iq
        .payloads
        .element("query", NS)
        .and_then(|query| query.get("ver").map(str::to_owned));
    // §2.1.6: whoever has asked is told of changes. First, so that no change falls between.
    let mut effects = vec![
        Effect::Flag(Flag::Interested(Interest::Roster)),
        Effect::Flag(Flag::Roster(now)),
    ];
    let known = asked.as_deref().and_then(|ver| ver.parse().ok());
    let missed = known.and_then(|known| changes_since(known, now, &book, facts));
    let Some(missed) = missed else {
        let query = match asked {
            // §2.6.2: versions are for those who have asked with one, be it empty.
            Some(_) => query(now),
            None => Element::new("query", NS),
        };
        let whole = whole(query, &facts.data.roster, &book, facts.account);
        effects.push(Effect::Reply(Stanza::Iq(iq.result(Some(whole)))));
        return effects;
    };
    // §2.6.3: an empty result says that what is cached holds; pushes say what does not.
    effects.push(Effect::Reply(Stanza::Iq(iq.result(None))));
    let pushes = missed.into_iter().enumerate();
    effects.extend(pushes.map(|(place, (version, item))| {
        let head = Head {
            to: Some(session.jid.clone().into()),
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
    }));
    effects
}

/// The account's own contacts, as an administrator is shown them.
pub(crate) fn own(roster: &Roster) -> Element {
    let items = roster.listed().map(RosterItem::to_element);
    Element::new("query", NS).children_from(items)
}

/// Everything the user sees in the roster, in order of the addresses.
fn whole(query: Element, roster: &Roster, book: &Book, account: &BareJid) -> Element {
    let colleagues = book.colleagues(account);
    let mut shared: BTreeMap<&BareJid, &Colleague<'_>> =
        colleagues.iter().map(|it| (it.account, it)).collect();
    let mut items: BTreeMap<&BareJid, Element> = BTreeMap::new();
    for (jid, item) in &roster.items {
        if let Some(element) = shared::shown(Some(item), shared.remove(jid)) {
            items.insert(jid, element);
        }
    }
    for (jid, colleague) in shared {
        items.extend(shared::shown(None, Some(colleague)).map(|element| (jid, element)));
    }
    query.children_from(items.into_values())
}

/// What a client that knows this version has missed, each change with the version it leaves
/// the client at; `None` when the whole roster tells it better.
fn changes_since(
    known: Version,
    now: Version,
    book: &Book,
    facts: &Facts<'_>,
) -> Option<Vec<(Version, Element)>> {
    let roster = &facts.data.roster;
    let mut own = own_changes_since(roster, known.own)?;
    let shifts = book.changed_since(facts.account, known.shared)?;
    own.sort_by_key(|(version, _)| *version);
    // Who has changed by both is told of with the directory.
    let shared: BTreeSet<BareJid> = shifts.into_iter().map(|shift| shift.account).collect();
    own.retain(|(_, jid)| !shared.contains(jid));
    // As many pushes as contacts would cost more than the roster they save.
    let missed = own.len() + shared.len();
    if missed > 16 && missed * 2 > roster.items.len() + colleagues_at_most(book, facts.account) {
        return None;
    }
    let at = |own| Version {
        own,
        shared: known.shared,
    };
    let shared_count = shared.len();
    let own = number(own, known.own, now.own).into_iter();
    // Where the directory has changed too, none before the last may say that all is there of it.
    let own = own.map(|(version, jid)| (at(version), jid));
    let shared = shared.into_iter().enumerate().map(|(place, jid)| {
        let is_last = place + 1 == shared_count;
        (if is_last { now } else { at(now.own) }, jid)
    });
    let element =
        |jid: &BareJid| shared::shown_now(jid, roster.items.get(jid), book, facts.account);
    let mut all: Vec<(Version, Element)> = own
        .chain(shared)
        .map(|(version, jid)| (version, element(&jid)))
        .collect();
    if let Some((version, _)) = all.last_mut() {
        // What the directory showed may have another number and be the same.
        *version = now;
    }
    Some(all)
}

/// As many colleagues as an account may have: some may be counted for each group they share.
fn colleagues_at_most(book: &Book, account: &BareJid) -> usize {
    book.groups(account)
        .map(|(_, group)| group.members.len())
        .sum()
}

/// The contacts of whom the account's own roster says something else than at this version, each
/// with the version that did it; `None` when that is not remembered.
fn own_changes_since(roster: &Roster, known: u64) -> Option<Vec<(u64, BareJid)>> {
    // A version of the future is of another life of the account, or made up.
    if known > roster.version {
        return None;
    }
    // What was removed before the oldest removal remembered cannot be told any more.
    let oldest = roster.removed.iter().map(|(_, version)| *version).min();
    if oldest.is_some_and(|oldest| known.saturating_add(1) < oldest) {
        return None;
    }
    // Of a contact who was removed a request may be left, and that is no contact either.
    let changed = roster.items.values().filter(|item| item.version > known);
    let mut missed: Vec<(u64, BareJid)> = changed
        .map(|item| (item.version, item.jid.clone()))
        .collect();
    let is_back = |jid: &BareJid| roster.items.contains_key(jid);
    missed.extend(
        roster
            .removed
            .iter()
            .filter(|(jid, version)| *version > known && !is_back(jid))
            .map(|(jid, version)| (*version, jid.clone())),
    );
    Some(missed)
}

/// Gives each push the version up to which nothing is missing once it has arrived: of changes
/// made together only the last one may say that they all are there.
fn number(missed: Vec<(u64, BareJid)>, known: u64, last: u64) -> Vec<(u64, BareJid)> {
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
        .map(|(place, (_, jid))| {
            safe = reached(place, safe);
            (safe, jid)
        })
        .collect()
}

#[cfg(test)]
mod tests;
