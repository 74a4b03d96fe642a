//! What the user's clients are shown of contacts: the account's own items and the groups of the
//! organisation's directory, merged (XEP-0140 had such groups; how they are mixed is ours).
//!
//! A name the user gave wins, groups are those of both, and colleagues see each other. What the
//! directory says is not kept in the account's roster: when it says something else, that holds
//! at once, and what the user has added stays.

use std::fmt;
use std::str::FromStr;

use super::{NS, RosterItem, Subscription, removed_element};
use crate::colleagues::{Book, Colleague};
use crate::facts::Facts;
use crate::jid::BareJid;
use crate::xml::Element;

/// Which roster a client has (RFC 6121 §2.6): the account's own version, and what the directory
/// shows it, as a number of the [`Book`]. `7`, or `7-` and the number in hexadecimal; `7` is what
/// a client from before there was a directory says, and one that was shown nobody by it.
///
/// Pushes of what the account itself has changed say the first alone: what a client knows of the
/// directory its session knows, and adds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Version {
    /// The account's own.
    pub own: u64,
    /// The directory's.
    pub shared: u64,
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shared {
            0 => write!(formatter, "{}", self.own),
            shared => write!(formatter, "{}-{shared:016x}", self.own),
        }
    }
}

impl Version {
    /// What the directory shows, for a client of which that is not known: no book has it, so that
    /// the whole roster is told when the client asks next.
    pub const UNKNOWN: u64 = u64::MAX;
}

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (own, shared) = match text.split_once('-') {
            Some((own, shared)) => (own, u64::from_str_radix(shared, 16).map_err(|_| ())?),
            None => (text, 0),
        };
        let own = own.parse().map_err(|_| ())?;
        Ok(Self { own, shared })
    }
}

/// A contact as the user's clients see it; `None` when it is none.
pub fn shown(own: Option<&RosterItem>, shared: Option<&Colleague<'_>>) -> Option<Element> {
    let listed = own.filter(|item| item.listed);
    let Some(colleague) = shared else {
        return listed.map(RosterItem::to_element);
    };
    let mut item = RosterItem::new(colleague.account.clone());
    item.name = Some(colleague.name.to_owned()).filter(|name| !name.is_empty());
    if let Some(own) = listed {
        item.name = own.name.clone().or(item.name);
        item.groups.clone_from(&own.groups);
    }
    for group in &colleague.groups {
        if !item.groups.iter().any(|own| own == group) {
            item.groups.push((*group).to_owned());
        }
    }
    // Whatever was asked for between the two is settled.
    item.subscription = Subscription::Both;
    Some(item.to_element())
}

/// The `<item/>` of an address as the clients are shown it now (§2.1.6), be it no contact.
pub(crate) fn shown_now(
    jid: &BareJid,
    own: Option<&RosterItem>,
    book: &Book,
    me: &BareJid,
) -> Element {
    let shared = book.colleague(me, jid);
    shown(own, shared.as_ref()).unwrap_or_else(|| removed_element(jid))
}

/// The payload of a push about somebody whom the directory shows otherwise now, for a client that
/// is at this version with it.
pub fn push(
    other: &BareJid,
    own: Option<&RosterItem>,
    book: &Book,
    account: &BareJid,
    version: Version,
) -> Element {
    Element::new("query", NS)
        .attr("ver", version.to_string())
        .child(shown_now(other, own, book, account))
}

/// Takes out of an item what the directory says anyway: a client that changes a contact says
/// again what it was shown, and what nobody has added is not to stay when the directory says
/// something else.
pub(super) fn without_shared(item: &mut RosterItem, facts: &Facts<'_>) {
    let book = facts.views.book();
    let Some(colleague) = book.colleague(facts.account, &item.jid) else {
        return;
    };
    item.name.take_if(|name| name == colleague.name);
    item.groups
        .retain(|group| !colleague.groups.contains(&group.as_str()));
}
