//! What a service is and has: XEP-0060 sections 5.1 to 5.5, by XEP-0030.

use super::access::{Operation, Relation, affiliation, allow};
use super::node::{Affiliation, Ask, Found, Node, Wanted};
use super::{NS, items, load, load_shown, request};
use crate::effect::{Answer, Effect};
use crate::facts::Facts;
use crate::features::data_forms::{NS as NS_FORMS, field, form};
use crate::features::disco::{NS_INFO, NS_ITEMS, node_of};
use crate::features::{refuse, rsm};
use crate::jid::Jid;
use crate::stanza::{Iq, Stanza, StanzaError};
use crate::xml::Element;

/// Nodes of one answer; more come by pages.
const NODES_MAX: u32 = 200;

const NS_METADATA: &str = "http://jabber.org/protocol/pubsub#meta-data";

/// §5.3: asks for a node, to describe it.
pub(crate) fn node_info(iq: &Iq, node: String, facts: &Facts<'_>) -> Vec<Effect> {
    ask_for_node(iq, node, Wanted::Nothing, facts, describe)
}

/// §5.5: asks for the items of a node, to name them.
pub(crate) fn node_items(iq: &Iq, node: String, facts: &Facts<'_>) -> Vec<Effect> {
    let page = iq.payload().and_then(|child| child.element());
    let page = page.map_or(Ok(rsm::PageRequest::default()), |it| rsm::read(&it));
    match page {
        Ok(page) => ask_for_node(iq, node, request::page_wanted(page), facts, name_items),
        Err(error) => refuse(iq, error),
    }
}

fn ask_for_node(
    iq: &Iq,
    node: String,
    items: Wanted,
    facts: &Facts<'_>,
    go_on: crate::effect::Continue,
) -> Vec<Effect> {
    let Some(creator) = iq.head.from.as_ref().map(Jid::bare) else {
        return refuse(iq, StanzaError::bad_request());
    };
    let ask = Ask::Node {
        node,
        items,
        creator,
    };
    vec![load_shown(ask, facts, go_on)]
}

/// §5.2: asks for the nodes there are.
pub(crate) fn nodes(iq: &Iq, facts: &Facts<'_>, go_on: crate::effect::Continue) -> Vec<Effect> {
    let page = iq.payload().and_then(|child| child.element());
    match page.map_or(Ok(rsm::PageRequest::default()), |it| rsm::read(&it)) {
        Ok(page) => {
            let max = page.max.unwrap_or(NODES_MAX).min(NODES_MAX);
            vec![load(
                Ask::Nodes {
                    after: page.after,
                    max,
                },
                facts,
                go_on,
            )]
        }
        Err(error) => refuse(iq, error),
    }
}

/// The nodes that are found, as far as the asker may know of them.
pub(crate) fn items_of(
    iq: &Iq,
    answer: Answer,
    facts: &Facts<'_>,
) -> Result<Vec<Element>, StanzaError> {
    let found = match answer {
        Answer::Pubsub(found) => *found,
        Answer::Failed(error) => return Err(error),
        _ => return Err(StanzaError::internal_server_error()),
    };
    let (Found::Nodes(nodes), Some(who)) = (found, &iq.head.from) else {
        return Err(StanzaError::internal_server_error());
    };
    let may = |node: &&Node| {
        allow(
            Operation::Discover,
            &Relation::of(who, node, facts),
            &node.config,
        )
        .is_ok()
    };
    let shown: Vec<&Node> = nodes.iter().filter(may).collect();
    let mut elements: Vec<Element> = shown
        .iter()
        .map(|node| {
            let title = Some(node.config.title.as_str()).filter(|title| !title.is_empty());
            Element::new("item", NS_ITEMS)
                .attr("jid", facts.account.as_str())
                .attr("node", node.name.clone())
                .attr_opt("name", title)
        })
        .collect();
    // Where there may be more it is said how to go on, also past nodes that are not shown.
    if nodes.len() >= NODES_MAX as usize {
        let (first, last) = (nodes.first(), nodes.last());
        let name = |node: Option<&Node>| node.map(|node| node.name.clone());
        elements.push(rsm::page(
            name(first).as_deref(),
            name(last).as_deref(),
            None,
        ));
    }
    Ok(elements)
}

/// §5.2 at a service.
pub(crate) fn list_nodes(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Iq(iq) = stanza else {
        return Vec::new();
    };
    match items_of(iq, answer, facts) {
        Ok(items) => {
            let query = Element::new("query", NS_ITEMS).children_from(items);
            vec![Effect::Reply(Stanza::Iq(iq.result(Some(query))))]
        }
        Err(error) => refuse(iq, error),
    }
}

/// The node a query is about, once it is found and the asker may know of it.
fn found_node<'a>(
    iq: &Iq,
    found: &'a Found,
    operation: Operation,
    facts: &Facts<'_>,
) -> Result<&'a super::node::FoundNode, StanzaError> {
    let (Found::Node(found), Some(who)) = (found, &iq.head.from) else {
        return Err(StanzaError::internal_server_error());
    };
    let node = found
        .node
        .as_ref()
        .ok_or_else(StanzaError::item_not_found)?;
    let relation = Relation::of(who, node, facts);
    allow(operation, &relation, &node.config)?;
    Ok(found)
}

fn with_found(
    stanza: &Stanza,
    answer: Answer,
    answered: impl FnOnce(&Iq, &Found) -> Result<Element, StanzaError>,
) -> Vec<Effect> {
    let Stanza::Iq(iq) = stanza else {
        return Vec::new();
    };
    let query = match answer {
        Answer::Pubsub(found) => answered(iq, &found),
        Answer::Failed(error) => Err(error),
        _ => Err(StanzaError::item_not_found()),
    };
    match query {
        Ok(query) => {
            let query = query.attr_opt("node", node_of(iq));
            vec![Effect::Reply(Stanza::Iq(iq.result(Some(query))))]
        }
        Err(error) => refuse(iq, error),
    }
}

/// §5.3 and §5.4.
fn describe(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    with_found(stanza, answer, |iq, found| {
        let found = found_node(iq, found, Operation::Discover, facts)?;
        let node = found
            .node
            .as_ref()
            .ok_or_else(StanzaError::item_not_found)?;
        let identity = Element::new("identity", NS_INFO)
            .attr("category", "pubsub")
            .attr("type", "leaf");
        let feature = |var| Element::new("feature", NS_INFO).attr("var", var);
        Ok(Element::new("query", NS_INFO)
            .child(identity)
            .child(feature(NS))
            .child(feature(NS_INFO))
            .child(metadata(node, found.count, facts)))
    })
}

/// §5.4.
fn metadata(node: &Node, count: u64, facts: &Facts<'_>) -> Element {
    let of = |wanted| {
        let who = node
            .affiliations
            .iter()
            .filter(move |(_, it)| **it == wanted);
        who.map(|(jid, _)| jid.to_string())
    };
    let mut owners: Vec<String> = of(Affiliation::Owner).collect();
    if affiliation(facts.account.as_jid(), node, facts) == Affiliation::Owner
        && facts.account.localpart().is_some()
        && owners.is_empty()
    {
        owners.push(facts.account.to_string());
    }
    let config = &node.config;
    let max_items = config
        .max_items
        .map_or("max".to_owned(), |max| max.to_string());
    let fields = [
        ("pubsub#type", "text-single", vec![config.kind.clone()]),
        ("pubsub#title", "text-single", vec![config.title.clone()]),
        (
            "pubsub#description",
            "text-single",
            vec![config.description.clone()],
        ),
        (
            "pubsub#language",
            "list-single",
            vec![config.language.clone()],
        ),
        (
            "pubsub#creator",
            "jid-single",
            vec![node.creator.to_string()],
        ),
        (
            "pubsub#creation_date",
            "text-single",
            vec![node.created.to_xep0082()],
        ),
        ("pubsub#owner", "jid-multi", owners),
        (
            "pubsub#publisher",
            "jid-multi",
            of(Affiliation::Publisher).collect(),
        ),
        (
            "pubsub#access_model",
            "list-single",
            vec![config.access_model.as_str().to_owned()],
        ),
        (
            "pubsub#publish_model",
            "list-single",
            vec![config.publish_model.as_str().to_owned()],
        ),
        ("pubsub#max_items", "text-single", vec![max_items]),
        (
            "pubsub#num_subscribers",
            "text-single",
            vec![node.subscriptions.len().to_string()],
        ),
        ("pubsub#num_items", "text-single", vec![count.to_string()]),
    ];
    let shown = fields
        .into_iter()
        .filter(|(_, _, values)| values.iter().any(|it| !it.is_empty()));
    let fields = shown.map(|(name, kind, values)| {
        let values = values
            .into_iter()
            .map(|it| Element::new("value", NS_FORMS).text(it));
        field(name, kind).children_from(values)
    });
    form(NS_METADATA)
        .attr("type", "result")
        .children_from(fields)
}

/// §5.5.
fn name_items(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    with_found(stanza, answer, |iq, found| {
        let found = found_node(iq, found, Operation::Retrieve, facts)?;
        let named = found.items.iter().map(|item| {
            Element::new("item", NS_ITEMS)
                .attr("jid", facts.account.as_str())
                .attr("name", item.id.clone())
        });
        let query = Element::new("query", NS_ITEMS).children_from(named);
        Ok(match (found.items.len() as u64) < found.count {
            true => query.child(items::page(&found.items, found.count)),
            false => query,
        })
    })
}
