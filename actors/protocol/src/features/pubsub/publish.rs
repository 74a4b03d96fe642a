//! Publishing and taking back: XEP-0060 sections 7.1 and 7.2.

use super::access::Operation;
use super::config::{Config, NodeFull};
use super::errors;
use super::node::{Action, Item, Node, ROW_BYTES};
use super::request::{NewItem, Publish};
use super::{Asked, Decided, NS, manage, notify, pep};
use crate::effect::Effect;
use crate::facts::Facts;
use crate::stanza::StanzaError;
use crate::xml::Element;

/// §7.1, with §7.1.4: a node that is not there is made.
pub(super) fn publish(asked: &Asked<'_>, publish: &Publish) -> Decided {
    let (node, create) = match &asked.found.node {
        Some(_) => (asked.node_for(Operation::Publish)?.clone(), None),
        None => {
            let node = manage::new_node(asked, &publish.node, publish.options.as_ref())?;
            let create = Action::Create(node.creator.clone(), node.config.clone());
            (node, Some(create))
        }
    };
    // §7.1.5: on a node that was there the conditions have to hold; row R09: the change is
    // refused when they do not hold any more.
    if let Some(options) = &publish.options {
        let is_met = match create {
            None => node.config.meets(options),
            Some(_) => Config::knows_all(options),
        };
        is_met
            .then_some(())
            .ok_or_else(errors::precondition_not_met)?;
    }
    let new = publish.items.first();
    check(new, &node.config, asked)?;
    let item = new.map(|new| to_item(new, asked));
    let keep = keep(&node.config, asked.facts);
    let full = full(&node, item.as_ref(), keep, asked)?;
    let mut actions: Vec<Action> = create.into_iter().collect();
    if let Some(item) = item.as_ref().filter(|_| keep > 0) {
        actions.push(Action::Publish(vec![item.clone()], keep));
    }
    let mut effects = Vec::new();
    if !actions.is_empty() {
        let expected = asked.found.node.as_ref().map(|node| node.version);
        effects.push(super::change(
            node.name.clone(),
            expected,
            actions,
            asked.facts,
        ));
    }
    effects.push(asked.reply(Some(answer(&node.name, new, item.as_ref()))));
    effects.extend(tell(&node, item.as_ref(), asked.facts));
    effects.extend(
        full.into_iter()
            .flat_map(|oldest| tell_retracted(&node, &[oldest], asked.facts)),
    );
    effects.extend(pep::published(&node, item.as_ref(), new, asked.facts));
    Ok(effects)
}

/// Publishes in an account's own name what the server has made itself, at a node of which it
/// is known whether it is there.
pub(crate) fn publish_own(
    name: &str,
    known: Option<&Node>,
    default: Config,
    item: Item,
    facts: &Facts<'_>,
) -> Vec<Effect> {
    let node = match known {
        Some(node) => node.clone(),
        None => manage::blank_node(name, facts.account.clone(), default, facts),
    };
    let create = known.is_none();
    let create = create.then(|| Action::Create(node.creator.clone(), node.config.clone()));
    let keep = keep(&node.config, facts).max(1);
    let publish = Action::Publish(vec![item.clone()], keep);
    let actions = create.into_iter().chain([publish]).collect();
    let expected = known.map(|node| node.version);
    let mut effects = vec![super::change(node.name.clone(), expected, actions, facts)];
    effects.extend(tell(&node, Some(&item), facts));
    effects
}

/// §7.1.3: what may stand in an item of this node.
///
/// DEVIATION: §7.1.3.6 would have a payload's namespace be that of `pubsub#type`. That field
/// names the kind of a node as often as a namespace: XEP-0472 §5 puts Atom entries into nodes
/// of the type `urn:xmpp:microblog:0`.
fn check(new: Option<&NewItem>, config: &Config, asked: &Asked<'_>) -> Result<(), StanzaError> {
    let has_payload = new.is_some_and(|new| !new.payload.is_empty());
    match new {
        None if config.persist_items => return Err(errors::item_required()),
        _ if config.deliver_payloads && !has_payload => return Err(errors::payload_required()),
        Some(_) if !config.persist_items && !config.deliver_payloads => {
            return Err(errors::item_forbidden());
        }
        _ => {}
    }
    let settings = &asked.facts.host.pubsub;
    let bytes = new.map_or(0, |new| new.payload.len());
    let bytes_max = config
        .max_payload_bytes
        .map_or(usize::MAX, |max| max as usize);
    if bytes > bytes_max.min(settings.item_bytes_max) {
        return Err(errors::payload_too_big());
    }
    // What it takes the place of is not counted off: a quota need not be exact to the item.
    let id = new.and_then(|new| new.id.as_ref()).map_or(0, String::len);
    let more = (bytes + id) as u64 + ROW_BYTES;
    if asked.found.usage.bytes.saturating_add(more) > settings.bytes_max {
        return Err(StanzaError::policy_violation().with_text("there is no space for more items"));
    }
    Ok(())
}

/// How many items a node keeps.
pub(super) fn keep(config: &Config, facts: &Facts<'_>) -> u32 {
    let items_max = facts.host.pubsub.items_max;
    match (config.persist_items, config.deliver_payloads) {
        (true, _) => config.max_items.unwrap_or(items_max).min(items_max),
        // §6.5.5: the last one, for those who come later.
        (false, true) => 1,
        (false, false) => 0,
    }
}

/// §7.1.2.5: the item that has to go, if subscribers are to be told of it.
fn full(
    node: &Node,
    item: Option<&Item>,
    keep: u32,
    asked: &Asked<'_>,
) -> Result<Option<String>, StanzaError> {
    let replaced = asked.found.items.first();
    let is_new = item.is_some_and(|item| replaced.is_none_or(|it| it.id != item.id));
    if !is_new || asked.found.count < u64::from(keep) {
        return Ok(None);
    }
    match node.config.node_full {
        NodeFull::Reject => Err(errors::node_full()),
        NodeFull::DiscardOldest => Ok(None),
        // A node of one item is a state: the new one says all there is to say.
        NodeFull::RetractOldest if keep <= 1 || !node.config.notify_retract => Ok(None),
        NodeFull::RetractOldest => Ok(replaced.map(|oldest| oldest.id.clone())),
    }
}

fn to_item(new: &NewItem, asked: &Asked<'_>) -> Item {
    let id = new.id.clone();
    Item {
        // §7.1.2: unique, for nobody can guess it.
        id: id.unwrap_or_else(|| format!("{:032x}", (asked.facts.random)())),
        // §7.1.2.3: stamped by the service, never believed.
        publisher: asked.who.clone(),
        stamp: asked.facts.now,
        payload: new.payload.clone(),
    }
}

/// §7.1.2: an id that the service has made is told.
fn answer(node: &str, new: Option<&NewItem>, item: Option<&Item>) -> Element {
    let item = item.filter(|_| new.is_some());
    let item = item.map(|item| Element::new("item", NS).attr("id", item.id.clone()));
    let publish = Element::new("publish", NS).attr("node", node);
    Element::new("pubsub", NS).child(publish.children_from(item))
}

fn tell(node: &Node, item: Option<&Item>, facts: &Facts<'_>) -> Vec<Effect> {
    let item = item.map(|item| notify::item(item, &node.config));
    notify::tell(node, notify::items(&node.name, item), facts)
}

fn tell_retracted(node: &Node, ids: &[String], facts: &Facts<'_>) -> Vec<Effect> {
    let retracted = ids.iter().map(|id| notify::retracted(id));
    notify::tell(node, notify::items(&node.name, retracted), facts)
}

/// §7.2.
pub(super) fn retract(asked: &Asked<'_>, ids: &[String], notify: bool) -> Decided {
    let node = asked.node_for(Operation::RetractOwn)?;
    if !node.config.persist_items {
        return Err(errors::unsupported("persistent-items"));
    }
    let is_known = |id: &String| asked.found.items.iter().any(|item| item.id == *id);
    if !ids.iter().all(is_known) {
        return Err(StanzaError::item_not_found());
    }
    // §4.1: publishers take back what they have published; owners take anything away.
    let is_own = |item: &Item| item.publisher.bare_str() == asked.who.bare_str();
    if !asked.found.items.iter().all(is_own) {
        asked.node_for(Operation::RetractAny)?;
    }
    let mut effects = vec![
        asked.change(node, vec![Action::Retract(ids.to_vec())]),
        asked.reply(None),
    ];
    if notify || node.config.notify_retract {
        effects.extend(tell_retracted(node, ids, asked.facts));
    }
    effects.extend(pep::retracted(node, asked.facts));
    Ok(effects)
}
