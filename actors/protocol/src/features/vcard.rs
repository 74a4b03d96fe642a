//! vcard-temp: XEP-0054 version 1.3.0,
//! <https://xmpp.org/extensions/xep-0054.html>
//!
//! Everybody may read a vCard. Its photo is the account's avatar, when there is one that the
//! asker may see (XEP-0398 §6.2); a photo that is set becomes the avatar. A vCard that is set
//! without `<PHOTO/>` leaves the avatar as it is, an empty `<PHOTO/>` takes it away.
//!
//! Of people in a directory it says what the directory says of them (`person.rs`); their picture
//! there is their avatar until they have another, or none.

pub(crate) mod person;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::private_xml::check_space;
use super::pubsub::access::{Operation, Relation, allow};
use super::pubsub::node::{Ask, Found, Item, LastItem, Node};
use super::pubsub::publish_own;
use super::pubsub::request::to_payload;
use super::{Feature, Scope, Spec, avatar, get, refuse, set};
use crate::effect::{Answer, Change, Effect, Kept, KeptChange, Query};
use crate::facts::Facts;
use crate::stanza::{Iq, Stanza, StanzaError};
use crate::xml::Element;

/// The namespace.
pub const NS: &str = "vcard-temp";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "vcard",
    title: "vcard-temp",
    spec: Spec::Xep {
        number: 54,
        version: "1.3.0",
    },
    disco: &[NS],
    disco_account: &[NS],
    iq: &[
        get(Scope::Account, NS, "vCard", read),
        set(Scope::Own, NS, "vCard", write),
    ],
    ..Feature::NONE
};

/// The name under which it is kept.
const NAME: &str = "vcard";

fn nodes(facts: &Facts<'_>) -> Box<Ask> {
    Box::new(Ask::LastItems {
        services: vec![facts.account.clone()],
        nodes: vec![avatar::NS_METADATA.to_owned(), avatar::NS_DATA.to_owned()],
        bytes_max: usize::MAX,
    })
}

fn read(_iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    let query = Query::KeptAndShown(NAME.to_owned(), nodes(facts));
    vec![Effect::Load(query, answer)]
}

fn answer(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Iq(iq) = stanza else {
        return Vec::new();
    };
    let kept = match answer {
        Answer::Kept(kept) => *kept,
        Answer::Failed(error) => return refuse(iq, error),
        _ => return refuse(iq, StanzaError::internal_server_error()),
    };
    let photo = photo_from_nodes(iq, &kept, facts);
    let card = kept.value.and_then(|bytes| Element::parse(&bytes).ok());
    let card = match facts.book().holder(facts.account) {
        Some(person) => Some(person::card(person, card.as_ref())),
        None => card,
    };
    let is_own = iq.head.from.as_ref().map(|from| from.bare_str()) == Some(facts.account.as_str());
    let card = match card {
        Some(card) => card,
        // §3.1: an empty one, or none. Row A11: of others none, as of an account that is not there.
        None if is_own || photo.is_some() => Element::new("vCard", NS),
        None => return refuse(iq, StanzaError::item_not_found()),
    };
    let card = match photo {
        Some(photo) => without_photo(&card).child(photo),
        None => card,
    };
    vec![Effect::Reply(Stanza::Iq(iq.result(Some(card))))]
}

fn without_photo(card: &Element) -> Element {
    let rest = card.children().filter(|child| !child.is("PHOTO", NS));
    Element::new("vCard", NS).children_from(rest.cloned())
}

fn nodes_of(kept: &Kept) -> &[LastItem] {
    match &kept.found {
        Some(Found::LastItems(nodes)) => nodes,
        _ => &[],
    }
}

fn node_of<'a>(kept: &'a Kept, name: &str) -> Option<&'a LastItem> {
    nodes_of(kept).iter().find(|last| last.node.name == name)
}

/// XEP-0398 §3.1: the avatar as a photo, for who may see both its nodes.
fn photo_from_nodes(iq: &Iq, kept: &Kept, facts: &Facts<'_>) -> Option<Element> {
    let (metadata, data) = (
        node_of(kept, avatar::NS_METADATA)?,
        node_of(kept, avatar::NS_DATA)?,
    );
    let who = iq.head.from.as_ref()?;
    for node in [&metadata.node, &data.node] {
        allow(
            Operation::Retrieve,
            &Relation::of(who, node, facts),
            &node.config,
        )
        .ok()?;
    }
    let (metadata, item) = (metadata.item.as_ref()?, data.item.as_ref()?);
    let metadata = Element::parse(&metadata.payload).ok()?;
    let hash = avatar::shown(&metadata).filter(|hash| **hash == *item.id)?;
    let image = Element::parse(&item.payload).ok()?.text_content();
    let kind = avatar::kind_of(&metadata, &hash).unwrap_or_else(|| "image/png".to_owned());
    Some(
        Element::new("PHOTO", NS)
            .child(Element::new("TYPE", NS).text(kind))
            .child(Element::new("BINVAL", NS).text(image)),
    )
}

/// What a vCard says of the photo.
enum Photo {
    /// Nothing.
    Unsaid,
    /// There is none.
    None,
    /// This image of this type.
    Image(Vec<u8>, String),
    /// One that is no image here, such as an address.
    Other,
}

fn photo_in(card: &Element) -> Photo {
    let Some(photo) = card.find("PHOTO", NS) else {
        return Photo::Unsaid;
    };
    let text = |name| photo.find(name, NS).map(Element::text_content);
    let Some(encoded) = text("BINVAL") else {
        return match photo.children().next() {
            None => Photo::None,
            Some(_) => Photo::Other,
        };
    };
    let encoded: String = encoded.split_whitespace().collect();
    match STANDARD.decode(encoded) {
        Ok(image) if image.is_empty() => Photo::None,
        Ok(image) => {
            let kind = text("TYPE").filter(|kind| kind.starts_with("image/"));
            Photo::Image(image, kind.unwrap_or_else(|| "image/png".to_owned()))
        }
        Err(_) => Photo::Other,
    }
}

fn write(_iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    let query = Query::Kept(NAME.to_owned(), Some(nodes(facts)));
    vec![Effect::Load(query, put)]
}

fn put(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Iq(iq) = stanza else {
        return Vec::new();
    };
    match changes(iq, answer, facts) {
        Ok(mut effects) => {
            effects.push(Effect::Reply(Stanza::Iq(iq.result(None))));
            effects
        }
        Err(error) => refuse(iq, error),
    }
}

fn changes(iq: &Iq, answer: Answer, facts: &Facts<'_>) -> Result<Vec<Effect>, StanzaError> {
    let card = iq.payload().and_then(|child| child.element());
    let card = card.ok_or_else(StanzaError::bad_request)?;
    let photo = photo_in(&card);
    // The image is kept once, in the node.
    let card = match photo {
        Photo::Image(..) | Photo::None => without_photo(&card),
        Photo::Unsaid | Photo::Other => card,
    };
    let card = match facts.book().holder(facts.account) {
        Some(person) => person::writable(person, &card),
        None => card,
    };
    let Answer::Kept(kept) = &answer else {
        return Err(match answer {
            Answer::Failed(error) => error,
            _ => StanzaError::internal_server_error(),
        });
    };
    let published = match photo {
        Photo::Image(image, kind) => publish_photo(&image, &kind, kept, facts)?,
        Photo::None => remove_photo(kept, facts),
        Photo::Unsaid | Photo::Other => Vec::new(),
    };
    let value = check_space(answer, to_payload(&card))?;
    let keep = Effect::Change(Change::Kept(KeptChange {
        name: NAME.to_owned(),
        value: Some(value),
    }));
    Ok(std::iter::once(keep).chain(published).collect())
}

/// XEP-0398 §3.2: first the image, then what it is.
fn publish_photo(
    image: &[u8],
    kind: &str,
    kept: &Kept,
    facts: &Facts<'_>,
) -> Result<Vec<Effect>, StanzaError> {
    let hash = avatar::hash(image);
    let metadata = node_of(kept, avatar::NS_METADATA);
    let before = metadata.and_then(|last| last.item.as_ref());
    if before.is_some_and(|before| before.id == hash) && facts.data.avatar.as_deref() == Some(&hash)
    {
        return Ok(Vec::new());
    }
    let encoded = Element::new("data", avatar::NS_DATA).text(STANDARD.encode(image));
    let payload = to_payload(&encoded);
    if payload.len() > facts.host.pubsub.item_bytes_max {
        return Err(StanzaError::not_acceptable().with_text("the photo is too large"));
    }
    let item = |payload: Bytes| Item {
        id: hash.clone(),
        publisher: facts.account.clone().into(),
        stamp: facts.now,
        payload,
    };
    let known = |last: Option<&'_ LastItem>| last.map(|last| last.node.clone());
    let data: Option<Node> = known(node_of(kept, avatar::NS_DATA));
    let config = avatar::config_of_image();
    let mut effects = publish_own(avatar::NS_DATA, data.as_ref(), config, item(payload), facts);
    let described = avatar::metadata(Some((&hash, image.len(), kind)));
    effects.extend(publish_metadata(item(to_payload(&described)), kept, facts));
    effects.push(Effect::ShowAvatar(hash.clone().into()));
    Ok(effects)
}

fn remove_photo(kept: &Kept, facts: &Facts<'_>) -> Vec<Effect> {
    // Nothing was shown, so nothing is taken away.
    if facts.avatar().is_none_or(|hash| hash.is_empty()) {
        return Vec::new();
    }
    let item = Item {
        id: "none".to_owned(),
        publisher: facts.account.clone().into(),
        stamp: facts.now,
        payload: to_payload(&avatar::metadata(None)),
    };
    let mut effects = publish_metadata(item, kept, facts);
    effects.push(Effect::ShowAvatar(Box::default()));
    effects
}

fn publish_metadata(item: Item, kept: &Kept, facts: &Facts<'_>) -> Vec<Effect> {
    let known = node_of(kept, avatar::NS_METADATA).map(|last| &last.node);
    publish_own(
        avatar::NS_METADATA,
        known,
        avatar::config_of_photo(),
        item,
        facts,
    )
}

#[cfg(test)]
mod tests;
