//! Bookmarks: XEP-0402 version 1.2.0, and the old ones, XEP-0048 version 1.2, made from them,
//! <https://xmpp.org/extensions/xep-0402.html>
//!
//! There is one list of bookmarks, the items of the node [`NS`]. The list that older clients
//! keep in private XML (XEP-0049, `#compat`) or in a node of one item (XEP-0223,
//! `#compat-pep`) is made from it when they ask; when they write it, items are published and
//! retracted by what is different. What the old form has beside rooms is kept as it is.

pub mod convert;

use self::convert::{differences, to_legacy};
use super::pubsub::node::{Action, Ask, Found, FoundNode, Item, Node, Wanted};
use super::pubsub::request::{PAGE_MAX, Request, to_payload};
use super::pubsub::{self, notify, pep};
use super::{Feature, Spec, refuse};
use crate::effect::{Answer, Change, Effect, Kept, KeptChange, Query};
use crate::facts::Facts;
use crate::jid::Jid;
use crate::stanza::{Iq, Message, Stanza, StanzaError};
use crate::xml::Element;

/// Bookmarks of today, and their node.
pub const NS: &str = "urn:xmpp:bookmarks:1";
/// Bookmarks of old, and their node.
pub const NS_LEGACY: &str = "storage:bookmarks";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "bookmarks",
    title: "PEP Native Bookmarks",
    spec: Spec::Xep {
        number: 402,
        version: "1.2.0",
    },
    disco_account: &[
        "urn:xmpp:bookmarks:1#compat",
        "urn:xmpp:bookmarks:1#compat-pep",
    ],
    ..Feature::NONE
};

/// Bookmarks of old.
pub mod legacy {
    use super::{Feature, Spec};

    /// The feature.
    pub const FEATURE: Feature = Feature {
        name: "bookmarks",
        title: "Bookmarks",
        spec: Spec::Xep {
            number: 48,
            version: "1.2",
        },
        ..Feature::NONE
    };
}

/// Where what is no room is kept.
const REST: &str = "bookmarks";

/// The one item of the old node.
const LEGACY_ID: &str = "current";

/// Asks for all there is, to go on with a request in the old form.
pub(super) fn ask(facts: &Facts<'_>, go_on: crate::effect::Continue) -> Effect {
    let ask = Ask::Node {
        node: NS.to_owned(),
        items: Wanted::After(None, PAGE_MAX),
        creator: facts.account.clone(),
    };
    Effect::Load(Query::Kept(REST.to_owned(), Some(Box::new(ask))), go_on)
}

/// The bookmarks and the rest.
fn found(answer: Answer) -> Result<(FoundNode, Option<Element>), StanzaError> {
    let Kept { value, found, .. } = match answer {
        Answer::Kept(kept) => *kept,
        Answer::Failed(error) => return Err(error),
        _ => return Err(StanzaError::internal_server_error()),
    };
    let rest = value.and_then(|bytes| Element::parse(&bytes).ok());
    match found {
        Some(Found::Node(found)) => Ok((found, rest)),
        _ => Err(StanzaError::internal_server_error()),
    }
}

/// Makes the bookmarks what an old client says.
fn store(legacy: &Element, answer: Answer, facts: &Facts<'_>) -> Result<Vec<Effect>, StanzaError> {
    let (found, _) = found(answer)?;
    let (put, gone) = differences(legacy, &found, facts);
    let settings = &facts.host.pubsub;
    let kept = found.items.len() + put.len() - gone.len().min(found.items.len());
    let bytes: u64 = put.iter().map(Item::bytes).sum();
    if kept > settings.items_max as usize || found.usage.bytes + bytes > settings.bytes_max {
        return Err(StanzaError::policy_violation().with_text("too many bookmarks"));
    }
    let rest = Element::new("storage", NS_LEGACY).children_from(
        legacy
            .children()
            .filter(|it| !it.is("conference", NS_LEGACY))
            .cloned(),
    );
    let rest = (rest.children().count() > 0).then(|| to_payload(&rest));
    let mut effects = vec![Effect::Change(Change::Kept(KeptChange {
        name: REST.to_owned(),
        value: rest,
    }))];
    if !put.is_empty() || !gone.is_empty() {
        effects.extend(change_items(&found, put, gone, facts));
    }
    Ok(effects)
}

fn change_items(
    found: &FoundNode,
    put: Vec<Item>,
    gone: Vec<String>,
    facts: &Facts<'_>,
) -> Vec<Effect> {
    let node = found.node.clone().unwrap_or_else(|| Node {
        config: pep::private_config(),
        ..pubsub::blank(NS, facts)
    });
    let create = found.node.is_none();
    let create = create.then(|| Action::Create(node.creator.clone(), node.config.clone()));
    let mut actions: Vec<Action> = create.into_iter().collect();
    if !gone.is_empty() {
        actions.push(Action::Retract(gone.clone()));
    }
    actions.push(Action::Publish(put.clone(), facts.host.pubsub.items_max));
    let expected = found.node.as_ref().map(|node| node.version);
    let mut effects = vec![pubsub::change(NS.to_owned(), expected, actions, facts)];
    let published = put.iter().map(|item| notify::item(item, &node.config));
    let retracted = gone.iter().map(|id| notify::retracted(id));
    for what in published.chain(retracted) {
        effects.extend(notify::tell(&node, notify::items(NS, [what]), facts));
    }
    effects.extend(tell_legacy(facts));
    effects
}

/// The bookmarks in private XML (XEP-0049).
pub(super) fn answer_private(stanza: &Stanza, answer: Answer, _facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Iq(iq) = stanza else {
        return Vec::new();
    };
    match found(answer) {
        Ok((found, rest)) => {
            let storage = to_legacy(&found, rest.as_ref());
            let query = Element::new("query", super::private_xml::NS).child(storage);
            vec![Effect::Reply(Stanza::Iq(iq.result(Some(query))))]
        }
        Err(error) => refuse(iq, error),
    }
}

/// The bookmarks are set in private XML.
pub(super) fn set_private(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Iq(iq) = stanza else {
        return Vec::new();
    };
    let query = iq.payload().and_then(|child| child.element());
    let storage = query.and_then(|query| query.find("storage", NS_LEGACY).cloned());
    let storage = storage.ok_or_else(StanzaError::bad_request);
    settle(
        iq,
        storage.and_then(|storage| store(&storage, answer, facts)),
        None,
    )
}

fn settle(
    iq: &Iq,
    stored: Result<Vec<Effect>, StanzaError>,
    answer: Option<Element>,
) -> Vec<Effect> {
    match stored {
        Ok(mut effects) => {
            effects.push(Effect::Reply(Stanza::Iq(iq.result(answer))));
            effects
        }
        Err(error) => refuse(iq, error),
    }
}

/// A request for the old node, which is another face of the new one.
pub(super) fn decide_pep(iq: &Iq, request: &Request, facts: &Facts<'_>) -> Vec<Effect> {
    let done = || vec![Effect::Reply(Stanza::Iq(iq.result(None)))];
    match request {
        Request::Items(..) => vec![ask(facts, answer_pep)],
        Request::Publish(publish) => {
            // Row R09: it is private, whatever it would be otherwise.
            let options = publish.options.as_ref();
            let access = options.and_then(|options| options.value("pubsub#access_model"));
            match access.is_none_or(|access| access == "whitelist") {
                true => vec![ask(facts, set_pep)],
                false => refuse(iq, pubsub::precondition_not_met()),
            }
        }
        Request::Retract(..) | Request::Purge(_) | Request::Delete(..) => {
            vec![ask(facts, clear_pep)]
        }
        // It is there, and as private as anybody can want.
        Request::Create(..) | Request::Configure(..) => done(),
        _ => refuse(iq, StanzaError::not_allowed()),
    }
}

fn answer_pep(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Iq(iq) = stanza else {
        return Vec::new();
    };
    match found(answer) {
        Ok((found, rest)) => {
            let item = legacy_item(&to_legacy(&found, rest.as_ref()), facts);
            let items = Element::new("items", pubsub::NS)
                .attr("node", NS_LEGACY)
                .child(pubsub::item_element(&item, false));
            let answer = Element::new("pubsub", pubsub::NS).child(items);
            vec![Effect::Reply(Stanza::Iq(iq.result(Some(answer))))]
        }
        Err(error) => refuse(iq, error),
    }
}

fn legacy_item(storage: &Element, facts: &Facts<'_>) -> Item {
    Item {
        id: LEGACY_ID.to_owned(),
        publisher: facts.account.clone().into(),
        stamp: facts.now,
        payload: to_payload(storage),
    }
}

fn set_pep(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Iq(iq) = stanza else {
        return Vec::new();
    };
    let Ok(Request::Publish(publish)) = Request::read(iq) else {
        return refuse(iq, StanzaError::bad_request());
    };
    let item = publish.items.into_iter().next();
    let storage = item.and_then(|item| item.element);
    let storage = storage.filter(|storage| storage.is("storage", NS_LEGACY));
    let storage = storage.ok_or_else(StanzaError::bad_request);
    let item = Element::new("item", pubsub::NS).attr("id", LEGACY_ID);
    let published = Element::new("publish", pubsub::NS)
        .attr("node", NS_LEGACY)
        .child(item);
    let answered = Element::new("pubsub", pubsub::NS).child(published);
    settle(
        iq,
        storage.and_then(|storage| store(&storage, answer, facts)),
        Some(answered),
    )
}

fn clear_pep(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Iq(iq) = stanza else {
        return Vec::new();
    };
    settle(
        iq,
        store(&Element::new("storage", NS_LEGACY), answer, facts),
        None,
    )
}

/// Tells the account's resources that know the old node alone what the bookmarks are now.
pub(super) fn tell_legacy(facts: &Facts<'_>) -> Vec<Effect> {
    match notify::own_interested(NS_LEGACY, facts).is_empty() {
        true => Vec::new(),
        false => vec![ask(facts, tell_all)],
    }
}

fn tell_all(_stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let to = notify::own_interested(NS_LEGACY, facts);
    let event =
        |to| event(&answer, to, facts).map(|message| Effect::Route(Stanza::Message(message)));
    to.into_iter().filter_map(event).collect()
}

/// The bookmarks in the old form, for a session that has just come and knows no other.
pub(super) fn last_for_session(facts: &Facts<'_>) -> Vec<Effect> {
    vec![ask(facts, tell_session)]
}

fn tell_session(_stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Some(session) = facts.session else {
        return Vec::new();
    };
    let message = event(&answer, session.jid.clone().into(), facts);
    let reply = message.map(|message| Effect::Reply(Stanza::Message(message)));
    reply.into_iter().collect()
}

fn event(answer: &Answer, to: Jid, facts: &Facts<'_>) -> Option<Message> {
    let (found, rest) = found(answer.clone()).ok()?;
    found.node.as_ref()?;
    let item = legacy_item(&to_legacy(&found, rest.as_ref()), facts);
    let config = pep::private_config();
    let item = notify::item(&item, &config);
    let payload = notify::event(notify::items(NS_LEGACY, [item]));
    let mut message = notify::message(payload, &config, facts);
    message.head.to = Some(to);
    Some(message)
}

#[cfg(test)]
mod tests;
