//! Service Discovery: XEP-0030 version 2.5.0,
//! <https://xmpp.org/extensions/xep-0030.html>
//!
//! What is announced derives from [`super::ALL`]: a feature that is there is announced, one
//! that is not cannot be.

use super::{ALL, Feature, Scope, Spec, get, refuse};
use crate::effect::Effect;
use crate::facts::{Facts, Host};
use crate::features::roster::Subscription;
use crate::stanza::{Iq, Stanza, StanzaError};
use crate::xml::Element;

/// What something is and can.
pub const NS_INFO: &str = "http://jabber.org/protocol/disco#info";
/// What something consists of.
pub const NS_ITEMS: &str = "http://jabber.org/protocol/disco#items";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "disco",
    title: "Service Discovery",
    spec: Spec::Xep {
        number: 30,
        version: "2.5.0",
    },
    disco: &[NS_INFO, NS_ITEMS],
    disco_account: &[NS_INFO, NS_ITEMS],
    iq: &[
        get(Scope::Server, NS_INFO, "query", server_info),
        get(Scope::Server, NS_ITEMS, "query", server_items),
        get(Scope::Account, NS_INFO, "query", account_info),
        get(Scope::Account, NS_ITEMS, "query", account_items),
    ],
    ..Feature::NONE
};

/// Who the server is (§3.1).
const SERVER_IDENTITY: (&str, &str, &str) = ("server", "im", "klatsch");
/// What an account is (XEP-0030 §8: category `account`).
const ACCOUNT_IDENTITY: (&str, &str, &str) = ("account", "registered", "");

/// The server's identities and features, the same as its capabilities are computed from.
pub fn server_description() -> Element {
    description(
        SERVER_IDENTITY,
        ALL.iter().flat_map(|feature| feature.disco),
    )
}

fn description<'a>(
    (category, kind, name): (&str, &str, &str),
    features: impl Iterator<Item = &'a &'static str>,
) -> Element {
    let mut identity = Element::new("identity", NS_INFO)
        .attr("category", category)
        .attr("type", kind);
    if !name.is_empty() {
        identity = identity.attr("name", name);
    }
    let mut features: Vec<&str> = features.copied().collect();
    features.sort_unstable();
    features.dedup();
    let features = features
        .into_iter()
        .map(|var| Element::new("feature", NS_INFO).attr("var", var));
    Element::new("query", NS_INFO)
        .child(identity)
        .children_from(features)
}

fn server_info(iq: &Iq, _facts: &Facts<'_>) -> Vec<Effect> {
    let node = node(iq);
    // XEP-0115 §6.2: the node of our own capabilities is known, others are not.
    if node
        .as_deref()
        .is_some_and(|node| node != super::caps::server_node())
    {
        return refuse(iq, StanzaError::item_not_found());
    }
    answer(iq, server_description(), node)
}

/// §4: a server lists what is hosted beside it, which is the service of its rooms.
fn server_items(iq: &Iq, _facts: &Facts<'_>) -> Vec<Effect> {
    if node(iq).is_some() {
        return refuse(iq, StanzaError::item_not_found());
    }
    let rooms = iq
        .head
        .to
        .as_ref()
        .and_then(|to| Host::rooms_of(to.domain()));
    let items = rooms.map(|rooms| Element::new("item", NS_ITEMS).attr("jid", rooms.as_str()));
    answer(
        iq,
        Element::new("query", NS_ITEMS).children_from(items),
        None,
    )
}

fn account_info(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    if !may_ask(iq, facts) {
        return refuse(iq, StanzaError::service_unavailable());
    }
    if node(iq).is_some() {
        return refuse(iq, StanzaError::item_not_found());
    }
    let features = ALL.iter().flat_map(|feature| feature.disco_account);
    answer(iq, description(ACCOUNT_IDENTITY, features), None)
}

/// RFC 6121 does not ask for it, XEP-0030 §8 does: whoever sees the presence sees the
/// connected resources.
fn account_items(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    if !may_ask(iq, facts) {
        return refuse(iq, StanzaError::service_unavailable());
    }
    if node(iq).is_some() {
        return refuse(iq, StanzaError::item_not_found());
    }
    let view = facts.resources();
    let items = view
        .available()
        .map(|it| Element::new("item", NS_ITEMS).attr("jid", it.jid.as_str()));
    answer(
        iq,
        Element::new("query", NS_ITEMS).children_from(items),
        None,
    )
}

/// §9: an account answers itself and those who see its presence. To all others it looks like
/// an account that does not exist (row A11).
fn may_ask(iq: &Iq, facts: &Facts<'_>) -> bool {
    let Some(from) = &iq.head.from else {
        return false;
    };
    if from.bare_str() == facts.account.as_str() {
        return true;
    }
    let item = facts.data.roster.items.get(from.bare_str());
    item.is_some_and(|item| matches!(item.subscription, Subscription::From | Subscription::Both))
}

fn node(iq: &Iq) -> Option<String> {
    let query = iq.payloads.iter().next()?;
    let query = Element::parse(query.bytes()).ok()?;
    query
        .get("node")
        .filter(|node| !node.is_empty())
        .map(str::to_owned)
}

fn answer(iq: &Iq, query: Element, node: Option<String>) -> Vec<Effect> {
    let query = match node {
        Some(node) => query.attr("node", node),
        None => query,
    };
    vec![Effect::Reply(Stanza::Iq(iq.result(Some(query))))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::facts;

    fn sent(text: &str) -> String {
        let effects = facts().sends(text);
        let [Effect::Reply(stanza)] = effects.as_slice() else {
            panic!("{effects:?}")
        };
        String::from_utf8(stanza.to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn the_server_announces_what_its_features_announce() {
        let query = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
        let answer = sent(&format!(
            "<iq type='get' id='1' to='example.org'>{query}</iq>"
        ));
        for var in ALL.iter().flat_map(|feature| feature.disco) {
            assert_eq!(
                answer.matches(&format!("var='{var}'")).count(),
                1,
                "{var} in {answer}"
            );
        }
    }

    #[test]
    fn an_unknown_node_is_not_found() {
        let query = "<query xmlns='http://jabber.org/protocol/disco#info' node='x'/>";
        let answer = sent(&format!(
            "<iq type='get' id='1' to='example.org'>{query}</iq>"
        ));
        assert!(answer.contains("item-not-found"), "{answer}");
    }

    #[test]
    fn a11_a_stranger_learns_nothing_of_an_account() {
        let query = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
        let iq = format!(
            "<iq type='get' id='1' from='x@example.org/r' to='romeo@example.org'>{query}</iq>"
        );
        let effects = facts().account_gets(&iq);
        let [Effect::Reply(stanza)] = effects.as_slice() else {
            panic!("{effects:?}")
        };
        assert!(String::from_utf8_lossy(&stanza.to_bytes()).contains("service-unavailable"));
    }
}
