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

fn whole(roster: &Roster, is_versioned: bool) -> Element {
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
    let is_back = |jid: &BareJid| roster.items.get(jid).is_some_and(|item| item.listed);
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
mod tests {
    use super::*;
    use crate::testkit::*;

    const GET: &str = "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>";

    fn get_with(version: &str) -> String {
        GET.replace("<query ", &format!("<query ver='{version}' "))
    }

    fn result(payload: &str) -> Effect {
        reply(&format!(
            "<iq type='result' id='r' to='{ME}'>{payload}</iq>"
        ))
    }

    fn at(version: u64, address: &str) -> RosterItem {
        RosterItem {
            version,
            ..item(address, Subscription::Both)
        }
    }

    fn pushed(id: &str, version: u64, address: &str, subscription: &str) -> Effect {
        reply(&format!(
            "<iq type='set' id='{id}' to='{ME}'><query xmlns='jabber:iq:roster' ver='{version}'>\
             <item jid='{address}' subscription='{subscription}'/></query></iq>"
        ))
    }

    const INTERESTED: Effect = Effect::Flag(Flag::Interested(Interest::Roster));

    #[test]
    fn an_empty_roster_is_an_empty_query() {
        check(
            facts(),
            GET,
            &[INTERESTED, result("<query xmlns='jabber:iq:roster'/>")],
        );
    }

    #[test]
    fn the_roster_may_be_asked_of_the_own_account_by_name() {
        let ask = GET.replace("<iq ", "<iq to='romeo@example.org' ");
        let answer = format!(
            "<iq type='result' id='r' from='{ACCOUNT}' to='{ME}'>\
             <query xmlns='jabber:iq:roster'/></iq>"
        );
        check(facts(), &ask, &[INTERESTED, reply(&answer)]);
    }

    #[test]
    fn every_attribute_of_a_contact_is_shown() {
        let juliet = RosterItem {
            name: Some("Juliet <3".into()),
            groups: vec!["Friends".into(), "Lovers".into()],
            ask: true,
            approved: true,
            ..item("juliet@example.org", Subscription::From)
        };
        let shown = "<query xmlns='jabber:iq:roster'>\
            <item jid='juliet@example.org' name='Juliet &lt;3' subscription='from' \
            ask='subscribe' approved='true'><group>Friends</group><group>Lovers</group></item>\
            <item jid='nurse@example.org' subscription='none'/></query>";
        let given = facts()
            .item(juliet)
            .contact("nurse@example.org", Subscription::None);
        check(given, GET, &[INTERESTED, result(shown)]);
    }

    #[test]
    fn a_request_alone_makes_no_contact() {
        let stranger = RosterItem {
            pending_in: Some(Bytes::from_static(b"<presence/>")),
            ..RosterItem::new(bare("tybalt@example.org"))
        };
        check(
            facts().item(stranger),
            GET,
            &[INTERESTED, result("<query xmlns='jabber:iq:roster'/>")],
        );
    }

    #[test]
    fn strangers_may_not_read_the_roster() {
        let ask = GET.replace(
            "<iq ",
            "<iq from='tybalt@example.org/x' to='romeo@example.org' ",
        );
        assert_eq!(refusal(&facts().account_gets(&ask)), "forbidden");
    }

    #[test]
    fn the_version_is_told_to_those_who_ask_with_one() {
        let shown = "<query xmlns='jabber:iq:roster' ver='7'>\
            <item jid='juliet@example.org' subscription='both'/></query>";
        let given = || facts().item(at(7, "juliet@example.org"));
        check(given(), &get_with(""), &[INTERESTED, result(shown)]);
        check(given(), &get_with("made up"), &[INTERESTED, result(shown)]);
    }

    #[test]
    fn who_knows_the_version_gets_nothing_again() {
        let given = facts().item(at(7, "juliet@example.org"));
        check(given, &get_with("7"), &[INTERESTED, result("")]);
    }

    #[test]
    fn a_version_of_the_future_gets_the_whole_roster() {
        let shown = "<query xmlns='jabber:iq:roster' ver='7'>\
            <item jid='juliet@example.org' subscription='both'/></query>";
        check(
            facts().item(at(7, "juliet@example.org")),
            &get_with("8"),
            &[INTERESTED, result(shown)],
        );
    }

    #[test]
    fn who_knows_an_older_version_is_told_what_has_changed() {
        let mut given = facts()
            .item(at(3, "nurse@example.org"))
            .item(at(5, "juliet@example.org"))
            .item(at(7, "mercutio@example.org"));
        given.data.roster.removed = vec![(bare("paris@example.org"), 6)];
        check(
            given,
            &get_with("5"),
            &[
                INTERESTED,
                result(""),
                pushed("roster-6-0", 6, "paris@example.org", "remove"),
                pushed("roster-7-1", 7, "mercutio@example.org", "both"),
            ],
        );
    }

    #[test]
    fn of_changes_made_together_only_the_last_one_raises_the_version() {
        let given = facts()
            .item(at(4, "a@example.org"))
            .item(at(4, "b@example.org"));
        check(
            given,
            &get_with("2"),
            &[
                INTERESTED,
                result(""),
                pushed("roster-2-0", 2, "a@example.org", "both"),
                pushed("roster-4-1", 4, "b@example.org", "both"),
            ],
        );
    }

    #[test]
    fn who_is_back_is_not_reported_as_removed() {
        let mut given = facts().item(at(9, "juliet@example.org"));
        given.data.roster.removed = vec![(bare("juliet@example.org"), 8)];
        let expected = [
            INTERESTED,
            result(""),
            pushed("roster-9-0", 9, "juliet@example.org", "both"),
        ];
        check(given, &get_with("7"), &expected);
    }

    #[test]
    fn removals_forgotten_mean_the_whole_roster() {
        let mut given = facts().item(at(9, "juliet@example.org"));
        given.data.roster.removed = vec![(bare("paris@example.org"), 6)];
        let shown = "<query xmlns='jabber:iq:roster' ver='9'>\
            <item jid='juliet@example.org' subscription='both'/></query>";
        check(given, &get_with("4"), &[INTERESTED, result(shown)]);
    }

    #[test]
    fn r04_pushes_of_others_never_reach_a_client() {
        let forged = |from: &str, payload: &str| {
            let xml = format!("<iq type='set' id='x' {from} to='{ME}'>{payload}</iq>");
            facts().session_gets(&xml)
        };
        let payloads = [
            "<query xmlns='jabber:iq:roster'><item jid='evil@example.org'/></query>",
            "<block xmlns='urn:xmpp:blocking'><item jid='juliet@example.org'/></block>",
            "<unblock xmlns='urn:xmpp:blocking'/>",
        ];
        let senders = [
            "from='evil@example.org/x'",
            "from='evil@example.org'",
            "from='example.org'",
            "from='romeo@example.org/orchard'",
        ];
        for payload in payloads {
            for from in senders {
                let effects = forged(from, payload);
                assert_eq!(refusal(&effects), "service-unavailable", "{from} {payload}");
                assert!(
                    matches!(effects[..], [Effect::Route(_)]),
                    "the sender is told"
                );
            }
            for own in ["", "from='romeo@example.org'"] {
                assert!(matches!(
                    forged(own, payload)[..],
                    [Effect::Reply(Stanza::Iq(_))]
                ));
            }
        }
    }
}
