//! Who is what to a node: XEP-0060 sections 5.7 and 8.9.

use std::collections::BTreeMap;

use super::access::Operation;
use super::node::{Action, Affiliation, Node};
use super::{Asked, Decided, NS, NS_OWNER};
use crate::effect::Effect;
use crate::jid::BareJid;
use crate::stanza::{Iq, IqKind, Stanza, StanzaError};
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
///
/// DEVIATION: §8.9.2.4 would have the good entries of a list with a bad one made all the
/// same. Here a list is made whole or not at all; the bad entry is named as it says.
pub(super) fn set(asked: &Asked<'_>, changes: &[(BareJid, Affiliation)]) -> Decided {
    let node = asked.node_for(Operation::ManageAffiliations)?;
    let mut after = node.affiliations.clone();
    for (jid, affiliation) in changes {
        match affiliation {
            Affiliation::None => after.remove(jid),
            _ => after.insert(jid.clone(), *affiliation),
        };
    }
    if let Some(owner) = owner_lost(node, &after, changes, asked) {
        return Ok(refuse_naming(asked, node, &owner));
    }
    if after.len()
        > asked
            .facts
            .host
            .pubsub
            .subscriptions_max
            .max(node.affiliations.len())
    {
        return Err(StanzaError::policy_violation().with_text("too many affiliations"));
    }
    let mut actions = vec![Action::Affiliate(changes.to_vec())];
    // §4.1: an outcast is subscribed no more.
    let is_outcast = |jid: &str| {
        let mut changes = changes.iter();
        changes.any(|(who, it)| who.as_str() == jid && *it == Affiliation::Outcast)
    };
    let banned = node
        .subscriptions
        .iter()
        .filter(|it| is_outcast(it.jid.bare_str()));
    actions.extend(banned.map(|it| Action::Unsubscribe(it.jid.clone())));
    Ok(vec![asked.change(node, actions), asked.reply(None)])
}

/// §8.9.2.4: a node keeps an owner, and an account's nodes keep that account.
fn owner_lost(
    node: &Node,
    after: &BTreeMap<BareJid, Affiliation>,
    changes: &[(BareJid, Affiliation)],
    asked: &Asked<'_>,
) -> Option<BareJid> {
    let is_account = asked.facts.account.localpart().is_some();
    let is_owner = |affiliation: Option<&Affiliation>| affiliation == Some(&Affiliation::Owner);
    let gives_up = |jid: &&BareJid| !is_owner(after.get(*jid));
    if is_account {
        let mut own = changes.iter().map(|(jid, _)| jid);
        return own
            .find(|jid| *jid == asked.facts.account && gives_up(jid))
            .cloned();
    }
    let has_owner = after
        .values()
        .any(|affiliation| *affiliation == Affiliation::Owner);
    let mut lost = changes.iter().map(|(jid, _)| jid);
    let was_owner = |jid: &&BareJid| is_owner(node.affiliations.get(*jid));
    match has_owner {
        true => None,
        false => lost.find(was_owner).cloned(),
    }
}

fn refuse_naming(asked: &Asked<'_>, node: &Node, owner: &BareJid) -> Vec<Effect> {
    let mut answer = asked.iq.result(Some(element(
        node,
        [(owner, Affiliation::Owner)].into_iter(),
    )));
    answer.kind = IqKind::Error;
    answer
        .payloads
        .push(&StanzaError::not_acceptable().to_element());
    vec![Effect::Reply(Stanza::Iq(answer))]
}
