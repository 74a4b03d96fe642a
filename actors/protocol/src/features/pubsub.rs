//! Publish-Subscribe: XEP-0060 version 1.30.0,
//! <https://xmpp.org/extensions/xep-0060.html>
//!
//! One set of decisions serves an account's own nodes (XEP-0163, [`pep`]) and the service at
//! `pubsub.D` of every domain `D`: [`crate::facts::Facts::account`] is whose nodes they are. A
//! request is read, the store is asked for the node with what belongs to the request, and then
//! it is decided; every change goes to the store with the version of the node it was decided
//! on, and is decided again when that is stale.
//!
//! Left out: collections (XEP-0248), several subscriptions of one address and their ids,
//! leases, and the presence sharer of §9.1.3.

pub(crate) mod access;
mod affiliations;
mod approval;
pub mod config;
pub mod disco;
mod errors;
mod items;
mod manage;
pub mod node;
pub(crate) mod notify;
pub mod options;
pub(crate) mod pending;
pub mod pep;
mod publish;
pub(crate) mod request;
mod subscriptions;

use serde::{Deserialize, Serialize};

use self::access::{Operation, Relation, allow};
use self::config::{AccessModel, Config};
use self::node::{Action, Ask, Found, FoundNode, Node, NodeChange, Wanted};
use self::request::Request;
use super::{Feature, Scope, Service, Spec, Status, adhoc, get, refuse, set};
use crate::effect::{Answer, Change, Effect, Query};
use crate::facts::Facts;
use crate::jid::Jid;
use crate::stanza::{Iq, IqKind, Stanza, StanzaError};
use crate::xml::Element;

/// Requests of everybody.
pub const NS: &str = "http://jabber.org/protocol/pubsub";
/// Requests of owners.
pub const NS_OWNER: &str = "http://jabber.org/protocol/pubsub#owner";
/// Notifications.
pub const NS_EVENT: &str = "http://jabber.org/protocol/pubsub#event";
/// Conditions of errors.
pub const NS_ERRORS: &str = "http://jabber.org/protocol/pubsub#errors";
const NS_CONFIG: &str = "http://jabber.org/protocol/pubsub#node_config";
const NS_OPTIONS: &str = "http://jabber.org/protocol/pubsub#subscribe_options";
/// What a publisher wants of a node (§7.1.5).
pub const NS_PUBLISH_OPTIONS: &str = "http://jabber.org/protocol/pubsub#publish-options";

/// What accounts and services can do alike (§10), and what one of them can do besides.
macro_rules! features {
    ($($besides:literal),* $(,)?) => {
        features!(@named "access-authorize", "access-open", "access-whitelist", "auto-create", "config-node", "config-node-max", "create-and-configure", "create-nodes", "delete-items", "delete-nodes", "instant-nodes", "item-ids", "last-published", "manage-subscriptions", "member-affiliation", "meta-data", "modify-affiliations", "multi-items", "outcast-affiliation", "persistent-items", "presence-notifications", "publish", "publish-node-full", "publish-only-affiliation", "publish-options", "publisher-affiliation", "purge-nodes", "retract-items", "retrieve-affiliations", "retrieve-default", "retrieve-default-sub", "retrieve-items", "retrieve-subscriptions", "rsm", "subscribe", "subscription-notifications", "subscription-options", $($besides),*)
    };
    (@named $($name:literal),* $(,)?) => {
        &[NS, $(concat!("http://jabber.org/protocol/pubsub#", $name)),*]
    };
}

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "pubsub",
    title: "Publish-Subscribe",
    spec: Spec::Xep {
        number: 60,
        version: "1.30.0",
    },
    status: Status::Partial("no leases, one subscription an address"),
    services: &[(Service::Pubsub, features!("get-pending"))],
    disco_account: features!(
        "access-presence",
        "access-roster",
        "auto-subscribe",
        "filtered-notifications",
        "presence-subscribe",
        "pubsub-on-a-jid"
    ),
    iq: &[
        get(Scope::Account, NS, "pubsub", decide),
        set(Scope::Account, NS, "pubsub", decide),
        get(Scope::Account, NS_OWNER, "pubsub", decide),
        set(Scope::Account, NS_OWNER, "pubsub", decide),
        get(Scope::Service(Service::Pubsub), NS, "pubsub", decide),
        set(Scope::Service(Service::Pubsub), NS, "pubsub", decide),
        get(Scope::Service(Service::Pubsub), NS_OWNER, "pubsub", decide),
        set(Scope::Service(Service::Pubsub), NS_OWNER, "pubsub", decide),
        set(
            Scope::Service(Service::Pubsub),
            adhoc::NS,
            "command",
            pending::command,
        ),
    ],
    ..Feature::NONE
};

pub(crate) use self::approval::decide_message;
pub(crate) use self::errors::precondition_not_met;
pub(crate) use self::items::element as item_element;
pub(crate) use self::publish::publish_own;

/// What an operator may tune of nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Nodes one account may have, its own and those it has made at a service.
    pub nodes_max: u64,
    /// Items one node keeps.
    pub items_max: u32,
    /// Bytes of one item.
    pub item_bytes_max: usize,
    /// Bytes of all items, subscriptions and affiliations in the nodes of one account.
    pub bytes_max: u64,
    /// Subscriptions, and affiliations, of one node.
    pub subscriptions_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // OMEMO takes one for each device, everything else together some thirty.
            nodes_max: 500,
            // One item for each chat (XEP-0490) and each room (XEP-0402) of a long life.
            items_max: 2000,
            // As large as a stanza: a large avatar in base64 has about so much.
            item_bytes_max: 256 * 1024,
            // A hundred large avatars, or the bookmarks of a thousand people.
            bytes_max: 16 * 1024 * 1024,
            subscriptions_max: 1000,
        }
    }
}

/// The request of somebody, with the node it is about.
struct Asked<'a> {
    iq: &'a Iq,
    who: &'a Jid,
    found: &'a FoundNode,
    facts: &'a Facts<'a>,
}

/// What comes of a request: effects, or the reason why not.
type Decided = Result<Vec<Effect>, StanzaError>;

/// Decides a request: reads it and asks the store for what it is about.
pub(crate) fn decide(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    let request = match Request::read(iq) {
        Ok(request) => request,
        Err(error) => return refuse(iq, error),
    };
    let Some(who) = &iq.head.from else {
        return refuse(iq, StanzaError::bad_request());
    };
    if let Some(effects) = pep::converted(iq, &request, facts) {
        return effects;
    }
    match ask(&request, who) {
        Some(ask) if matches!(request, Request::Items(..)) => vec![load_shown(ask, facts, go_on)],
        Some(ask) => vec![load(ask, facts, go_on)],
        None => settle(iq, answer_without_node(iq, &request, facts)),
    }
}

/// A question about the nodes of the deciding account or service.
pub(crate) fn load(ask: Ask, facts: &Facts<'_>, go_on: crate::effect::Continue) -> Effect {
    Effect::Load(Query::Pubsub(facts.account.clone(), Box::new(ask)), go_on)
}

/// The same for who reads: with what the directory shows of the account's owner.
pub(crate) fn load_shown(ask: Ask, facts: &Facts<'_>, go_on: crate::effect::Continue) -> Effect {
    Effect::Load(Query::Shown(facts.account.clone(), Box::new(ask)), go_on)
}

fn ask(request: &Request, who: &Jid) -> Option<Ask> {
    let items = match request {
        Request::Subscriptions(None) => return Some(Ask::Subscriptions(who.bare())),
        Request::Affiliations(None) => return Some(Ask::Affiliations(who.bare())),
        Request::Items(_, wanted) => wanted.clone(),
        Request::Retract(_, ids, _) => Wanted::Ids(ids.clone()),
        Request::Publish(publish) => {
            Wanted::Replaced(publish.items.first().and_then(|item| item.id.clone()))
        }
        // §6.1.7: the last one, for the new subscriber.
        Request::Subscribe(..) => Wanted::Before(None, 1),
        _ => Wanted::Nothing,
    };
    let node = request.node()?.to_owned();
    let creator = who.bare();
    Some(Ask::Node {
        node,
        items,
        creator,
    })
}

fn answer_without_node(iq: &Iq, request: &Request, facts: &Facts<'_>) -> Decided {
    match request {
        Request::DefaultConfiguration => manage::default_configuration(iq, facts),
        Request::DefaultOptions(node) => subscriptions::default_options(iq, node.as_deref()),
        // An instant node (§8.1.2): nobody has made one of that name.
        Request::Create(_, form) => {
            let name = format!("{:032x}", (facts.random)());
            let create = Request::Create(Some(name.clone()), form.clone());
            decide_found(iq, &create, &FoundNode::default(), facts)
        }
        _ => Err(StanzaError::bad_request()),
    }
}

/// Goes on with a request when the node is known.
fn go_on(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Iq(iq) = stanza else {
        return Vec::new();
    };
    let decided = match (Request::read(iq), answer) {
        (Ok(request), Answer::Pubsub(found)) => match *found {
            Found::Node(found) => decide_found(iq, &request, &found, facts),
            Found::Subscriptions(list) => Ok(subscriptions::answer_all(iq, &list)),
            Found::Affiliations(list) => Ok(affiliations::answer_all(iq, &list)),
            Found::Nodes(_) | Found::LastItems(_) => Err(StanzaError::internal_server_error()),
        },
        (_, Answer::Failed(error)) | (Err(error), _) => Err(error),
        // XEP-0059 §2.2: what the page should be next to is not there.
        (_, Answer::NoSuchItem) => Err(StanzaError::item_not_found()),
        _ => Err(StanzaError::internal_server_error()),
    };
    settle(iq, decided)
}

fn settle(iq: &Iq, decided: Decided) -> Vec<Effect> {
    decided.unwrap_or_else(|error| refuse(iq, error))
}

fn decide_found(iq: &Iq, request: &Request, found: &FoundNode, facts: &Facts<'_>) -> Decided {
    let who = iq.head.from.as_ref().ok_or_else(StanzaError::bad_request)?;
    let asked = Asked {
        iq,
        who,
        found,
        facts,
    };
    match request {
        Request::Publish(publish) => publish::publish(&asked, publish),
        Request::Create(Some(name), form) => manage::create(&asked, name, form.as_ref()),
        Request::Subscriptions(_) => subscriptions::own(&asked),
        Request::Affiliations(_) => affiliations::own(&asked),
        Request::Subscribe(_, jid, form) => subscriptions::subscribe(&asked, jid, form.as_ref()),
        Request::Unsubscribe(_, jid) => subscriptions::unsubscribe(&asked, jid),
        Request::Options(_, jid, None) => subscriptions::options(&asked, jid),
        Request::Options(_, jid, Some(form)) => subscriptions::set_options(&asked, jid, form),
        Request::Items(_, wanted) => items::retrieve(&asked, wanted),
        Request::Retract(_, ids, notify) => publish::retract(&asked, ids, *notify),
        Request::Configuration(_) => manage::configuration(&asked),
        Request::Configure(_, form) => manage::configure(&asked, form.as_ref()),
        Request::Delete(_, redirect) => manage::delete(&asked, redirect.as_deref()),
        Request::Purge(_) => manage::purge(&asked),
        Request::Subscribers(_) => subscriptions::subscribers(&asked),
        Request::SetSubscribers(_, changes) => subscriptions::set_subscribers(&asked, changes),
        Request::Affiliated(_) => affiliations::list(&asked),
        Request::SetAffiliated(_, changes) => affiliations::set(&asked, changes),
        Request::Create(None, _) | Request::DefaultOptions(_) | Request::DefaultConfiguration => {
            Err(StanzaError::internal_server_error())
        }
    }
}

impl<'a> Asked<'a> {
    /// The node, if it is there and the asker may do this with it.
    fn node_for(&self, operation: Operation) -> Result<&'a Node, StanzaError> {
        let node = self
            .found
            .node
            .as_ref()
            .ok_or_else(StanzaError::item_not_found)?;
        let relation = self.relation(node);
        allow(operation, &relation, &node.config).map_err(|error| {
            match access::is_hidden(self.who, &relation, &node.config, self.facts) {
                true => StanzaError::item_not_found(),
                false => error,
            }
        })?;
        Ok(node)
    }

    fn relation(&self, node: &Node) -> Relation {
        Relation::of(self.who, node, self.facts)
    }

    /// Tells whether the node may have so many subscriptions or affiliations, and its creator
    /// anything more.
    fn has_room_for(&self, count: usize) -> bool {
        let settings = &self.facts.host.pubsub;
        count <= settings.subscriptions_max && self.found.usage.bytes < settings.bytes_max
    }

    /// The answer, with a payload or without.
    fn reply(&self, payload: Option<Element>) -> Effect {
        Effect::Reply(Stanza::Iq(self.iq.result(payload)))
    }

    /// §8.8.2.4, §8.9.2.4: an error that names the entries it is about, as they still are.
    fn refuse_naming(&self, entries: Element) -> Effect {
        let mut answer = self.iq.result(Some(entries));
        answer.kind = IqKind::Error;
        let error = StanzaError::not_acceptable().to_element();
        answer.payloads.push(&error);
        Effect::Reply(Stanza::Iq(answer))
    }

    /// A change of a node, if it is still what it was when this was decided.
    fn change(&self, node: &Node, actions: Vec<Action>) -> Effect {
        change(node.name.clone(), Some(node.version), actions, self.facts)
    }
}

/// A change of a node of the deciding account or service.
pub(crate) fn change(
    node: String,
    expected: Option<u64>,
    actions: Vec<Action>,
    facts: &Facts<'_>,
) -> Effect {
    Effect::Change(Change::Pubsub(Box::new(NodeChange {
        service: facts.account.clone(),
        node,
        expected,
        actions,
    })))
}

/// A node of the deciding account that nobody has done anything to.
pub(crate) fn blank(name: &str, facts: &Facts<'_>) -> Node {
    manage::blank_node(name, facts.account.clone(), default_config(facts), facts)
}

/// What a new node of the deciding account or service is unless it is said otherwise.
fn default_config(facts: &Facts<'_>) -> Config {
    match facts.account.localpart() {
        Some(_) => Config::of_account(),
        None => Config::of_service(),
    }
}

/// The models nodes of the deciding account or service may have: a service has no presence
/// and no roster.
fn access_models(facts: &Facts<'_>) -> &'static [AccessModel] {
    const OF_SERVICE: &[AccessModel] = &[
        AccessModel::Open,
        AccessModel::Authorize,
        AccessModel::Whitelist,
    ];
    match facts.account.localpart() {
        Some(_) => AccessModel::ALL,
        None => OF_SERVICE,
    }
}

#[cfg(test)]
mod tests;
