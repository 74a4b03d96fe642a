//! Who is told what of a node: XEP-0060 §7.1.2, §9 and §12, XEP-0163 §4.

use std::collections::BTreeSet;

use super::NS_EVENT;
use super::access::{Operation, Relation, allow};
use super::config::Config;
use super::node::{Item, Node, SubscriptionState};
use crate::effect::Effect;
use crate::facts::{AccountView, Facts, Resource};
use crate::features::{blocking, caps, delay};
use crate::jid::{BareJid, Jid};
use crate::stanza::{Head, Message, MessageKind, Presence, Stanza};
use crate::xml::{Element, Payloads};

/// Tells everybody who is to hear of something at a node: those who have subscribed, and at
/// an account's node those of its own and its contacts' resources that want to.
pub(crate) fn tell(node: &Node, what: Element, facts: &Facts<'_>) -> Vec<Effect> {
    if !node.config.deliver_notifications {
        return Vec::new();
    }
    let message = message(event(what), &node.config, facts);
    recipients(node, facts)
        .into_iter()
        .map(|to| route(&message, to))
        .collect()
}

/// Tells every subscriber, also those who wait to be one (§8.4.2).
pub(crate) fn tell_of_end(node: &Node, what: Element, facts: &Facts<'_>) -> Vec<Effect> {
    if !node.config.notify_delete {
        return Vec::new();
    }
    let message = message(event(what), &node.config, facts);
    let waiting = node
        .subscriptions
        .iter()
        .filter(|it| it.state == SubscriptionState::Pending);
    let mut to: BTreeSet<Jid> = recipients(node, facts);
    to.extend(waiting.map(|it| it.jid.clone()));
    to.into_iter().map(|to| route(&message, to)).collect()
}

/// `<items/>` with what stands in it.
pub(crate) fn items(node: &str, children: impl IntoIterator<Item = Element>) -> Element {
    Element::new("items", NS_EVENT)
        .attr("node", node)
        .children_from(children)
}

/// An item as a notification carries it (§7.1.2.1, §7.1.2.2).
pub(crate) fn item(item: &Item, config: &Config) -> Element {
    let element = Element::new("item", NS_EVENT).attr("id", item.id.clone());
    let publisher = config.shows_publisher.then(|| item.publisher.as_str());
    let element = element.attr_opt("publisher", publisher);
    match config.deliver_payloads && !item.payload.is_empty() {
        true => element.raw_child(item.payload.clone()),
        false => element,
    }
}

/// An item that is gone (§7.2.2.1).
pub(crate) fn retracted(id: &str) -> Element {
    Element::new("retract", NS_EVENT).attr("id", id)
}

/// What happens, as the payload of a message.
pub(crate) fn event(what: Element) -> Element {
    Element::new("event", NS_EVENT).child(what)
}

/// A message of the service, with an id by which errors can be traced (§7.1.2).
pub(crate) fn message(payload: Element, config: &Config, facts: &Facts<'_>) -> Message {
    Message {
        head: Head {
            from: Some(facts.account.clone().into()),
            id: Some(format!("{:032x}", (facts.random)()).into()),
            ..Head::default()
        },
        kind: match config.is_headline {
            true => MessageKind::Headline,
            false => MessageKind::Normal,
        },
        payloads: [payload].into_iter().collect::<Payloads>(),
    }
}

/// The last item of somebody's node, for who comes to hear of it now; it says that it is not
/// new (§6.1.7, XEP-0163 §4.3.2).
pub(crate) fn last_item(
    service: &BareJid,
    node: &Node,
    shown: &Item,
    to: Jid,
    facts: &Facts<'_>,
) -> Message {
    let items = items(&node.name, [item(shown, &node.config)]);
    let mut message = message(event(items), &node.config, facts);
    message.payloads.push(&delay::delay(None, shown.stamp));
    message.head.from = Some(service.clone().into());
    message.head.to = Some(to);
    message
}

/// The same message to one of many; its payload is encoded once.
pub(crate) fn route(message: &Message, to: Jid) -> Effect {
    let mut message = message.clone();
    message.head.to = Some(to);
    Effect::Route(Stanza::Message(message))
}

/// Where a notification of a node goes. An address that gets it as a subscriber does not get
/// it once more because it is there.
fn recipients(node: &Node, facts: &Facts<'_>) -> BTreeSet<Jid> {
    let mut to: BTreeSet<Jid> = subscribers(node, facts);
    if facts.account.localpart().is_some() {
        let implied = interested(node, facts);
        let is_told = |jid: &Jid, to: &BTreeSet<Jid>| to.contains(jid.bare_str());
        let more: Vec<Jid> = implied
            .into_iter()
            .filter(|jid| !is_told(jid, &to))
            .collect();
        to.extend(more);
    }
    to
}

fn subscribers(node: &Node, facts: &Facts<'_>) -> BTreeSet<Jid> {
    let subscribed = node
        .subscriptions
        .iter()
        .filter(|it| it.state == SubscriptionState::Subscribed && it.options.deliver);
    let wants = subscribed.filter(|it| {
        // §12.4: of those elsewhere it is not known who is there.
        let is_local = it.jid.localpart().is_some() && facts.host.serves(it.jid.domain());
        let depends = node.config.presence_based_delivery || !it.options.show_values.is_empty();
        if !is_local || !depends {
            return true;
        }
        let view = facts.views.view(&it.jid.bare());
        let shows = |presence: &Presence| it.options.suits(presence.show());
        let presences = view
            .available()
            .filter_map(|resource| resource.presence.as_deref());
        presences.into_iter().any(shows)
    });
    wants
        // Access may have changed since they subscribed.
        .filter(|it| {
            let relation = Relation::of(&it.jid, node, facts);
            allow(Operation::Retrieve, &relation, &node.config).is_ok()
        })
        .map(|it| it.jid.clone())
        .filter(|jid| !blocking::is_blocked(jid, facts))
        .collect()
}

/// XEP-0163 §4: the resources, the account's own and its contacts', that say `NODE+notify`.
fn interested(node: &Node, facts: &Facts<'_>) -> Vec<Jid> {
    let own = facts.resources();
    let mut all: Vec<Jid> = wanting(&own, &node.name, facts);
    for contact in facts.viewers() {
        if !facts.host.serves(contact.domain()) {
            continue;
        }
        let view = facts.views.view(&contact);
        let wanting = wanting(&view, &node.name, facts);
        if wanting.is_empty() {
            continue;
        }
        let relation = Relation::of(contact.as_jid(), node, facts);
        if allow(Operation::Retrieve, &relation, &node.config).is_ok() {
            all.extend(
                wanting
                    .into_iter()
                    .filter(|jid| !blocking::is_blocked(jid, facts)),
            );
        }
    }
    all
}

fn wanting(view: &AccountView, node: &str, facts: &Facts<'_>) -> Vec<Jid> {
    let wants = |resource: &&Resource| caps::wants(resource, node, facts);
    let available = view.available().filter(wants);
    available
        .map(|resource| Jid::from(resource.jid.clone()))
        .collect()
}

/// The resources of the deciding account that want to hear of a node.
pub(crate) fn own_interested(node: &str, facts: &Facts<'_>) -> Vec<Jid> {
    wanting(&facts.resources(), node, facts)
}
