//! Who is what to a node: XEP-0060 sections 5.7 and 8.9.

use super::access::Operation;
use super::node::{Action, Affiliation, Node, Subscription, SubscriptionState};
use super::{Asked, Decided, NS, NS_OWNER, subscriptions};
use crate::effect::Effect;
use crate::facts::Facts;
use crate::jid::BareJid;
use crate::stanza::{Iq, Stanza, StanzaError};
use crate::xml::Element;

/// §5.7: everywhere.
pub(super) fn answer_all(iq: &Iq, list: &[(String, Affiliation)]) -> Vec<Effect> {
    let list = list.iter().map(|(node, affiliation)| {
        Element::new("affiliation", NS)
            .attr("node", node.clone())
            .attr("affiliation", affiliation.as_str())
    });
    let list = Element::new("affiliations", NS).children_from(list);
    let answer = Element::new("pubsub", NS).child(list);
    vec![Effect::Reply(Stanza::Iq(iq.result(Some(answer))))]
}

/// §5.7: at one node.
pub(super) fn own(asked: &Asked<'_>) -> Decided {
    let node = asked.node_for(Operation::ManageOwnSubscription)?;
    let affiliation = asked.relation(node).affiliation;
    let own = Element::new("affiliation", NS)
        .attr("node", node.name.clone())
        .attr("affiliation", affiliation.as_str());
    let list = Element::new("affiliations", NS)
        .attr("node", node.name.clone())
        .child(own);
    Ok(vec![
        asked.reply(Some(Element::new("pubsub", NS).child(list))),
    ])
}

/// §8.9.1.
pub(super) fn list(asked: &Asked<'_>) -> Decided {
    let node = asked.node_for(Operation::ManageAffiliations)?;
    let list = node.affiliations.iter().map(|(jid, it)| (jid, *it));
    Ok(vec![asked.reply(Some(element(node, list)))])
}

fn element<'a>(node: &Node, list: impl Iterator<Item = (&'a BareJid, Affiliation)>) -> Element {
    let list = list.map(|(jid, affiliation)| {
        Element::new("affiliation", NS_OWNER)
            .attr("jid", jid.as_str())
            .attr("affiliation", affiliation.as_str())
    });
    let list = Element::new("affiliations", NS_OWNER)
        .attr("node", node.name.clone())
        .children_from(list);
    Element::new("pubsub", NS_OWNER).child(list)
}

/// §8.9.2.
pub(super) fn set(asked: &Asked<'_>, changes: &[(BareJid, Affiliation)]) -> Decided {
    let node = asked.node_for(Operation::ManageAffiliations)?;
    // §8.9.2.4: what would leave the node without its owner is named; the rest is done.
    let (refused, changes): (Vec<_>, Vec<_>) = changes
        .iter()
        .cloned()
        .partition(|(jid, it)| *it != Affiliation::Owner && is_kept(jid, node, changes, asked));
    let mut after = node.affiliations.clone();
    for (jid, affiliation) in &changes {
        match affiliation {
            Affiliation::None => after.remove(jid),
            _ => after.insert(jid.clone(), *affiliation),
        };
    }
    if after.len() > node.affiliations.len() && !asked.has_room_for(after.len()) {
        return Err(StanzaError::policy_violation().with_text("too many affiliations"));
    }
    let (settled, told) = settle_subscriptions(node, &changes, asked.facts);
    let mut effects = Vec::new();
    if !changes.is_empty() {
        let actions = std::iter::once(Action::Affiliate(changes)).chain(settled);
        effects.push(asked.change(node, actions.collect()));
    }
    effects.push(match refused.is_empty() {
        true => asked.reply(None),
        false => {
            let refused = refused.iter().map(|(jid, _)| (jid, Affiliation::Owner));
            asked.refuse_naming(element(node, refused))
        }
    });
    effects.extend(told);
    Ok(effects)
}

/// Tells whether somebody has to stay an owner: a node keeps one, and an account's nodes keep
/// that account. Whoever is made an owner by the same list counts.
fn is_kept(
    jid: &BareJid,
    node: &Node,
    changes: &[(BareJid, Affiliation)],
    asked: &Asked<'_>,
) -> bool {
    if asked.facts.account.localpart().is_some() {
        return jid == asked.facts.account;
    }
    let is_owner = |affiliation: Option<&Affiliation>| affiliation == Some(&Affiliation::Owner);
    let after = |of: &BareJid| {
        let change = changes.iter().find(|(who, _)| who == of).map(|(_, it)| it);
        is_owner(change.or_else(|| node.affiliations.get(of)))
    };
    let mut all = node
        .affiliations
        .keys()
        .chain(changes.iter().map(|(who, _)| who));
    is_owner(node.affiliations.get(jid)) && !all.any(after)
}

/// §4.1: an outcast is subscribed no more. §8.7.4: who waits for an owner's word has got it.
fn settle_subscriptions(
    node: &Node,
    changes: &[(BareJid, Affiliation)],
    facts: &Facts<'_>,
) -> (Vec<Action>, Vec<Effect>) {
    let mut actions = Vec::new();
    let mut told = Vec::new();
    for known in &node.subscriptions {
        let mut changes = changes.iter();
        let change = changes.find(|(who, _)| who.as_str() == known.jid.bare_str());
        let Some((_, affiliation)) = change else {
            continue;
        };
        let is_pending = known.state == SubscriptionState::Pending;
        let (action, state) = match affiliation {
            Affiliation::Outcast => {
                let action = Action::Unsubscribe(known.jid.clone());
                (action, SubscriptionState::None)
            }
            Affiliation::Owner | Affiliation::Publisher | Affiliation::Member if is_pending => {
                let state = SubscriptionState::Subscribed;
                let known = known.clone();
                (Action::Subscribe(Subscription { state, ..known }), state)
            }
            _ => continue,
        };
        actions.push(action);
        let settled = Subscription {
            state,
            ..known.clone()
        };
        told.push(subscriptions::tell_subscriber(node, &settled, facts));
    }
    (actions, told)
}
