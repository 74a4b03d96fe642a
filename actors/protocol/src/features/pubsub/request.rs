//! What somebody asks of a service: XEP-0060 sections 5 to 8, read strictly.
//!
//! Names of nodes and ids of items are the peer's own and opaque; here they get their bounds.

use bytes::Bytes;

use super::errors;
use super::node::{Affiliation, SubscriptionState, Wanted};
use super::{NS, NS_CONFIG, NS_OPTIONS, NS_OWNER, NS_PUBLISH_OPTIONS};
use crate::features::data_forms::{NS as NS_FORMS, Submitted};
use crate::features::rsm;
use crate::jid::{BareJid, Jid};
use crate::stanza::{Iq, IqKind, StanzaError};
use crate::xml::Element;

/// Bytes of a NodeID or an ItemID: those of an address, of which both are often made.
pub(crate) const NAME_BYTES_MAX: usize = 3071;

/// Items of one answer, when nobody says how many; more come by pages (§6.5.4).
pub(crate) const PAGE_MAX: u32 = 2000;

/// Entries of a list that an owner changes at once.
const LIST_MAX: usize = 1000;

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Request {
    /// §5.6.
    Subscriptions(Option<String>),
    /// §5.7.
    Affiliations(Option<String>),
    /// §6.1.
    Subscribe(String, Jid, Option<Submitted>),
    /// §6.2.
    Unsubscribe(String, Jid),
    /// §6.3: asked for, or set.
    Options(String, Jid, Option<Submitted>),
    /// §6.4: of a service, or of a node.
    DefaultOptions(Option<String>),
    /// §6.5.
    Items(String, Wanted),
    /// §7.1.
    Publish(Publish),
    /// §7.2: node, items, and whether subscribers are told.
    Retract(String, Vec<String>, bool),
    /// §8.1: without a name an instant node.
    Create(Option<String>, Option<Submitted>),
    /// §8.2: asked for.
    Configuration(String),
    /// §8.2: set; `None` cancels.
    Configure(String, Option<Submitted>),
    /// §8.3.
    DefaultConfiguration,
    /// §8.4, with the address of a node to go to instead.
    Delete(String, Option<String>),
    /// §8.5.
    Purge(String),
    /// §8.8.1.
    Subscribers(String),
    /// §8.8.2.
    SetSubscribers(String, Vec<(Jid, SubscriptionState)>),
    /// §8.9.1.
    Affiliated(String),
    /// §8.9.2.
    SetAffiliated(String, Vec<(BareJid, Affiliation)>),
}

/// What is to be published (§7.1).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Publish {
    /// Where.
    pub(crate) node: String,
    /// Which items.
    pub(crate) items: Vec<NewItem>,
    /// On which conditions (§7.1.5).
    pub(crate) options: Option<Submitted>,
}

/// An item to be published.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewItem {
    /// Its id, if the publisher has one.
    pub(crate) id: Option<String>,
    /// Its payload; empty for none.
    pub(crate) payload: Bytes,
    /// The payload as a tree.
    pub(crate) element: Option<Element>,
}

impl Request {
    /// Reads a request.
    pub(crate) fn read(iq: &Iq) -> Result<Self, StanzaError> {
        let payload = iq.payload().and_then(|child| child.element());
        let pubsub = payload.ok_or_else(StanzaError::bad_request)?;
        let first = pubsub
            .children()
            .find(|child| child.namespace() == pubsub.namespace());
        let verb = first.ok_or_else(StanzaError::bad_request)?;
        match (pubsub.namespace(), iq.kind) {
            (NS, IqKind::Get) => read_question(verb, &pubsub),
            (NS, IqKind::Set) => read_order(verb, &pubsub),
            (NS_OWNER, IqKind::Get) => read_owners_question(verb),
            (NS_OWNER, IqKind::Set) => read_owners_order(verb),
            _ => Err(StanzaError::bad_request()),
        }
    }

    /// The node it is about.
    pub(crate) fn node(&self) -> Option<&str> {
        match self {
            Self::Subscriptions(node) | Self::Affiliations(node) | Self::Create(node, _) => {
                node.as_deref()
            }
            Self::DefaultOptions(_) | Self::DefaultConfiguration => None,
            Self::Publish(publish) => Some(&publish.node),
            Self::Subscribe(node, ..)
            | Self::Unsubscribe(node, _)
            | Self::Options(node, ..)
            | Self::Items(node, _)
            | Self::Retract(node, ..)
            | Self::Configuration(node)
            | Self::Configure(node, _)
            | Self::Delete(node, _)
            | Self::Purge(node)
            | Self::Subscribers(node)
            | Self::SetSubscribers(node, _)
            | Self::Affiliated(node)
            | Self::SetAffiliated(node, _) => Some(node),
        }
    }
}

fn read_question(verb: &Element, pubsub: &Element) -> Result<Request, StanzaError> {
    match verb.name() {
        "subscriptions" => Ok(Request::Subscriptions(node_if_any(verb)?)),
        "affiliations" => Ok(Request::Affiliations(node_if_any(verb)?)),
        "items" => Ok(Request::Items(node(verb)?, wanted(verb, pubsub)?)),
        "options" => Ok(Request::Options(node(verb)?, whose(verb)?, None)),
        "default" => Ok(Request::DefaultOptions(node_if_any(verb)?)),
        _ => Err(StanzaError::feature_not_implemented()),
    }
}

fn read_order(verb: &Element, pubsub: &Element) -> Result<Request, StanzaError> {
    let beside = |name| pubsub.find(name, NS);
    // §6.3.7, §8.1.3: what stands beside is about the same node, and says so by its place.
    let names_node = |it: &Element| it.get("node").is_some() || it.get("jid").is_some();
    let about = match verb.name() {
        "subscribe" => beside("options"),
        "create" => beside("configure"),
        _ => None,
    };
    if about.is_some_and(names_node) {
        return Err(StanzaError::bad_request());
    }
    match verb.name() {
        "publish" => {
            let options = beside("publish-options");
            Ok(Request::Publish(Publish {
                node: node(verb)?,
                items: new_items(verb)?,
                options: options
                    .map(|it| required_form(it, NS_PUBLISH_OPTIONS))
                    .transpose()?,
            }))
        }
        "retract" => {
            let notify = verb.get("notify").is_some_and(is_true);
            Ok(Request::Retract(node(verb)?, retracted(verb)?, notify))
        }
        "subscribe" => {
            let options = beside("options");
            let options = options
                .map(|it| required_form(it, NS_OPTIONS))
                .transpose()?;
            Ok(Request::Subscribe(node(verb)?, subscriber(verb)?, options))
        }
        "unsubscribe" => Ok(Request::Unsubscribe(node(verb)?, subscriber(verb)?)),
        "options" => {
            let form = required_form(verb, NS_OPTIONS).map_err(|_| errors::invalid_options())?;
            Ok(Request::Options(node(verb)?, whose(verb)?, Some(form)))
        }
        "create" => {
            let form = beside("configure").map(|it| optional_form(it, NS_CONFIG));
            Ok(Request::Create(
                node_if_any(verb)?,
                form.transpose()?.flatten(),
            ))
        }
        _ => Err(StanzaError::feature_not_implemented()),
    }
}

fn read_owners_question(verb: &Element) -> Result<Request, StanzaError> {
    match verb.name() {
        "configure" => Ok(Request::Configuration(node(verb)?)),
        // §8.3.2: of leaf nodes; there are no others (XEP-0248).
        "default" => match verb.get("type") {
            None | Some("leaf") => Ok(Request::DefaultConfiguration),
            Some(_) => Err(errors::unsupported("collections")),
        },
        "subscriptions" => Ok(Request::Subscribers(node(verb)?)),
        "affiliations" => Ok(Request::Affiliated(node(verb)?)),
        _ => Err(StanzaError::feature_not_implemented()),
    }
}

fn read_owners_order(verb: &Element) -> Result<Request, StanzaError> {
    match verb.name() {
        "configure" => Ok(Request::Configure(
            node(verb)?,
            optional_form(verb, NS_CONFIG)?,
        )),
        "delete" => {
            let redirect = verb.find("redirect", NS_OWNER).and_then(|it| it.get("uri"));
            Ok(Request::Delete(node(verb)?, redirect.map(str::to_owned)))
        }
        "purge" => Ok(Request::Purge(node(verb)?)),
        "subscriptions" => Ok(Request::SetSubscribers(
            node(verb)?,
            entries(verb, "subscription", entry_of_subscription)?,
        )),
        "affiliations" => Ok(Request::SetAffiliated(node(verb)?, affiliations(verb)?)),
        _ => Err(StanzaError::feature_not_implemented()),
    }
}

fn node(verb: &Element) -> Result<String, StanzaError> {
    node_if_any(verb)?.ok_or_else(errors::nodeid_required)
}

fn node_if_any(verb: &Element) -> Result<Option<String>, StanzaError> {
    verb.get("node")
        .filter(|node| !node.is_empty())
        .map(name)
        .transpose()
}

/// A NodeID or an ItemID.
pub(super) fn name(text: &str) -> Result<String, StanzaError> {
    if text.len() > NAME_BYTES_MAX {
        return Err(StanzaError::not_acceptable().with_text("a name of more than 3071 bytes"));
    }
    Ok(text.to_owned())
}

/// §6.1.3.1: an address in the request; without one there is nobody to subscribe.
///
/// §6.2.3.5: subscriptions have no ids here, so those that are given are passed over.
fn subscriber(verb: &Element) -> Result<Jid, StanzaError> {
    let jid = verb.get("jid").and_then(|jid| Jid::parse(jid).ok());
    jid.ok_or_else(errors::invalid_jid)
}

/// §6.3.4.3: the address whose options are asked for.
fn whose(verb: &Element) -> Result<Jid, StanzaError> {
    match verb.get("jid").is_some_and(|jid| !jid.is_empty()) {
        true => subscriber(verb),
        false => Err(errors::jid_required()),
    }
}

fn wanted(verb: &Element, pubsub: &Element) -> Result<Wanted, StanzaError> {
    let items = verb.children().filter(|item| item.is("item", NS));
    let ids = items.map(|item| name(item.get("id").unwrap_or_default()));
    let ids: Vec<String> = ids.collect::<Result<_, _>>()?;
    if !ids.is_empty() {
        return Ok(Wanted::Ids(ids.into_iter().take(LIST_MAX).collect()));
    }
    if pubsub.find("set", rsm::NS).is_some() {
        let page = rsm::read(pubsub)?;
        return Ok(page_wanted(page));
    }
    // §6.5.7: the most recent ones.
    match verb.get("max_items").filter(|max| !max.is_empty()) {
        Some(max) => {
            let max: u32 = max.parse().map_err(|_| StanzaError::bad_request())?;
            Ok(Wanted::Before(None, max.min(PAGE_MAX)))
        }
        None => Ok(Wanted::After(None, PAGE_MAX)),
    }
}

/// What a page of a result set means for items, oldest first (XEP-0059 §2).
pub(super) fn page_wanted(page: rsm::PageRequest) -> Wanted {
    let max = page.max.unwrap_or(PAGE_MAX).min(PAGE_MAX);
    match (page.before, page.after) {
        (Some(before), _) => Wanted::Before(Some(before).filter(|id| !id.is_empty()), max),
        (None, after) => Wanted::After(after.filter(|id| !id.is_empty()), max),
    }
}

fn new_items(publish: &Element) -> Result<Vec<NewItem>, StanzaError> {
    let items = publish.children().filter(|item| item.is("item", NS));
    let items: Vec<NewItem> = items.map(new_item).collect::<Result<_, _>>()?;
    // §7.1.1: no item or one; batches are gone since version 1.13.
    if items.len() > 1 {
        return Err(StanzaError::bad_request().with_text("one item at a time"));
    }
    Ok(items)
}

fn new_item(item: &Element) -> Result<NewItem, StanzaError> {
    let id = item
        .get("id")
        .filter(|id| !id.is_empty())
        .map(name)
        .transpose()?;
    let mut payloads = item.children();
    let element = payloads.next().cloned();
    if payloads.next().is_some() {
        return Err(errors::invalid_payload());
    }
    let payload = element.as_ref().map(to_payload).unwrap_or_default();
    Ok(NewItem {
        id,
        payload,
        element,
    })
}

/// A payload by itself: it carries its own `xmlns`, whatever that is.
pub(crate) fn to_payload(element: &Element) -> Bytes {
    let mut bytes = Vec::new();
    // No namespace is one blank, so the element's own is always written.
    element.write(&mut bytes, " ");
    bytes.into()
}

fn retracted(retract: &Element) -> Result<Vec<String>, StanzaError> {
    let items = retract.children().filter(|item| item.is("item", NS));
    // §7.2.3.3: an item, and its id.
    let id = |item: &Element| match item.get("id").filter(|id| !id.is_empty()) {
        Some(id) => name(id),
        None => Err(errors::item_required()),
    };
    let ids: Vec<String> = items.map(id).collect::<Result<_, _>>()?;
    match ids.len() {
        0 => Err(errors::item_required()),
        1..=LIST_MAX => Ok(ids),
        _ => Err(StanzaError::policy_violation()),
    }
}

fn form_of(parent: &Element) -> Option<&Element> {
    parent.find("x", NS_FORMS)
}

fn required_form(parent: &Element, form_type: &str) -> Result<Submitted, StanzaError> {
    let form = form_of(parent).and_then(Submitted::read);
    let form = form.ok_or_else(StanzaError::bad_request)?;
    match form.form_type() {
        // COMPAT: several clients leave the type out where there is but one.
        None => Ok(form),
        Some(given) if given == form_type => Ok(form),
        Some(_) => Err(StanzaError::bad_request().with_text("a form of another type")),
    }
}

/// `None` when there is no form, or one that cancels.
fn optional_form(parent: &Element, form_type: &str) -> Result<Option<Submitted>, StanzaError> {
    match form_of(parent) {
        None => Ok(None),
        Some(form) if form.get("type") == Some("cancel") => Ok(None),
        Some(_) => required_form(parent, form_type).map(Some),
    }
}

/// The entries of a list; those without this attribute change nothing (§8.8.2.1, §8.9.2.1).
fn entries<T>(
    list: &Element,
    changed: &str,
    read: impl Fn(&Element) -> Result<T, StanzaError>,
) -> Result<Vec<T>, StanzaError> {
    let entries = list.children().filter(|it| it.namespace() == NS_OWNER);
    let entries: Vec<T> = entries
        .filter(|it| it.get(changed).is_some())
        .take(LIST_MAX + 1)
        .map(read)
        .collect::<Result<_, _>>()?;
    if entries.len() > LIST_MAX {
        return Err(StanzaError::policy_violation());
    }
    Ok(entries)
}

fn entry_of_subscription(entry: &Element) -> Result<(Jid, SubscriptionState), StanzaError> {
    let jid = entry.get("jid").and_then(|jid| Jid::parse(jid).ok());
    let state = entry.get("subscription").and_then(SubscriptionState::parse);
    match (jid, state) {
        (Some(jid), Some(state)) => Ok((jid, state)),
        _ => Err(StanzaError::bad_request()),
    }
}

fn affiliations(list: &Element) -> Result<Vec<(BareJid, Affiliation)>, StanzaError> {
    let changes = entries(list, "affiliation", |entry| {
        let jid = entry.get("jid").and_then(|jid| Jid::parse(jid).ok());
        let affiliation = entry.get("affiliation").and_then(Affiliation::parse);
        match (jid, affiliation) {
            (Some(jid), Some(affiliation)) => Ok((jid.bare(), affiliation)),
            _ => Err(StanzaError::bad_request()),
        }
    })?;
    // §8.9.2.4: each entity once.
    let mut jids: Vec<&BareJid> = changes.iter().map(|(jid, _)| jid).collect();
    jids.sort();
    jids.dedup();
    match jids.len() == changes.len() {
        true => Ok(changes),
        false => Err(StanzaError::bad_request()),
    }
}

fn is_true(text: &str) -> bool {
    matches!(text, "1" | "true")
}
