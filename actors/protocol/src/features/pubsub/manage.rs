//! Making, configuring, emptying and deleting nodes: XEP-0060 sections 8.1 to 8.5.

use std::collections::BTreeMap;

use super::access::Operation;
use super::config::Config;
use super::errors;
use super::node::{Action, Affiliation, Node};
use super::{
    Asked, Decided, NS, NS_EVENT, NS_OWNER, access_models, default_config, notify, pep, publish,
};
use crate::effect::Effect;
use crate::facts::Facts;
use crate::features::data_forms::Submitted;
use crate::jid::{BareJid, Jid};
use crate::stanza::{Iq, Stanza, StanzaError};
use crate::xml::Element;

/// §8.1.
pub(super) fn create(asked: &Asked<'_>, name: &str, form: Option<&Submitted>) -> Decided {
    if asked.found.node.is_some() {
        return match may_create(asked.who, asked.facts) {
            true => Err(StanzaError::conflict()),
            false => Err(StanzaError::forbidden()),
        };
    }
    let node = new_node(asked, name, form)?;
    let actions = vec![Action::Create(node.creator, node.config)];
    let create = super::change(name.to_owned(), None, actions, asked.facts);
    // §8.1.2: the name is told, for an instant node has got one.
    let created = Element::new("create", NS).attr("node", name);
    let answer = Element::new("pubsub", NS).child(created);
    Ok(vec![create, asked.reply(Some(answer))])
}

/// A node that is to be made by this request.
pub(super) fn new_node(
    asked: &Asked<'_>,
    name: &str,
    form: Option<&Submitted>,
) -> Result<Node, StanzaError> {
    if !may_create(asked.who, asked.facts) {
        // On somebody's account: what is not there looks like what one may not see.
        return match asked.facts.account.localpart() {
            Some(_) => Err(StanzaError::item_not_found()),
            None => Err(StanzaError::forbidden()),
        };
    }
    if asked.found.usage.nodes >= asked.facts.host.pubsub.nodes_max {
        return Err(errors::max_nodes_exceeded());
    }
    let mut config = default_config(asked.facts);
    if let Some(form) = form {
        apply(&mut config, form, asked.facts)?;
    }
    Ok(blank_node(name, asked.who.bare(), config, asked.facts))
}

/// A node nobody has done anything to.
pub(super) fn blank_node(name: &str, creator: BareJid, config: Config, facts: &Facts<'_>) -> Node {
    Node {
        name: name.to_owned(),
        version: 0,
        affiliations: BTreeMap::from([(creator.clone(), Affiliation::Owner)]),
        creator,
        created: facts.now,
        config,
        subscriptions: Vec::new(),
    }
}

/// An account has its own nodes; at a service the accounts of its domain make nodes (row R14).
fn may_create(who: &Jid, facts: &Facts<'_>) -> bool {
    if facts.account.localpart().is_some() {
        return who.bare_str() == facts.account.as_str();
    }
    let domain = facts.host.service(facts.account.domain());
    who.localpart().is_some() && domain.is_some_and(|(_, domain)| domain == who.domain())
}

/// Takes a form over, if what comes of it is possible here.
fn apply(config: &mut Config, form: &Submitted, facts: &Facts<'_>) -> Result<(), StanzaError> {
    // XEP-0248, creating collections: nobody gets a leaf who wants something else.
    if form
        .value("pubsub#node_type")
        .is_some_and(|kind| kind != "leaf")
    {
        return Err(errors::unsupported("collections"));
    }
    config.apply(form).map_err(|field| match field {
        "pubsub#access_model" => errors::unsupported_access_model(),
        _ => StanzaError::not_acceptable().with_text(format!("no value of {field}")),
    })?;
    if !access_models(facts).contains(&config.access_model) {
        return Err(errors::unsupported_access_model());
    }
    let settings = &facts.host.pubsub;
    if config.max_items.is_some_and(|max| max > settings.items_max) {
        return Err(errors::max_items_exceeded());
    }
    Ok(())
}

/// §8.2.1.
pub(super) fn configuration(asked: &Asked<'_>) -> Decided {
    let node = asked.node_for(Operation::Configure)?;
    let form = node.config.to_form(access_models(asked.facts));
    Ok(vec![
        asked.reply(Some(configure_element(Some(&node.name), form))),
    ])
}

fn configure_element(node: Option<&str>, form: Element) -> Element {
    let name = if node.is_some() {
        "configure"
    } else {
        "default"
    };
    let configure = Element::new(name, NS_OWNER).attr_opt("node", node);
    Element::new("pubsub", NS_OWNER).child(configure.child(form))
}

/// §8.2.4.
pub(super) fn configure(asked: &Asked<'_>, form: Option<&Submitted>) -> Decided {
    let node = asked.node_for(Operation::Configure)?;
    let Some(form) = form else {
        // §8.2.4: cancelled, so it stays as it is.
        return Ok(vec![asked.reply(None)]);
    };
    let mut after = node.clone();
    apply(&mut after.config, form, asked.facts)?;
    if after.config == node.config {
        return Ok(vec![asked.reply(None)]);
    }
    // What it may no longer keep goes.
    let keep = publish::keep(&after.config, asked.facts);
    let actions = vec![
        Action::Configure(after.config.clone()),
        Action::Publish(Vec::new(), keep),
    ];
    let mut effects = vec![asked.change(node, actions), asked.reply(None)];
    if after.config.notify_config {
        let values = after.config.deliver_payloads;
        let values = values.then(|| after.config.to_values("result"));
        let what = Element::new("configuration", NS_EVENT)
            .attr("node", node.name.clone())
            .children_from(values);
        effects.extend(notify::tell(&after, what, asked.facts));
    }
    Ok(effects)
}

/// §8.3.
pub(super) fn default_configuration(iq: &Iq, facts: &Facts<'_>) -> Decided {
    let form = default_config(facts).to_form(access_models(facts));
    let answer = iq.result(Some(configure_element(None, form)));
    Ok(vec![Effect::Reply(Stanza::Iq(answer))])
}

/// §8.4.
pub(super) fn delete(asked: &Asked<'_>, redirect: Option<&str>) -> Decided {
    let node = asked.node_for(Operation::Delete)?;
    let redirect = redirect.map(|uri| Element::new("redirect", NS_EVENT).attr("uri", uri));
    let what = Element::new("delete", NS_EVENT)
        .attr("node", node.name.clone())
        .children_from(redirect);
    let mut effects = vec![asked.change(node, vec![Action::Delete]), asked.reply(None)];
    effects.extend(notify::tell_of_end(node, what, asked.facts));
    effects.extend(pep::emptied(node, asked.facts));
    Ok(effects)
}

/// §8.5.
pub(super) fn purge(asked: &Asked<'_>) -> Decided {
    let node = asked.node_for(Operation::Purge)?;
    if !node.config.persist_items {
        return Err(errors::unsupported("persistent-items"));
    }
    let what = Element::new("purge", NS_EVENT).attr("node", node.name.clone());
    let mut effects = vec![asked.change(node, vec![Action::Purge]), asked.reply(None)];
    effects.extend(notify::tell(node, what, asked.facts));
    effects.extend(pep::emptied(node, asked.facts));
    Ok(effects)
}
