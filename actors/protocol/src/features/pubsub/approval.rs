//! Owners approve subscriptions: XEP-0060 §8.6.

use super::access::{Operation, Relation, allow};
use super::node::{Action, Affiliation, Ask, Found, Node, Subscription, SubscriptionState, Wanted};
use super::{config, load, notify, request, subscriptions};
use crate::effect::{Answer, Effect};
use crate::facts::Facts;
use crate::features::data_forms::{NS as NS_FORMS, Submitted, field, form};
use crate::jid::Jid;
use crate::stanza::{Message, MessageKind, Stanza};
use crate::xml::Element;

/// What the forms are for.
pub(super) const FORM_TYPE: &str = "http://jabber.org/protocol/pubsub#subscribe_authorization";

/// The owners of a node.
pub(super) fn owners(node: &Node) -> impl Iterator<Item = Jid> + '_ {
    let owners = node.affiliations.iter();
    let owners = owners.filter(|(_, affiliation)| **affiliation == Affiliation::Owner);
    owners.map(|(jid, _)| Jid::from(jid.clone()))
}

/// Asks every owner whether somebody may subscribe.
pub(super) fn ask_owners(node: &Node, jid: &Jid, facts: &Facts<'_>) -> Vec<Effect> {
    let ask = |owner| ask_owner(node, jid, owner, facts);
    owners(node).map(ask).collect()
}

/// Asks one of them.
pub(super) fn ask_owner(node: &Node, jid: &Jid, owner: Jid, facts: &Facts<'_>) -> Effect {
    let value = |text: &str| Element::new("value", NS_FORMS).text(text);
    let title = Element::new("title", NS_FORMS).text("Subscription request");
    let asked = form(FORM_TYPE)
        .child(title)
        .child(
            field("pubsub#node", "text-single")
                .attr("label", "Node")
                .child(value(&node.name)),
        )
        .child(
            field("pubsub#subscriber_jid", "jid-single")
                .attr("label", "Subscriber")
                .child(value(jid.as_str())),
        )
        .child(
            field("pubsub#allow", "boolean")
                .attr("label", "Allow this address to subscribe to this node?")
                .child(value("false")),
        );
    let mut message = notify::message(asked, &node.config, facts);
    message.kind = MessageKind::Normal;
    notify::route(&message, owner)
}

/// An owner's answer, if a message is one.
fn answer_in(message: &Message) -> Option<(Submitted, String, Jid)> {
    let form = message.payloads.element("x", NS_FORMS)?;
    let form = Submitted::read(&form).filter(|form| form.form_type() == Some(FORM_TYPE))?;
    let node = request::name(form.value("pubsub#node")?).ok()?;
    let jid = Jid::parse(form.value("pubsub#subscriber_jid")?).ok()?;
    Some((form, node, jid))
}

/// Decides a message to a service, or to the sender's own account: `None` when it is no
/// answer to a request for approval.
pub(crate) fn decide_message(message: &Message, facts: &Facts<'_>) -> Option<Vec<Effect>> {
    let (_, node, _) = answer_in(message)?;
    let creator = message.head.from.as_ref()?.bare();
    let items = Wanted::Before(None, 1);
    let ask = Ask::Node {
        node,
        items,
        creator,
    };
    Some(vec![load(ask, facts, settle)])
}

/// Goes on with an owner's answer when the node is known.
fn settle(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let nothing = |why| vec![Effect::Trace("approval", why)];
    let (Stanza::Message(message), Answer::Pubsub(found)) = (stanza, answer) else {
        return nothing("the node is not known");
    };
    let (Found::Node(found), Some((form, _, jid))) = (*found, answer_in(message)) else {
        return nothing("no answer");
    };
    let (Some(node), Some(who)) = (found.node, &message.head.from) else {
        return nothing("no such node");
    };
    let relation = Relation::of(who, &node, facts);
    if allow(Operation::ManageSubscriptions, &relation, &node.config).is_err() {
        return nothing("from somebody who is no owner");
    }
    let pending = node.subscription(&jid);
    let Some(pending) = pending.filter(|it| it.state == SubscriptionState::Pending) else {
        return nothing("nobody waits");
    };
    let allowed = form.value("pubsub#allow").and_then(config::truth) == Some(true);
    let settled = Subscription {
        state: match allowed {
            true => SubscriptionState::Subscribed,
            false => SubscriptionState::None,
        },
        ..pending.clone()
    };
    let action = match allowed {
        true => Action::Subscribe(settled.clone()),
        false => Action::Unsubscribe(jid),
    };
    let told = subscriptions::tell_subscriber(&node, &settled, facts);
    let change = super::change(node.name.clone(), Some(node.version), vec![action], facts);
    vec![change, told]
}
