//! Last Activity: XEP-0012 version 2.0,
//! <https://xmpp.org/extensions/xep-0012.html>
//!
//! How long the server has been up, and since when an account is away and what it said when it
//! went. Idle times of clients are the clients' to tell.
//!
//! When the last resource of an account goes, that is kept under a name of its own. A server
//! that crashes keeps nothing of those who were there.
//!
//! DEVIATION: a question to a full address goes to its client whoever asks (§4 would have it
//! refused for who may not see the presence). Only who was shown such an address knows it, other
//! servers deliver, and slixmpp's own test asks like that; what a client answers is its user's to
//! say (§8).

use bytes::Bytes;

use super::{Feature, Scope, Spec, get, refuse};
use crate::effect::{Answer, Change, Effect, KeptChange, Query};
use crate::facts::Facts;
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Iq, Presence, Stanza, StanzaError};
use crate::time::Timestamp;
use crate::xml::Element;

/// The namespace.
pub const NS: &str = "jabber:iq:last";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "last_activity",
    title: "Last Activity",
    spec: Spec::Xep {
        number: 12,
        version: "2.0",
    },
    disco: &[NS],
    disco_account: &[NS],
    iq: &[
        get(Scope::Server, NS, "query", uptime),
        get(Scope::Account, NS, "query", account),
    ],
    ..Feature::NONE
};

/// What an account keeps it under; names of private XML begin with another word.
pub const NAME: &str = "last activity";

/// A status is a line to be read; what is longer is cut.
const STATUS_BYTES_MAX: usize = 1024;

/// §5: since when the server runs.
fn uptime(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    reply(iq, facts.host.started, "", facts)
}

/// §3.
fn account(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    if !iq
        .head
        .from
        .as_ref()
        .is_some_and(|from| may_ask(from, facts))
    {
        return refuse(iq, StanzaError::forbidden());
    }
    let is_own = facts.session.is_some();
    // Who is connected and does not show it is not betrayed here: §3 leaves that to us.
    match is_own || facts.resources().available().next().is_some() {
        true => reply(iq, facts.now, "", facts),
        false => vec![Effect::Load(Query::Kept(NAME.to_owned(), None), tell)],
    }
}

fn tell(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Iq(iq) = stanza else {
        return Vec::new();
    };
    match answer {
        Answer::Kept(kept) => match kept.value.as_deref().and_then(read) {
            Some((left, status)) => reply(iq, left, status, facts),
            None => {
                let never = "has not been here since this is kept";
                refuse(iq, StanzaError::item_not_found().with_text(never))
            }
        },
        Answer::Failed(error) => refuse(iq, error),
        _ => refuse(iq, StanzaError::internal_server_error()),
    }
}

/// Row R15 and §8: only who sees the presence, and nobody else learns more of an account than
/// of one that is not there (row A11).
fn may_ask(from: &Jid, facts: &Facts<'_>) -> bool {
    from.bare_str() == facts.account.as_str() || facts.shows(from.bare_str())
}

/// A resource goes and says so. Whether it was the last one is found out when that has been
/// published: of two that go at once, the later one sees that nobody is left.
pub(crate) fn goes() -> Effect {
    Effect::Load(Query::Kept(NAME.to_owned(), None), remember)
}

fn remember(stanza: &Stanza, _before: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Presence(presence) = stanza else {
        return Vec::new();
    };
    let change = gone(Some(presence), facts);
    let change = change.map(|change| Effect::Change(Change::Kept(change)));
    change.into_iter().collect()
}

/// What is kept when a resource has gone, with what it said if it said anything; `None` while
/// another one is there.
pub fn gone(presence: Option<&Presence>, facts: &Facts<'_>) -> Option<KeptChange> {
    let view = facts.resources();
    let me = facts.session.map(|session| &session.jid);
    if view.available().any(|resource| Some(&resource.jid) != me) {
        return None;
    }
    let status = presence.and_then(|presence| presence.payloads.text_of("status", ns::CLIENT));
    let status = status.unwrap_or_default();
    let end = status.floor_char_boundary(STATUS_BYTES_MAX);
    let value = format!("{} {}", facts.now.0, &status[..end]);
    Some(KeptChange {
        name: NAME.to_owned(),
        value: Some(Bytes::from(value)),
    })
}

/// When the account was last there, of what it keeps.
pub fn last_seen(value: &[u8]) -> Option<Timestamp> {
    read(value).map(|(left, _)| left)
}

fn read(value: &[u8]) -> Option<(Timestamp, &str)> {
    let (left, status) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    Some((Timestamp(left.parse().ok()?), status))
}

fn reply(iq: &Iq, since: Timestamp, status: &str, facts: &Facts<'_>) -> Vec<Effect> {
    let seconds = facts.now.since(since).as_secs();
    let query = Element::new("query", NS).attr("seconds", seconds.to_string());
    let query = match status {
        "" => query,
        status => query.text(status.to_owned()),
    };
    vec![Effect::Reply(Stanza::Iq(iq.result(Some(query))))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Kept;
    use crate::features::roster::Subscription;
    use crate::testkit::*;

    const JULIET: &str = "juliet@example.org";

    fn question(to: &str) -> String {
        format!("<iq type='get' id='l' from='{JULIET}/x' to='{to}'><query xmlns='{NS}'/></iq>")
    }

    /// What is answered for an account of which this is kept.
    fn told(kept: Option<&str>) -> Vec<Effect> {
        let mut given = facts().contact(JULIET, Subscription::From);
        given.online = Online::default();
        given.now = Timestamp(10_000_000);
        let effects = given.account_gets(&question(ACCOUNT));
        let [Effect::Load(_, go_on)] = effects.as_slice() else {
            panic!("{effects:?}")
        };
        let value = kept.map(|kept| Bytes::from(kept.to_owned()));
        let kept = Kept {
            value,
            ..Kept::default()
        };
        let answer = Answer::Kept(Box::new(kept));
        go_on(&parse(&question(ACCOUNT)), answer, &given.account_facts())
    }

    #[test]
    fn the_server_says_how_long_it_has_been_up() {
        let mut given = facts();
        given.now = Timestamp(5_900_000);
        let asked = format!("<iq type='get' id='l' to='example.org'><query xmlns='{NS}'/></iq>");
        let answer = format!(
            "<iq type='result' id='l' from='example.org' to='{ME}'><query xmlns='{NS}' seconds='5'/></iq>"
        );
        check(given, &asked, &[reply_of(&answer)]);
    }

    fn reply_of(xml: &str) -> Effect {
        Effect::Reply(parse(xml))
    }

    #[test]
    fn who_went_is_told_of_with_the_last_words() {
        let answer = format!(
            "<iq type='result' id='l' from='{ACCOUNT}' to='{JULIET}/x'>\
             <query xmlns='{NS}' seconds='7'>Heading Home</query></iq>"
        );
        same(&told(Some("3000000 Heading Home")), &[reply_of(&answer)]);
        let answer = format!(
            "<iq type='result' id='l' from='{ACCOUNT}' to='{JULIET}/x'>\
             <query xmlns='{NS}' seconds='7'/></iq>"
        );
        same(&told(Some("3000000 ")), &[reply_of(&answer)]);
        assert_eq!(refusal(&told(None)), "item-not-found");
    }

    #[test]
    fn who_is_there_was_active_now() {
        let given = facts().contact(JULIET, Subscription::Both).available();
        let answer = format!(
            "<iq type='result' id='l' from='{ACCOUNT}' to='{JULIET}/x'>\
             <query xmlns='{NS}' seconds='0'/></iq>"
        );
        check_account(given, &question(ACCOUNT), &[reply_of(&answer)]);
    }

    #[test]
    fn r15_a11_only_who_sees_the_presence_is_told() {
        for given in [
            facts().available(),
            facts(),
            facts().contact(JULIET, Subscription::To).available(),
            facts().contact(JULIET, Subscription::None).available(),
        ] {
            assert_eq!(
                refusal(&given.account_gets(&question(ACCOUNT))),
                "forbidden"
            );
        }
    }

    #[test]
    fn a_question_to_a_resource_comes_to_its_client() {
        for given in [
            facts().contact(JULIET, Subscription::From).available(),
            facts().available(),
        ] {
            let asked = question(ME);
            same(&given.session_gets(&asked), &[reply_of(&asked)]);
        }
    }

    #[test]
    fn it_is_kept_when_the_last_resource_goes() {
        let presence =
            parse_presence("<presence type='unavailable'><status>Bed</status></presence>");
        let given = facts().available();
        let change = gone(Some(&presence), &given.facts()).unwrap();
        assert_eq!(change.value.as_deref(), Some(&b"1000000 Bed"[..]));
        let given = given.online("romeo@example.org/orchard", Some("<presence/>"));
        assert_eq!(gone(Some(&presence), &given.facts()), None);
    }

    #[test]
    fn long_last_words_are_cut_between_letters() {
        let status = "ü".repeat(STATUS_BYTES_MAX);
        let xml = format!("<presence type='unavailable'><status>{status}</status></presence>");
        let change = gone(Some(&parse_presence(&xml)), &facts().facts()).unwrap();
        let value = change.value.unwrap();
        let (_, kept) = read(&value).unwrap();
        assert_eq!(kept.len(), STATUS_BYTES_MAX);
    }
}
