//! Private XML Storage: XEP-0049 version 1.2,
//! <https://xmpp.org/extensions/xep-0049.html>
//!
//! One element a name and namespace, for the account alone. `storage:bookmarks` is another
//! face of the bookmarks ([`super::bookmarks`]). Left out: several elements in one request.

use super::{Feature, Scope, Spec, Status, bookmarks, get, refuse, set};
use crate::effect::{Answer, Change, Effect, KeptChange, Query};
use crate::facts::Facts;
use crate::features::pubsub::request::to_payload;
use crate::stanza::{ErrorKind, Iq, Stanza, StanzaError};
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
    status: Status::Partial("one element in a request"),
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

fn payload(iq: &Iq) -> Result<Element, StanzaError> {
    let query = iq.payload().and_then(|child| child.element());
    let query = query.ok_or_else(StanzaError::bad_request)?;
    let mut children = query.children();
    match (children.next(), children.next()) {
        (Some(one), None) => Ok(one.clone()),
        // §2.3: nothing, or more than one.
        (None, _) => Err(StanzaError::bad_request()),
        (Some(_), Some(_)) => Err(StanzaError::not_acceptable()),
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

fn read(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    match payload(iq) {
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
    let kept = match (payload(iq), answer) {
        // §2.2: what was never stored is empty.
        (Ok(wanted), Answer::Kept(kept)) => match kept.value.map(|bytes| Element::parse(&bytes)) {
            Some(Ok(element)) => element,
            _ => Element::new(wanted.name().to_owned(), wanted.namespace().to_owned()),
        },
        (Err(error), _) | (_, Answer::Failed(error)) => return refuse(iq, error),
        _ => return refuse(iq, StanzaError::internal_server_error()),
    };
    let query = Element::new("query", NS).child(kept);
    vec![Effect::Reply(Stanza::Iq(iq.result(Some(query))))]
}

fn write(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    let named = payload(iq).and_then(|element| Ok((name(&element)?, element)));
    match named {
        Ok((_, element)) if element.is("storage", bookmarks::NS_LEGACY) => {
            vec![bookmarks::ask(facts, bookmarks::set_private)]
        }
        Ok((name, _)) => vec![Effect::Load(Query::Kept(name, None), put)],
        Err(error) => refuse(iq, error),
    }
}

fn put(stanza: &Stanza, answer: Answer, _facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Iq(iq) = stanza else {
        return Vec::new();
    };
    let named = payload(iq).and_then(|element| Ok((name(&element)?, element)));
    match named.and_then(|(name, element)| Ok((name, check_space(answer, to_payload(&element))?))) {
        Ok((name, value)) => vec![
            Effect::Change(Change::Kept(KeptChange {
                name,
                value: Some(value),
            })),
            Effect::Reply(Stanza::Iq(iq.result(None))),
        ],
        Err(error) => refuse(iq, error),
    }
}

/// Lets a value through if there is space for it.
pub(super) fn check_space(
    answer: Answer,
    value: bytes::Bytes,
) -> Result<bytes::Bytes, StanzaError> {
    let kept = match answer {
        Answer::Kept(kept) => kept,
        Answer::Failed(error) => return Err(error),
        _ => return Err(StanzaError::internal_server_error()),
    };
    let before = kept.value.as_ref().map_or(0, |value| value.len() as u64);
    let bytes = kept.bytes.saturating_sub(before) + value.len() as u64;
    let is_new = kept.value.is_none();
    if bytes > KEPT_BYTES_MAX || (is_new && kept.count >= KEPT_MAX) {
        return Err(StanzaError::policy_violation().with_text("there is no space for more"));
    }
    Ok(value)
}
