//! Subscribing, and what subscribers and owners do with subscriptions: XEP-0060 sections 5.6,
//! 6.1 to 6.4 and 8.8.

use super::access::{Operation, needs_approval};
use super::errors;
use super::node::{Action, Node, Subscription, SubscriptionState};
use super::options::Options;
use super::{Asked, Decided, NS, NS_EVENT, NS_OWNER, approval, notify};
use crate::effect::Effect;
use crate::facts::Facts;
use crate::features::data_forms::Submitted;
use crate::features::pubsub::config::SendLast;
use crate::jid::Jid;
use crate::stanza::{Iq, Stanza, StanzaError};
use crate::xml::Element;

/// §6.1, with options at once (§6.3.7).
pub(super) fn subscribe(asked: &Asked<'_>, jid: &Jid, form: Option<&Submitted>) -> Decided {
    // §6.1.3.1: for oneself.
    if jid.bare_str() != asked.who.bare_str() {
        return Err(errors::invalid_jid());
    }
    let node = asked.node_for(Operation::Subscribe)?;
    let known = node.subscription(jid);
    if known.is_some_and(|known| known.state == SubscriptionState::Pending) {
        return Err(errors::pending_subscription());
    }
    if known.is_none() && !asked.has_room_for(node.subscriptions.len() + 1) {
        return Err(errors::too_many_subscriptions());
    }
    let needs_approval = known.is_none() && needs_approval(&asked.relation(node), &node.config);
    let mut subscription = Subscription {
        jid: jid.clone(),
        state: match needs_approval {
            true => SubscriptionState::Pending,
            false => SubscriptionState::Subscribed,
        },
        options: known.map(|known| known.options.clone()).unwrap_or_default(),
    };
    if let Some(form) = form {
        let applied = subscription.options.apply(form);
        applied.ok_or_else(errors::invalid_options)?;
    }
    let shown = element(NS, Some(&node.name), &subscription);
    // §6.3.7: who has set options is told what has come of them.
    let options = form.map(|_| {
        let form = subscription.options.to_form().attr("type", "result");
        Element::new("options", NS).child(form)
    });
    let answer = Element::new("pubsub", NS)
        .child(shown)
        .children_from(options);
    let mut effects = vec![
        asked.change(node, vec![Action::Subscribe(subscription.clone())]),
        asked.reply(Some(answer)),
    ];
    match needs_approval {
        true => effects.extend(approval::ask_owners(node, jid, asked.facts)),
        false => {
            effects.extend(last_item(asked, node, jid));
            effects.extend(tell_owners(node, &subscription, asked.facts));
        }
    }
    Ok(effects)
}

/// §6.1.7: what was published last, for who has just subscribed.
fn last_item(asked: &Asked<'_>, node: &Node, jid: &Jid) -> Option<Effect> {
    let item = asked.found.items.first()?;
    if node.config.send_last == SendLast::Never || !node.config.deliver_notifications {
        return None;
    }
    let facts = asked.facts;
    let message = notify::last_item(facts.account, node, item, jid.clone(), facts);
    Some(Effect::Route(Stanza::Message(message)))
}

/// `notify_sub`: owners hear of new subscribers and of those who go.
fn tell_owners(node: &Node, subscription: &Subscription, facts: &Facts<'_>) -> Vec<Effect> {
    if !node.config.notify_sub {
        return Vec::new();
    }
    let shown = notify::event(element(NS_EVENT, Some(&node.name), subscription));
    let message = notify::message(shown, &node.config, facts);
    let owners = approval::owners(node);
    owners.map(|owner| notify::route(&message, owner)).collect()
}

/// §8.8.4 and §12.14: whose subscription was changed by somebody else hears of it.
pub(super) fn tell_subscriber(
    node: &Node,
    subscription: &Subscription,
    facts: &Facts<'_>,
) -> Effect {
    let shown = notify::event(element(NS_EVENT, Some(&node.name), subscription));
    let message = notify::message(shown, &node.config, facts);
    notify::route(&message, subscription.jid.clone())
}

/// §6.2.
pub(super) fn unsubscribe(asked: &Asked<'_>, jid: &Jid) -> Decided {
    let (node, known) = own_subscription(asked, jid)?;
    let ended = Subscription {
        state: SubscriptionState::None,
        ..known.clone()
    };
    let mut effects = vec![
        asked.change(node, vec![Action::Unsubscribe(jid.clone())]),
        asked.reply(None),
    ];
    effects.extend(tell_owners(node, &ended, asked.facts));
    Ok(effects)
}

fn own_subscription<'a>(
    asked: &Asked<'a>,
    jid: &Jid,
) -> Result<(&'a Node, &'a Subscription), StanzaError> {
    let node = asked.node_for(Operation::ManageOwnSubscription)?;
    // §6.2.3.3: nobody ends or changes what is somebody else's.
    if jid.bare_str() != asked.who.bare_str() {
        return Err(StanzaError::forbidden());
    }
    // §6.2.3.2, §6.3.4.2.
    let known = node
        .subscription(jid)
        .ok_or_else(errors::no_such_subscription)?;
    Ok((node, known))
}

/// §6.3.2.
pub(super) fn options(asked: &Asked<'_>, jid: &Jid) -> Decided {
    let (node, known) = own_subscription(asked, jid)?;
    let options = Element::new("options", NS)
        .attr("node", node.name.clone())
        .attr("jid", jid.as_str())
        .child(known.options.to_form());
    Ok(vec![
        asked.reply(Some(Element::new("pubsub", NS).child(options))),
    ])
}

/// §6.3.5.
pub(super) fn set_options(asked: &Asked<'_>, jid: &Jid, form: &Submitted) -> Decided {
    let (node, known) = own_subscription(asked, jid)?;
    let mut changed = known.clone();
    changed
        .options
        .apply(form)
        .ok_or_else(errors::invalid_options)?;
    Ok(vec![
        asked.change(node, vec![Action::Subscribe(changed)]),
        asked.reply(None),
    ])
}

/// §6.4.
pub(super) fn default_options(iq: &Iq, node: Option<&str>) -> Decided {
    // §6.4.1: all nodes have the same.
    let default = Element::new("default", NS)
        .attr_opt("node", node)
        .child(Options::default().to_form());
    let answer = Element::new("pubsub", NS).child(default);
    Ok(vec![Effect::Reply(Stanza::Iq(iq.result(Some(answer))))])
}

/// §5.6: everything somebody has subscribed to.
pub(super) fn answer_all(iq: &Iq, list: &[(String, Subscription)]) -> Vec<Effect> {
    let list = list.iter().map(|(node, it)| element(NS, Some(node), it));
    let list = Element::new("subscriptions", NS).children_from(list);
    let answer = Element::new("pubsub", NS).child(list);
    vec![Effect::Reply(Stanza::Iq(iq.result(Some(answer))))]
}

/// §5.6: what somebody has at one node.
pub(super) fn own(asked: &Asked<'_>) -> Decided {
    let node = asked.node_for(Operation::ManageOwnSubscription)?;
    let own = node.subscriptions.iter();
    let own = own.filter(|it| it.jid.bare_str() == asked.who.bare_str());
    let list = Element::new("subscriptions", NS)
        .attr("node", node.name.clone())
        .children_from(own.map(|it| element(NS, Some(&node.name), it)));
    Ok(vec![
        asked.reply(Some(Element::new("pubsub", NS).child(list))),
    ])
}

/// §8.8.1.
///
/// DEVIATION: §8.8.1.2 would leave those out who wait. Without `get-pending` (§8.7) an owner
/// who has lost the request finds them nowhere else.
pub(super) fn subscribers(asked: &Asked<'_>) -> Decided {
    let node = asked.node_for(Operation::ManageSubscriptions)?;
    let all = node.subscriptions.iter();
    Ok(vec![asked.reply(Some(owners_list(node, all)))])
}

fn owners_list<'a>(node: &Node, list: impl Iterator<Item = &'a Subscription>) -> Element {
    let list = Element::new("subscriptions", NS_OWNER)
        .attr("node", node.name.clone())
        .children_from(list.map(|it| element(NS_OWNER, None, it)));
    Element::new("pubsub", NS_OWNER).child(list)
}

/// §8.8.2.
pub(super) fn set_subscribers(asked: &Asked<'_>, changes: &[(Jid, SubscriptionState)]) -> Decided {
    let node = asked.node_for(Operation::ManageSubscriptions)?;
    let is_new = |jid: &Jid| node.subscription(jid).is_none();
    let new = changes.iter().filter(|(jid, _)| is_new(jid)).count();
    if new > 0 && !asked.has_room_for(node.subscriptions.len() + new) {
        return Err(errors::too_many_subscriptions());
    }
    let mut actions = Vec::new();
    let mut told = Vec::new();
    let mut refused = Vec::new();
    for (jid, state) in changes {
        let known = node.subscription(jid);
        let before = known.map_or(SubscriptionState::None, |known| known.state);
        if before == *state {
            continue;
        }
        // Nobody is made to wait by an owner.
        if *state == SubscriptionState::Pending {
            refused.push(Subscription {
                jid: jid.clone(),
                state: before,
                options: Options::default(),
            });
            continue;
        }
        let subscription = Subscription {
            jid: jid.clone(),
            state: *state,
            options: known.map(|known| known.options.clone()).unwrap_or_default(),
        };
        told.push(tell_subscriber(node, &subscription, asked.facts));
        actions.push(match state {
            SubscriptionState::None => Action::Unsubscribe(jid.clone()),
            _ => Action::Subscribe(subscription),
        });
    }
    let mut effects = Vec::new();
    if !actions.is_empty() {
        effects.push(asked.change(node, actions));
    }
    // §8.8.2.4: what is not named as refused is done.
    effects.push(match refused.is_empty() {
        true => asked.reply(None),
        false => asked.refuse_naming(owners_list(node, refused.iter())),
    });
    effects.extend(told);
    Ok(effects)
}

/// A subscription as it is shown.
fn element(namespace: &'static str, node: Option<&str>, it: &Subscription) -> Element {
    Element::new("subscription", namespace)
        .attr_opt("node", node)
        .attr("jid", it.jid.as_str())
        .attr("subscription", it.state.as_str())
}
