//! Service Discovery: XEP-0030 version 2.5.0,
//! <https://xmpp.org/extensions/xep-0030.html>
//!
//! What is announced derives from [`super::ALL`]: a feature that is there is announced, one
//! that is not cannot be.

use super::pubsub::disco as nodes;
use super::pubsub::pending;
use super::{
    ALL, Feature, IqHandler, IqRule, Scope, Service, Spec, adhoc, contact_addresses, get, refuse,
    upload,
};
use crate::effect::{Answer, Effect};
use crate::facts::{Facts, Host};
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
    disco: BOTH,
    disco_account: BOTH,
    services: &[
        (Service::Pubsub, BOTH),
        (Service::Upload, BOTH),
        (Service::Push, BOTH),
        (Service::People, BOTH),
    ],
    iq: &[
        info(Scope::Server, server_info),
        items(Scope::Server, server_items),
        info(Scope::Service(Service::Pubsub), pubsub_info),
        items(Scope::Service(Service::Pubsub), pubsub_items),
        info(Scope::Service(Service::Upload), upload_info),
        items(Scope::Service(Service::Upload), upload_items),
        info(Scope::Service(Service::Push), push_info),
        // Nodes are known to those who have made them.
        items(Scope::Service(Service::Push), nothing),
        info(Scope::Service(Service::People), people_info),
        // People are found by searching.
        items(Scope::Service(Service::People), nothing),
        info(Scope::Account, account_info),
        items(Scope::Account, account_items),
    ],
    ..Feature::NONE
};

const BOTH: &[&str] = &[NS_INFO, NS_ITEMS];

const fn info(scope: Scope, handle: IqHandler) -> IqRule {
    get(scope, NS_INFO, "query", handle)
}

const fn items(scope: Scope, handle: IqHandler) -> IqRule {
    get(scope, NS_ITEMS, "query", handle)
}

/// Who the server is (§3.1).
const SERVER_IDENTITY: (&str, &str, &str) = ("server", "im", "klatsch");
/// What an account is (XEP-0030 §8: category `account`).
const ACCOUNT_IDENTITY: (&str, &str, &str) = ("account", "registered", "");

/// The server's identities and features, the same as its capabilities are computed from.
pub fn server_description(host: &Host) -> Element {
    let features = ALL.iter().flat_map(|feature| feature.disco).copied();
    description(&[SERVER_IDENTITY], features).children_from(contact_addresses::form(&host.contacts))
}

fn description<'a>(
    identities: &[(&str, &str, &str)],
    features: impl Iterator<Item = &'a str>,
) -> Element {
    let identities = identities.iter().map(|(category, kind, name)| {
        let identity = Element::new("identity", NS_INFO)
            .attr("category", *category)
            .attr("type", *kind);
        identity.attr_opt("name", Some(*name).filter(|name| !name.is_empty()))
    });
    let mut features: Vec<&str> = features.collect();
    features.sort_unstable();
    features.dedup();
    let features = features
        .into_iter()
        .map(|var| Element::new("feature", NS_INFO).attr("var", var));
    Element::new("query", NS_INFO)
        .children_from(identities)
        .children_from(features)
}

fn server_info(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    let node = node_of(iq);
    if let Some(command) = node.as_deref().and_then(adhoc::describe) {
        return answer(iq, command, None);
    }
    // XEP-0115 §6.2: the node of our own capabilities is known, others are not.
    if node
        .as_deref()
        .is_some_and(|node| node != super::caps::server_node(facts.host))
    {
        return refuse(iq, StanzaError::item_not_found());
    }
    answer(iq, server_description(facts.host), node)
}

/// §4: the services of the domain that was asked.
fn server_items(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    match node_of(iq) {
        None => {}
        Some(node) if node == adhoc::NS => return adhoc::list(iq, facts),
        Some(_) => return refuse(iq, StanzaError::item_not_found()),
    }
    let domain = iq
        .head
        .to
        .as_ref()
        .map_or(facts.account.domain(), |to| to.domain());
    let offered = Service::ALL.iter().filter(|it| facts.host.offers(**it));
    let services = offered.map(|service| {
        let (_, _, name) = service.identity();
        Element::new("item", NS_ITEMS)
            .attr("jid", format!("{}.{domain}", service.label()))
            .attr("name", name)
    });
    // XEP-0114 says nothing of it, but whoever looks for a gateway looks here.
    let components = facts.host.components.iter().filter(|component| {
        let shown_at = facts.host.domain_of(component);
        shown_at.is_some_and(|shown_at| shown_at.as_str() == domain)
    });
    let components =
        components.map(|it| Element::new("item", NS_ITEMS).attr("jid", it.as_str().to_owned()));
    let items = Element::new("query", NS_ITEMS)
        .children_from(services)
        .children_from(components);
    answer(iq, items, None)
}

/// What a service is and can.
fn service_description(service: Service) -> Element {
    description(&[service.identity()], service.features())
}

fn pubsub_info(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    match node_of(iq) {
        Some(node) => match pending::describe(&node) {
            Some(command) => answer(iq, command, None),
            None => nodes::node_info(iq, node, facts),
        },
        None => answer(iq, service_description(Service::Pubsub), None),
    }
}

fn pubsub_items(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    match node_of(iq) {
        Some(node) if node == adhoc::NS => answer(iq, pending::list(facts), None),
        Some(node) => nodes::node_items(iq, node, facts),
        None => nodes::nodes(iq, facts, nodes::list_nodes),
    }
}

/// XEP-0363 §3: with the largest file there may be.
fn upload_info(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    if !facts.host.offers(Service::Upload) {
        return refuse(iq, StanzaError::service_unavailable());
    }
    if node_of(iq).is_some() {
        return refuse(iq, StanzaError::item_not_found());
    }
    let form = upload::description(&facts.host.upload);
    answer(iq, service_description(Service::Upload).child(form), None)
}

/// Files are found by those who have been told of them.
fn upload_items(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    match facts.host.offers(Service::Upload) && node_of(iq).is_none() {
        true => answer(iq, Element::new("query", NS_ITEMS), None),
        false => refuse(iq, StanzaError::item_not_found()),
    }
}

fn push_info(iq: &Iq, _facts: &Facts<'_>) -> Vec<Effect> {
    info_of(iq, Service::Push)
}

fn people_info(iq: &Iq, _facts: &Facts<'_>) -> Vec<Effect> {
    info_of(iq, Service::People)
}

/// What a service is that has no nodes to describe.
fn info_of(iq: &Iq, service: Service) -> Vec<Effect> {
    match node_of(iq) {
        None => answer(iq, service_description(service), None),
        Some(_) => refuse(iq, StanzaError::item_not_found()),
    }
}

fn nothing(iq: &Iq, _facts: &Facts<'_>) -> Vec<Effect> {
    match node_of(iq) {
        None => answer(iq, Element::new("query", NS_ITEMS), None),
        Some(_) => refuse(iq, StanzaError::item_not_found()),
    }
}

fn account_info(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    if !may_ask(iq, facts) {
        return refuse(iq, StanzaError::service_unavailable());
    }
    if let Some(node) = node_of(iq) {
        return nodes::node_info(iq, node, facts);
    }
    let features = ALL
        .iter()
        .flat_map(|feature| feature.disco_account)
        .copied();
    let more = ALL.iter().flat_map(|feature| feature.identities_account);
    let more = more.map(|(category, kind)| (*category, *kind, ""));
    let identities: Vec<_> = std::iter::once(ACCOUNT_IDENTITY).chain(more).collect();
    answer(iq, description(&identities, features), None)
}

/// RFC 6121 does not ask for it, XEP-0030 §8 does: whoever sees the presence sees the
/// connected resources, and XEP-0163 §6 the nodes.
fn account_items(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    if !may_ask(iq, facts) {
        return refuse(iq, StanzaError::service_unavailable());
    }
    match node_of(iq) {
        Some(node) => nodes::node_items(iq, node, facts),
        None => nodes::nodes(iq, facts, resources_and_nodes),
    }
}

fn resources_and_nodes(stanza: &Stanza, found: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Iq(iq) = stanza else {
        return Vec::new();
    };
    let view = facts.resources();
    let resources = view
        .available()
        .map(|it| Element::new("item", NS_ITEMS).attr("jid", it.jid.as_str()));
    match nodes::items_of(iq, found, facts) {
        Ok(nodes) => {
            let query = Element::new("query", NS_ITEMS);
            answer(
                iq,
                query.children_from(resources).children_from(nodes),
                None,
            )
        }
        Err(error) => refuse(iq, error),
    }
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
    facts.shows(from.bare_str())
}

/// The node a query is about (§3.2).
pub(crate) fn node_of(iq: &Iq) -> Option<String> {
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
