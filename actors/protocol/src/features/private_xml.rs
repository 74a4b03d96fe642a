//! Private XML Storage: XEP-0049 version 1.2,
//! <https://xmpp.org/extensions/xep-0049.html>
//!
//! What has one name and namespace is kept together, for the account alone: a request to store
//! may bring several elements of a namespace (§2.3). `storage:bookmarks` is another face of the
//! bookmarks ([`super::bookmarks`]).

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Feature, Scope, Spec, bookmarks, get, refuse, set};
use crate::effect::{Answer, Change, Effect, KeptChange, Query};
use crate::facts::Facts;
use crate::features::pubsub::request::to_payload;
use crate::stanza::{ErrorKind, Iq, IqKind, Stanza, StanzaError};
use crate::xml::Element;

/// The namespace.
pub const NS: &str = "jabber:iq:private";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "private_xml",
    title: "Private XML Storage",
    spec: Spec::Xep {
        number: 49,
        version: "1.2",
    },
    disco: &[NS],
    disco_account: &[NS],
    iq: &[
        get(Scope::Own, NS, "query", read),
        set(Scope::Own, NS, "query", write),
    ],
    ..Feature::NONE
};

/// What an account may keep, vCard and private elements together: as many as clients there are
/// and ever were, and as much as the largest of them need.
pub(super) const KEPT_MAX: u64 = 200;
pub(super) const KEPT_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// Elements of one request: each may be kept by itself.
const ELEMENTS_MAX: usize = 50;

/// What a request brings, of one namespace.
fn elements(iq: &Iq) -> Result<Vec<Element>, StanzaError> {
    let query = iq.payload().and_then(|child| child.element());
    let query = query.ok_or_else(StanzaError::bad_request)?;
    let elements: Vec<Element> = query.children().cloned().collect();
    let Some(first) = elements.first() else {
        return Err(match iq.kind {
            // §2.3: at least one element must be included; a question without one is a bad one.
            IqKind::Set => StanzaError::not_acceptable().with_kind(ErrorKind::Modify),
            _ => StanzaError::bad_request(),
        });
    };
    // §2.3: all are of the same namespace; the bookmarks are one thing.
    let is_alike = |it: &Element| it.namespace() == first.namespace();
    let is_bookmarks = |it: &Element| it.is("storage", bookmarks::NS_LEGACY);
    let is_many = elements.len() > 1 && elements.iter().any(is_bookmarks);
    if !elements.iter().all(is_alike) || is_many || elements.len() > ELEMENTS_MAX {
        return Err(StanzaError::not_acceptable());
    }
    Ok(elements)
}

/// §2.1: what is asked for is named by one element.
fn wanted(iq: &Iq) -> Result<Element, StanzaError> {
    let mut elements = elements(iq)?;
    match (elements.pop(), elements.is_empty()) {
        (Some(one), true) => Ok(one),
        _ => Err(StanzaError::not_acceptable()),
    }
}

fn name(element: &Element) -> Result<String, StanzaError> {
    let namespace = element.namespace();
    // §2.3: some namespaces are not for private data.
    let is_reserved = namespace.starts_with("jabber:") || namespace == "vcard-temp";
    if is_reserved || namespace.is_empty() {
        return Err(StanzaError::not_acceptable().with_kind(ErrorKind::Modify));
    }
    let name = format!("private {} {namespace}", element.name());
    match name.len() {
        0..=1000 => Ok(name),
        _ => Err(StanzaError::not_acceptable()),
    }
}

/// What a request stores: under each name the elements that have it, one after the other.
fn values(iq: &Iq) -> Result<BTreeMap<String, Vec<u8>>, StanzaError> {
    let mut values: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for element in elements(iq)? {
        let value = values.entry(name(&element)?).or_default();
        value.extend_from_slice(&to_payload(&element));
    }
    Ok(values)
}

fn read(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    match wanted(iq) {
        Ok(wanted) if wanted.is("storage", bookmarks::NS_LEGACY) => {
            vec![bookmarks::ask(facts, bookmarks::answer_private)]
        }
        Ok(wanted) => match name(&wanted) {
            Ok(name) => vec![Effect::Load(Query::Kept(name, None), answer)],
            Err(error) => refuse(iq, error),
        },
        Err(error) => refuse(iq, error),
    }
}

fn answer(stanza: &Stanza, answer: Answer, _facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Iq(iq) = stanza else {
        return Vec::new();
    };
    let query = Element::new("query", NS);
    let query = match (wanted(iq), answer) {
        (Ok(wanted), Answer::Kept(kept)) => match kept.value {
            Some(value) => query.raw_child(value),
            // §2.2: what was never stored is empty.
            None => query.child(Element::new(
                wanted.name().to_owned(),
                wanted.namespace().to_owned(),
            )),
        },
        (Err(error), _) | (_, Answer::Failed(error)) => return refuse(iq, error),
        _ => return refuse(iq, StanzaError::internal_server_error()),
    };
    vec![Effect::Reply(Stanza::Iq(iq.result(Some(query))))]
}

fn write(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    let stored = elements(iq).and_then(|elements| Ok((elements, values(iq)?)));
    match stored {
        Ok((elements, _)) if elements[0].is("storage", bookmarks::NS_LEGACY) => {
            vec![bookmarks::ask(facts, bookmarks::set_private)]
        }
        Ok((_, values)) => {
            let first = values.into_keys().next().unwrap_or_default();
            vec![Effect::Load(Query::Kept(first, None), put)]
        }
        Err(error) => refuse(iq, error),
    }
}

fn put(stanza: &Stanza, answer: Answer, _facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Iq(iq) = stanza else {
        return Vec::new();
    };
    match values(iq).and_then(|values| fitting(values, answer)) {
        Ok(values) => {
            let keep = |(name, value)| {
                let value = Some(value);
                Effect::Change(Change::Kept(KeptChange { name, value }))
            };
            let mut effects: Vec<Effect> = values.into_iter().map(keep).collect();
            effects.push(Effect::Reply(Stanza::Iq(iq.result(None))));
            effects
        }
        Err(error) => refuse(iq, error),
    }
}

/// Lets values through if there is space for all of them. Of the first it is known what it
/// takes the place of; the others count as new ones, for a quota need not be exact.
fn fitting(
    values: BTreeMap<String, Vec<u8>>,
    answer: Answer,
) -> Result<Vec<(String, Bytes)>, StanzaError> {
    let more = values.values().skip(1).map(|value| value.len() as u64);
    let answer = match answer {
        Answer::Kept(mut kept) => {
            kept.count += values.len().saturating_sub(1) as u64;
            kept.bytes += more.sum::<u64>();
            if values.len() > 1 && kept.count > KEPT_MAX {
                return Err(no_space());
            }
            Answer::Kept(kept)
        }
        other => other,
    };
    let mut values = values
        .into_iter()
        .map(|(name, value)| (name, Bytes::from(value)));
    let Some((name, first)) = values.next() else {
        return Err(StanzaError::bad_request());
    };
    let first = check_space(answer, first)?;
    Ok(std::iter::once((name, first)).chain(values).collect())
}

fn no_space() -> StanzaError {
    StanzaError::policy_violation().with_text("there is no space for more")
}

/// Lets a value through if there is space for it.
pub(super) fn check_space(answer: Answer, value: Bytes) -> Result<Bytes, StanzaError> {
    let kept = match answer {
        Answer::Kept(kept) => kept,
        Answer::Failed(error) => return Err(error),
        _ => return Err(StanzaError::internal_server_error()),
    };
    let before = kept.value.as_ref().map_or(0, |value| value.len() as u64);
    let bytes = kept.bytes.saturating_sub(before) + value.len() as u64;
    let is_new = kept.value.is_none();
    if bytes > KEPT_BYTES_MAX || (is_new && kept.count >= KEPT_MAX) {
        return Err(no_space());
    }
    Ok(value)
}
