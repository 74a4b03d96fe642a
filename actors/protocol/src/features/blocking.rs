//! Blocking Command: XEP-0191 version 1.3,
//! <https://xmpp.org/extensions/xep-0191.html>
//!
//! Here: whom an account blocks, and what that refuses. How the list is read and changed by
//! its user: [`command`].
//! Left out: privacy lists (XEP-0016), which are deprecated. After unblocking (§2.4) the
//! contact's own presence is not asked for; it shows at its next change.

pub mod command;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Feature, Scope, Spec, get, set};
use crate::effect::Effect;
use crate::facts::Facts;
use crate::jid::{BareJid, Jid};
use crate::pipeline::is_answerable;
use crate::routing::{Routed, route};
use crate::stanza::{ErrorKind, IqKind, Stanza, StanzaError};
use crate::xml::Element;

/// Namespace of the commands.
pub const NS: &str = "urn:xmpp:blocking";
/// Namespace of the error that tells the user whom they block (§2.3).
pub const NS_ERRORS: &str = "urn:xmpp:blocking:errors";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "blocking",
    title: "Blocking Command",
    spec: Spec::Xep {
        number: 191,
        version: "1.3",
    },
    // §2.1: the server announces it.
    disco: &[NS],
    iq: &[
        get(Scope::Own, NS, "blocklist", command::get),
        set(Scope::Own, NS, "block", command::block),
        set(Scope::Own, NS, "unblock", command::unblock),
    ],
    ..Feature::NONE
};

/// Whom an account blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocklist {
    /// Raised by every change.
    pub version: u64,
    /// Full JIDs, accounts, domains with a resource, domains.
    pub jids: BTreeSet<Jid>,
}

impl Blocklist {
    /// Tells whether an address is on the list (§5): itself, its account, or its domain.
    pub fn covers(&self, jid: &Jid) -> bool {
        if self.jids.is_empty() {
            return false;
        }
        let bare = jid.bare();
        self.jids.contains(jid)
            // §5 rule 2; a domain's own resource is covered by the domain, rule 4.
            || self.jids.contains(&Jid::from(bare.clone()))
            || self.jids.contains(&Jid::from(bare.domain_jid()))
    }
}

/// Addresses added to and removed from a block list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlocklistChange {
    /// Blocked from now on.
    pub add: Vec<Jid>,
    /// No longer blocked.
    pub remove: Vec<Jid>,
}

/// Tells whether the account blocks this address.
pub fn is_blocked(jid: &Jid, facts: &Facts<'_>) -> bool {
    !is_exempt(jid, facts) && facts.data.blocklist.covers(jid)
}

/// The accounts of which a single resource is blocked. Collected once for many contacts.
pub(crate) fn partly_blocked(facts: &Facts<'_>) -> BTreeSet<BareJid> {
    let jids = facts.data.blocklist.jids.iter();
    jids.filter(|jid| jid.resource().is_some())
        .map(Jid::bare)
        .collect()
}

/// §4, note: a user's resources never block each other. Nor is the account's own server
/// blocked with a domain: it answers for the account.
fn is_exempt(jid: &Jid, facts: &Facts<'_>) -> bool {
    let is_server = jid.localpart().is_none() && facts.host.serves(jid.domain());
    is_server || jid.bare_str() == facts.account.as_str()
}

/// Refuses what the user sends to somebody they block (§2.3, `<blocked/>`).
pub fn refuse_outgoing(stanza: &Stanza, facts: &Facts<'_>) -> Option<StanzaError> {
    if !is_blocked(stanza.to()?, facts) {
        return None;
    }
    // §2.3, example 8: trying again is of no use before unblocking.
    let error = StanzaError::not_acceptable().with_kind(ErrorKind::Cancel);
    Some(error.with_application(Element::new("blocked", NS_ERRORS)))
}

/// What happens to a stanza from somebody the account blocks; `None`: it is not blocked.
///
/// Row R16: every way to a session or an account leads through here, so this is the one
/// place where it is decided.
pub fn refuse_incoming(stanza: &Stanza, facts: &Facts<'_>) -> Option<Vec<Effect>> {
    if !is_blocked(stanza.from()?, facts) {
        return None;
    }
    Some(answer_blocked(stanza, facts))
}

/// §2.3: to the one who is blocked the user appears to be offline.
fn answer_blocked(stanza: &Stanza, facts: &Facts<'_>) -> Vec<Effect> {
    const DROPPED: Effect = Effect::Trace("blocked", "dropped");
    let is_answered = match stanza {
        Stanza::Message(message) => is_answerable(message) && answers_for_account(stanza, facts),
        // No answer and no error to presence of any kind.
        Stanza::Presence(_) => false,
        Stanza::Iq(iq) => matches!(iq.kind, IqKind::Get | IqKind::Set),
    };
    let error = is_answered.then(|| stanza.error_reply(&StanzaError::service_unavailable()));
    // Routed, not replied: the answer is for the sender, not for this session's client.
    vec![error.flatten().map_or(DROPPED, Effect::Route)]
}

/// A message for the account may come to many of its sessions, but one refusal is enough: the
/// first of them speaks.
fn answers_for_account(stanza: &Stanza, facts: &Facts<'_>) -> bool {
    let Some(session) = facts.session else {
        return true;
    };
    match route(stanza, &facts.resources()) {
        Routed::Sessions(sessions) => sessions.first().is_none_or(|first| *first == session.jid),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::*;

    const JULIET: &str = "juliet@capulet.example";

    fn list(entries: &[&str]) -> Blocklist {
        Blocklist {
            version: 0,
            jids: entries.iter().map(|entry| jid(entry)).collect(),
        }
    }

    #[test]
    fn matching_follows_section_5() {
        let cases = [
            (
                "juliet@capulet.example/chamber",
                "juliet@capulet.example/chamber",
                true,
            ),
            (
                "juliet@capulet.example/chamber",
                "juliet@capulet.example/garden",
                false,
            ),
            (
                "juliet@capulet.example/chamber",
                "juliet@capulet.example",
                false,
            ),
            ("juliet@capulet.example", "juliet@capulet.example", true),
            (
                "juliet@capulet.example",
                "juliet@capulet.example/chamber",
                true,
            ),
            ("juliet@capulet.example", "nurse@capulet.example", false),
            ("juliet@capulet.example", "capulet.example", false),
            ("capulet.example/door", "capulet.example/door", true),
            ("capulet.example/door", "capulet.example/window", false),
            ("capulet.example/door", "capulet.example", false),
            ("capulet.example/door", "juliet@capulet.example/door", false),
            ("capulet.example", "capulet.example", true),
            ("capulet.example", "capulet.example/door", true),
            ("capulet.example", "juliet@capulet.example", true),
            ("capulet.example", "juliet@capulet.example/chamber", true),
            ("capulet.example", "house.capulet.example", false),
        ];
        for (blocked, address, expected) in cases {
            assert_eq!(
                list(&[blocked]).covers(&jid(address)),
                expected,
                "{blocked} {address}"
            );
        }
    }

    #[test]
    fn what_goes_to_the_blocked_is_refused_with_the_reason() {
        let given = facts().blocks(JULIET);
        let refused = |xml: &str| refuse_outgoing(&parse(xml), &given.facts());
        for xml in [
            format!("<message to='{JULIET}/chamber'><body>hi</body></message>"),
            format!("<presence to='{JULIET}'/>"),
            format!("<presence type='subscribe' to='{JULIET}'/>"),
            format!(
                "<iq type='get' id='x' to='{JULIET}/chamber'><ping xmlns='urn:xmpp:ping'/></iq>"
            ),
        ] {
            let error = refused(&xml).expect("it is refused");
            let reason = Some(Box::new(Element::new("blocked", NS_ERRORS)));
            assert_eq!(error.application, reason);
            assert_eq!(error.kind, ErrorKind::Cancel);
            assert_eq!(refusal(&given.sends(&xml)), "not-acceptable", "{xml}");
        }
        assert!(refused("<message to='nurse@capulet.example'/>").is_none());
        assert!(refused("<presence/>").is_none());
    }

    #[test]
    fn results_to_the_blocked_vanish() {
        let given = facts().blocks(JULIET);
        for kind in ["result", "error"] {
            let answer = format!("<iq type='{kind}' id='x' to='{JULIET}/chamber'/>");
            assert!(given.sends(&answer).is_empty(), "{kind}");
        }
    }

    /// What becomes of it where the account, and where the session gets it.
    fn both_ways(xml: &str) -> [Vec<Effect>; 2] {
        let given = facts().available().blocks(JULIET);
        [given.account_gets(xml), given.session_gets(xml)]
    }

    #[test]
    fn r16_messages_and_requests_of_the_blocked_are_answered_as_if_nobody_were_there() {
        for xml in [
            format!("<message type='chat' from='{JULIET}/x' to='{ME}'><body>hi</body></message>"),
            format!("<message type='headline' from='{JULIET}/x' to='{ACCOUNT}'/>"),
            format!(
                "<iq type='get' id='x' from='{JULIET}/x' to='{ME}'><ping xmlns='urn:xmpp:ping'/></iq>"
            ),
            format!("<iq type='set' id='x' from='{JULIET}/x' to='{ME}'><x xmlns='urn:x'/></iq>"),
        ] {
            for effects in both_ways(&xml) {
                assert_eq!(refusal(&effects), "service-unavailable", "{xml}");
                assert!(
                    matches!(effects[..], [Effect::Route(_)]),
                    "to the sender: {xml}"
                );
            }
        }
    }

    #[test]
    fn r16_all_else_of_the_blocked_is_dropped_silently() {
        let presences = ["", "unavailable", "subscribe", "subscribed", "unsubscribe"];
        let presences = presences
            .into_iter()
            .chain(["unsubscribed", "probe", "error"]);
        let mut all: Vec<String> = presences
            .map(|kind| match kind {
                "" => format!("<presence from='{JULIET}/x' to='{ME}'/>"),
                kind => format!("<presence type='{kind}' from='{JULIET}/x' to='{ME}'/>"),
            })
            .collect();
        all.push(format!(
            "<message type='error' from='{JULIET}/x' to='{ME}'/>"
        ));
        all.push(format!(
            "<iq type='result' id='x' from='{JULIET}/x' to='{ME}'/>"
        ));
        all.push(format!(
            "<iq type='error' id='x' from='{JULIET}/x' to='{ME}'/>"
        ));
        for xml in all {
            for effects in both_ways(&xml) {
                assert!(
                    matches!(effects[..], [Effect::Trace(..)]),
                    "{xml}: {effects:?}"
                );
            }
        }
    }

    #[test]
    fn a_message_for_the_account_is_refused_once() {
        let given = || {
            facts()
                .blocks(JULIET)
                .online("romeo@example.org/a", Some("<presence/>"))
        };
        let message =
            format!("<message from='{JULIET}/x' to='{ACCOUNT}'><body>hi</body></message>");
        // The other resource is the first one that would get it.
        assert!(matches!(
            given().available().session_gets(&message)[..],
            [Effect::Route(_)]
        ));
        let mut later = given().available();
        later.session.jid = full("romeo@example.org/a");
        assert!(matches!(
            later.session_gets(&message)[..],
            [Effect::Trace(..)]
        ));
    }

    #[test]
    fn nobody_blocks_themselves_or_their_server() {
        let given = facts()
            .available()
            .blocks("example.org")
            .blocks(ACCOUNT)
            .blocks(ME);
        for own in [
            ACCOUNT,
            ME,
            "romeo@example.org/orchard",
            "example.org",
            "example.org/x",
        ] {
            assert!(!is_blocked(&jid(own), &given.facts()), "{own}");
        }
        assert!(is_blocked(&jid("tybalt@example.org"), &given.facts()));
        let ping = "<iq type='get' id='x' to='example.org'><x xmlns='urn:x'/></iq>";
        assert_eq!(refusal(&given.sends(ping)), "service-unavailable");
    }
}
